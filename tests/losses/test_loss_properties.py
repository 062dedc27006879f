"""What holds for contrastive losses in particular, on every backend; see ``test_every_loss`` for the rest."""

from __future__ import annotations

import pytest
import torch
from tests.losses.registry import ENGINES, SOFT, TWINS, Case, assert_near, case, run, twin
from torch.nn.functional import one_hot

from manylabel import losses
from manylabel.losses.softmax.tiles import tile_size

NAMES = tuple(TWINS)
every_loss = pytest.mark.parametrize("name", NAMES)
every_engine = pytest.mark.parametrize("engine", ENGINES)
both_ways = pytest.mark.parametrize("in_batch", [False, True], ids=["keys", "in_batch"])


def permuted(c: Case, rows=None, candidates=None, columns=None) -> Case:
    rows = torch.arange(len(c.x)) if rows is None else rows
    candidates = torch.arange(len(c.keys)) if candidates is None else candidates
    columns = torch.arange(c.Y.shape[1]) if columns is None else columns
    return Case(c.x[rows], c.Y[rows][:, columns], c.keys[candidates], c.T[candidates][:, columns])


@every_loss
@every_engine
@both_ways
@pytest.mark.parametrize("shape", [(9, 14, 5), (6, 1, 2), (20, 40, 8)])
@pytest.mark.parametrize("normalize", [True, False])
def test_equals_its_slow_twin(name, engine, in_batch, shape, normalize):
    b, n, c = shape
    given_case = case(name, b, n, c, seed=b)
    got = run(name, given_case, in_batch, engine=engine, temperature=0.2, normalize=normalize)
    assert_near(got, twin(name, given_case, in_batch, 0.2, normalize), 1e-10)


@every_loss
@both_ways
@pytest.mark.parametrize("tile", [(1, 1), (2, 3), (5, 4), (64, 7)])
@pytest.mark.parametrize("temperature", [0.3, 0.01])
def test_tile_size_does_not_matter(name, in_batch, tile, temperature):
    c = case(name, 11, 17, 4)
    want = run(name, c, in_batch, engine="dense", temperature=temperature)
    with tile_size(*tile):
        got = run(name, c, in_batch, engine="streamed", temperature=temperature)
    assert_near(got, want, 1e-10)


@every_loss
@every_engine
@both_ways
def test_order_does_not_matter(name, engine, in_batch):
    c = case(name)
    value, grads = run(name, c, in_batch, engine=engine)
    rows = torch.randperm(len(c.x))
    moved_value, moved = run(name, permuted(c, rows=rows), in_batch, engine=engine)
    assert_near((moved_value, [moved[0]]), (value, [grads[0][rows]]), 1e-12)
    columns = torch.randperm(c.Y.shape[1])
    assert_near(run(name, permuted(c, columns=columns), in_batch, engine=engine), (value, grads), 1e-12)
    if not in_batch:
        candidates = torch.randperm(len(c.keys))
        moved_value, moved = run(name, permuted(c, candidates=candidates), in_batch, engine=engine)
        assert_near((moved_value, moved), (value, [grads[0], grads[1][candidates]]), 1e-12)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "decoupled"])
@every_engine
@both_ways
def test_one_label_a_row_is_supcon(name, engine, in_batch):
    c = case("supcon", density=0.2)
    assert_near(
        run(name, c, in_batch, engine=engine, temperature=0.1),
        run("supcon", c, in_batch, engine=engine, temperature=0.1)
        if _every_label_is_shared(c, in_batch)
        else twin(name, c, in_batch, 0.1),
        1e-7 if name == "base" else 1e-10,
    )


def _every_label_is_shared(c: Case, in_batch: bool) -> bool:
    counts = c.Y.sum(0) - 1 if in_batch else c.T.sum(0)
    return bool((counts[c.Y.sum(0) > 0] > 0).all())


@every_loss
@every_engine
def test_constant_keys_with_sparse_labels(name, engine):
    c = case(name)
    value, grads = run(name, c, False, engine=engine)
    constant = run(name, c, False, engine=engine, keys_grad=False, sparse=True)
    assert_near(constant, (value, grads[:1]), 1e-12)


@every_loss
@every_engine
@both_ways
def test_nothing_contributes(name, engine, in_batch):
    c = case(name)
    c.Y[:], c.T[:] = 0, 0
    if name == "all":
        c.Y[:, 0] = 1  # rows without labels would match each other
        c.Y[torch.arange(4), torch.arange(1, 5)] = 1
        c = Case(c.x[:4], c.Y[:4], c.keys, c.T)
    value, grads = run(name, c, in_batch, engine=engine)
    assert float(value) == 0
    assert all(bool((g == 0).all()) for g in grads)


@every_loss
@every_engine
@both_ways
def test_a_row_of_zeros_gives_finite_numbers(name, engine, in_batch):
    c = case(name, b=8).to(torch.float32)
    c.x[2], c.keys[3] = 0, 0
    value, grads = run(name, c, in_batch, engine=engine)
    assert bool(value.isfinite())
    assert all(bool(g.isfinite().all()) for g in grads)
    assert bool((grads[0][2] == 0).all())


@every_loss
@both_ways
def test_autocast_changes_nothing(name, in_batch):
    c = case(name, d=16).to(torch.float32)
    want = run(name, c, in_batch, engine="streamed")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = run(name, c, in_batch, engine="streamed")
    assert_near(got, want, 1e-6)


@every_loss
@both_ways
def test_dense_backend_is_twice_differentiable(name, in_batch):
    c = case(name, b=4, n=5, d=3)
    loss = losses.get(name, temperature=0.5, engine="dense")
    x, keys = c.x.requires_grad_(), c.keys.requires_grad_()
    if in_batch:
        assert torch.autograd.gradgradcheck(lambda a: loss(a, c.Y), (x,))
    else:
        assert torch.autograd.gradgradcheck(lambda a, k: loss(a, c.Y, k, c.T), (x, keys))


@pytest.mark.parametrize("name", SOFT)
@every_engine
@both_ways
@pytest.mark.parametrize("sparse", [False, True])
def test_soft_labels_are_weights(name, engine, in_batch, sparse):
    c = case(name)
    g = torch.Generator().manual_seed(1)
    c.Y = (c.Y * torch.rand(c.Y.shape, generator=g)).double()
    c.T = (c.T * torch.rand(c.T.shape, generator=g)).double()
    assert_near(run(name, c, in_batch, engine=engine, sparse=sparse), twin(name, c, in_batch, 0.1), 1e-10)


def test_class_numbers_are_one_hot_rows():
    c = case("supcon")
    loss = losses.get("supcon")
    want = loss(c.x, c.Y, c.keys, c.T)
    torch.testing.assert_close(loss(c.x, c.Y.argmax(1), c.keys, c.T.argmax(1)), want)
    torch.testing.assert_close(loss(c.x, c.Y.argmax(1).numpy(), c.keys, c.T.argmax(1).tolist()), want)
    torch.testing.assert_close(loss(c.x, c.Y.argmax(1) * 10**12, c.keys, c.T.argmax(1) * 10**12), want)


def test_negative_class_number_is_no_label():
    c = case("supcon")
    numbers = c.Y.argmax(1)
    numbers[2] = -1
    rows = one_hot(numbers.clamp(min=0), c.Y.shape[1])
    rows[2] = 0
    loss = losses.get("supcon")
    torch.testing.assert_close(loss(c.x, numbers), loss(c.x, rows))
