"""The flash backend says what the dense one says, and steps back where attention cannot do it."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from tests.losses.registry import assert_near, case, needs_attention, run

from manylabel import losses
from manylabel.losses.softmax import flash
from manylabel.losses.softmax.tiles import tile_size

FACTORISED = ("supcon", "all", "mulsupcon", "mulsupcon_weighted")


@pytest.mark.parametrize("name", FACTORISED)
@pytest.mark.parametrize("shape", [(9, 14, 5), (1, 1, 3), (70, 600, 12)])
@pytest.mark.parametrize("temperature", [1.0, 0.1, 0.01])
@pytest.mark.parametrize("stretch", [None, 9])
def test_flash_is_dense(name, shape, temperature, stretch):
    """Also where candidates are taken nine at a time, the last stretch shorter."""
    b, n, c = shape
    given = case(name, b, n, c, seed=b)
    needs_attention(given.x)
    want = run(name, given, False, keys_grad=False, engine="dense", temperature=temperature)
    with tile_size(b, stretch) if stretch else nullcontext():
        got = run(name, given, False, keys_grad=False, engine="flash", temperature=temperature)
    assert_near(got, want, 1e-10)


def test_where_attention_does_not_work_tiles_are_recorded(monkeypatch):
    given = case()
    monkeypatch.setattr(flash, "works", lambda *_: False)
    want = run("mulsupcon", given, False, keys_grad=False, engine="dense")
    got = run("mulsupcon", given, False, keys_grad=False, engine="flash", ran="streamed")
    assert_near(got, want, 1e-10)


@pytest.mark.parametrize(
    ("name", "in_batch", "keys_grad"), [("any", False, False), ("mulsupcon", True, False)]
)
def test_other_pairs_are_streamed(name, in_batch, keys_grad):
    given = case(name)
    want = run(name, given, in_batch, keys_grad=keys_grad, engine="dense")
    got = run(name, given, in_batch, keys_grad=keys_grad, engine="flash", ran="streamed")
    assert_near(got, want, 1e-10)


def test_keys_with_gradient_are_streamed():
    want = run("mulsupcon", case(), False, engine="dense")
    assert_near(run("mulsupcon", case(), False, engine="flash", ran="streamed"), want, 1e-10)


def test_a_wrong_operator_is_left_alone(monkeypatch):
    monkeypatch.setattr(flash, "attention", lambda z, k, scale: (z, z.sum(1)))
    flash.works.cache_clear()
    assert not flash.works("cpu", torch.float32, 6)
    monkeypatch.undo()
    flash.works.cache_clear()


@pytest.mark.parametrize("name", ["mulsupcon", "mulsupcon_weighted"])
def test_of_many_labels_only_those_of_anchors_count(name):
    given = case(name, c=20_000, density=2e-4)
    assert not (given.Y.any(0) == given.T.any(0)).all()
    want = run(name, given, False, engine="streamed")
    assert_near(run(name, given, False, engine="streamed", sparse=True), want, 1e-12)


@pytest.mark.parametrize("name", [*FACTORISED, "any"])
@pytest.mark.parametrize("engine", ["dense", "streamed"])
@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (0, 0)], ids=str)
def test_no_anchors_or_no_candidates_give_nothing(name, engine, shape):
    z, keys = (torch.randn(n, 3, requires_grad=True) for n in shape)
    Y, Y_keys = (torch.zeros(n, 5, dtype=torch.bool) for n in shape)
    value = losses.get(name, engine=engine)(z, Y, keys, Y_keys)
    value.backward()
    assert value.item() == 0
    assert not z.grad.any()
    assert not keys.grad.any()
