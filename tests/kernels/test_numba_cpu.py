"""Compiled work on tiles against torch's operators, and blocks of rows in several threads."""

import threading
from contextlib import nullcontext

import pytest
import torch

from manylabel import LabelMatrix, losses
from manylabel.kernels import choice
from manylabel.kernels.loading import without_compiled
from manylabel.losses import threads
from manylabel.losses.precision import computing
from manylabel.losses.softmax import Overlaps

pytest.importorskip("numba", reason="compiled tiles need the extra 'fast'")

shapes = pytest.mark.parametrize("shape", [(1, 1), (3, 7), (64, 130)], ids=str)
SELF_EXPONENT = -1e30


@pytest.fixture
def draw():
    generator = torch.Generator().manual_seed(0)
    return lambda *shape: torch.randn(*shape, generator=generator)


def both(function, *arguments):
    """What torch and what compiled code make of copies of the same arguments, which they may overwrite."""
    made = []
    for context in (without_compiled(), nullcontext()):
        copies = [copied(a) for a in arguments]
        with context:
            result = function(*copies)
        made.append([result, *copies])
    return made


def copied(argument):
    if isinstance(argument, (list, tuple)):
        return [copied(a) for a in argument]
    return argument.clone() if isinstance(argument, torch.Tensor) else argument


def tensors(things):
    for thing in things:
        if isinstance(thing, torch.Tensor):
            yield thing
        elif isinstance(thing, list):
            yield from tensors(thing)


def exponents(draw, m, n):
    s = 12 * draw(m, n)
    s[0, 0] = SELF_EXPONENT
    return s


def assert_same_sums(made, skip=()):
    for place, (expected, got) in enumerate(zip(*map(list, map(tensors, made)), strict=True)):
        if place not in skip:
            torch.testing.assert_close(
                got, expected, rtol=2e-6, atol=1e-6 * float(expected.abs().max()) + 1e-30
            )


@shapes
def test_powers(draw, shape):
    m, n = shape
    assert_same_sums(both(choice.add_powers, exponents(draw, m, n), draw(m)))
    assert_same_sums(both(choice.add_powers_both, exponents(draw, m, n), draw(m), draw(n)), skip=(0,))
    assert_same_sums(both(choice.add_powers_both, exponents(draw, m, n), draw(m), None), skip=(0,))


def test_each_power_is_right_to_the_last_digits_and_nan_stays():
    x = torch.cat([torch.linspace(-125, 120, 100_000), torch.tensor([-1e30, torch.nan])])[None]
    fast = x.clone()
    choice.add_powers(fast, torch.zeros(1))
    exact = x.double().exp2()
    error = (fast.double() - exact).abs() / exact.clamp(min=1e-30)
    assert float(error[0, :-2].max()) < 2e-7
    assert float(fast[0, -2]) < 1e-37
    assert fast[0, -1].isnan()


@shapes
def test_rows_without_their_direction(draw, shape):
    """What is left is a thousandth of what was taken off; a row of zeros has no direction."""
    z = draw(*shape)
    z[0] = 0
    along, across = 1000 * z, draw(*shape)
    expected, got = both(choice.project_rows, along + across, z, draw(shape[0]))
    torch.testing.assert_close(got[1], expected[1], rtol=1e-5, atol=1e-3)
    for g in (expected[1], got[1]):
        left = torch.linalg.vecdot(g.double(), z.double()).abs()
        assert float(left.max()) <= 1e-4 * shape[1] ** 0.5


@shapes
def test_slopes(draw, shape):
    m, n = shape
    assert_same_sums(both(choice.softmax_slopes, exponents(draw, m, n), draw(m), draw(n)))
    assert_same_sums(both(choice.subtract_weights, draw(m, n), draw(m, n), draw(m), draw(n)))


@shapes
@pytest.mark.parametrize("columns", [True, False])
def test_sums_of_weights(draw, shape, columns):
    m, n = shape
    of_columns = (draw(n), draw(n)) if columns else None
    assert_same_sums(both(choice.add_weights, draw(m, n), draw(m, n).relu(), (draw(m), draw(m)), of_columns))


@shapes
@pytest.mark.parametrize("regularised", [True, False])
@pytest.mark.parametrize("columns", [True, False])
def test_asymmetric_slopes(draw, shape, regularised, columns):
    m, n = shape
    there, back = draw(m, n).relu(), draw(m, n).relu()
    there[0, 0] = back[0, 0] = 0
    of_rows, of_columns = ([draw(k).exp() / 1000, draw(k), draw(k)] for k in (m, n))
    scores = draw(n) if columns else None
    arguments = exponents(draw, m, n), there, back, of_rows, of_columns, draw(m), scores
    made = both(choice.asymmetric_slopes, *arguments, True, regularised)
    assert_same_sums([[result, rest[4], rest[5]] for result, *rest in ([m[0], *m[2:]] for m in made)])


@shapes
def test_rows_that_share_a_label(draw, shape):
    m, n = shape
    Y, T = draw(m, 40) > 1.5, draw(n, 40) > 1.5
    Y[-1] = T[0] = False
    lists, others = LabelMatrix.of(Y).sparse(), LabelMatrix.of(T).sparse()
    tile = choice.shared_labels(
        lists.offsets, lists.columns, choice.label_bits(others.offsets, others.columns, 40), n
    )
    assert torch.equal(tile, (Y.float() @ T.float().T > 0).float())
    overlaps = Overlaps(lists, others)
    rows, columns = slice(m // 2, m), slice(n // 3, n)
    for dtype in (torch.float32, torch.float64):  # by compiled code, and by torch
        assert torch.equal(overlaps.shared(rows, columns, dtype), tile[rows, columns].to(dtype))
    try:
        torch.set_default_dtype(torch.bfloat16)
        assert torch.equal(Overlaps(lists, others).shared(rows, columns, torch.float32), tile[rows, columns])
    finally:
        torch.set_default_dtype(torch.float32)


def test_row_norms(draw):
    x = draw(50, 33)
    torch.testing.assert_close(choice.row_norms(x, torch.float32), x.norm(dim=1))
    torch.testing.assert_close(choice.row_norms(x.double(), torch.float64), x.double().norm(dim=1))


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
