"""Blocks of rows in several threads: the same sums, one thread of torch's for each."""

import threading

import pytest
import torch

from manylabel import losses
from manylabel.losses import threads
from manylabel.losses.precision import computing


@pytest.fixture
def draw():
    generator = torch.Generator().manual_seed(0)
    return lambda *shape: torch.randn(*shape, generator=generator)


def gradients(name, x, *rest):
    leaf = x.clone().requires_grad_()
    losses.get(name, engine="streamed")(leaf, *rest).backward()
    return leaf.grad


@pytest.mark.parametrize("name", ["mulsupcon", "any", "reg"])
def test_threads_change_nothing_but_the_order_of_sums(draw, name):
    x, Y, P = draw(1100, 16), draw(1100, 60) > 1.5, draw(60, 16)
    call = (x, Y, P) if name == "reg" else (x, Y)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = gradients(name, *call)
        torch.set_num_threads(2)
        two, again = gradients(name, *call), gradients(name, *call)
        seen = []
        thread = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        thread.start()
        thread.join()
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(two, one, rtol=1e-4, atol=1e-6 * float(one.abs().max()))
    assert torch.equal(two, again)
    assert seen == [2]


def test_a_block_has_one_thread_for_the_operators_of_torch():
    before = torch.get_num_threads()
    seen = []

    def work(x):
        with computing(x):
            threads.each_block(lambda _: seen.append(torch.get_num_threads()), range(4), x.device)
            return torch.get_num_threads()

    try:
        torch.set_num_threads(2)
        assert work(torch.zeros(5000)) == 1
        assert torch.get_num_threads() == 2
        assert seen == 4 * [1]
        assert work(torch.zeros(5)) == 2  # few rows are left to torch
    finally:
        torch.set_num_threads(before)
