"""What must hold for every contrastive loss on every rung of the engine."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.losses.cases import ENGINES, SOFT, TWINS, Case, assert_near, case, run, twin
from torch.nn.functional import one_hot

from manylabel import losses
from manylabel.losses.softmax import anchored
from manylabel.losses.softmax import mutual as mutual_walk

NAMES = tuple(TWINS)
every_loss = pytest.mark.parametrize("name", NAMES)
every_engine = pytest.mark.parametrize("engine", ENGINES)
both_ways = pytest.mark.parametrize("mutual", [False, True], ids=["keys", "mutual"])


def permuted(c: Case, rows=None, candidates=None, columns=None) -> Case:
    rows = torch.arange(len(c.x)) if rows is None else rows
    candidates = torch.arange(len(c.keys)) if candidates is None else candidates
    columns = torch.arange(c.Y.shape[1]) if columns is None else columns
    return Case(c.x[rows], c.Y[rows][:, columns], c.keys[candidates], c.T[candidates][:, columns])


@every_loss
@every_engine
@both_ways
@pytest.mark.parametrize("shape", [(9, 14, 5), (1, 1, 3), (1, 4, 3), (6, 1, 2), (33, 70, 12)])
@pytest.mark.parametrize("normalize", [True, False])
def test_equals_its_slow_twin(name, engine, mutual, shape, normalize):
    b, n, c = shape
    given_case = case(name, b, n, c, seed=b)
    got = run(name, given_case, mutual, engine=engine, temperature=0.2, normalize=normalize)
    assert_near(got, twin(name, given_case, mutual, 0.2, normalize), 1e-10)


@every_loss
@both_ways
@pytest.mark.parametrize("tile", [(1, 1), (2, 3), (5, 4), (64, 7)])
@pytest.mark.parametrize("temperature", [0.3, 0.01])
def test_tile_size_does_not_matter(name, mutual, tile, temperature, monkeypatch):
    c = case(name, 11, 17, 4)
    want = run(name, c, mutual, engine="dense", temperature=temperature)
    for walk in (anchored, mutual_walk):
        monkeypatch.setattr(walk, "tile_shape", lambda *_: tile)
    assert_near(run(name, c, mutual, engine="streamed", temperature=temperature), want, 1e-10)


@every_loss
@every_engine
@both_ways
def test_order_does_not_matter(name, engine, mutual):
    c = case(name)
    value, grads = run(name, c, mutual, engine=engine)
    rows = torch.randperm(len(c.x))
    moved_value, moved = run(name, permuted(c, rows=rows), mutual, engine=engine)
    assert_near((moved_value, [moved[0]]), (value, [grads[0][rows]]), 1e-12)
    columns = torch.randperm(c.Y.shape[1])
    assert_near(run(name, permuted(c, columns=columns), mutual, engine=engine), (value, grads), 1e-12)
    if not mutual:
        candidates = torch.randperm(len(c.keys))
        moved_value, moved = run(name, permuted(c, candidates=candidates), mutual, engine=engine)
        assert_near((moved_value, moved), (value, [grads[0], grads[1][candidates]]), 1e-12)


@every_loss
@every_engine
@both_ways
def test_one_label_a_row_is_supcon(name, engine, mutual):
    c = case("supcon", density=0.2)
    assert_near(
        run(name, c, mutual, engine=engine),
        run("supcon", c, mutual, engine=engine)
        if _every_label_is_shared(c, mutual)
        else twin(name, c, mutual, 0.1),
        1e-7 if name == "base" else 1e-10,
    )


def _every_label_is_shared(c: Case, mutual: bool) -> bool:
    counts = c.Y.sum(0) - 1 if mutual else c.T.sum(0)
    return bool((counts[c.Y.sum(0) > 0] > 0).all())


@every_loss
@every_engine
@both_ways
@pytest.mark.parametrize("keys_grad", [True, False])
def test_sparse_labels_are_dense_labels(name, engine, mutual, keys_grad):
    c = case(name)
    dense = run(name, c, mutual, engine=engine, keys_grad=keys_grad)
    assert_near(run(name, c, mutual, engine=engine, keys_grad=keys_grad, sparse=True), dense, 1e-12)


@every_loss
@every_engine
@both_ways
def test_nothing_contributes(name, engine, mutual):
    c = case(name)
    c.Y[:], c.T[:] = 0, 0
    if name == "all":
        c.Y[:, 0] = 1  # rows without labels would match each other
        c.Y[torch.arange(4), torch.arange(1, 5)] = 1
        c = Case(c.x[:4], c.Y[:4], c.keys, c.T)
    value, grads = run(name, c, mutual, engine=engine)
    assert float(value) == 0
    assert all(bool((g == 0).all()) for g in grads)


@every_loss
@every_engine
def test_batch_of_one_against_itself(name, engine):
    c = case(name, b=1)
    c.Y[0, 0] = 1 if name != "supcon" else c.Y[0, 0]
    value, (grad,) = run(name, c, True, engine=engine)
    assert float(value) == 0
    assert bool((grad == 0).all())


@every_loss
@every_engine
@both_ways
def test_a_row_of_zeros_gives_finite_numbers(name, engine, mutual):
    c = case(name, b=8).to(torch.float32)
    c.x[2], c.keys[3] = 0, 0
    value, grads = run(name, c, mutual, engine=engine)
    assert bool(value.isfinite())
    assert all(bool(g.isfinite().all()) for g in grads)
    assert bool((grads[0][2] == 0).all())


@every_loss
@every_engine
@both_ways
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_float32_inside(name, engine, mutual, dtype):
    c = case(name, d=16).to(dtype)
    value, grads = run(name, c, mutual, engine=engine)
    assert value.dtype == torch.float32
    assert all(g.dtype == dtype for g in grads)
    want = twin(name, c, mutual, 0.1)
    assert_near((value, []), (want[0], []), 1e-6)
    assert_near((value, grads), want, 4 * torch.finfo(dtype).eps)


@every_loss
@both_ways
def test_autocast_changes_nothing(name, mutual):
    c = case(name, d=16).to(torch.float32)
    want = run(name, c, mutual, engine="streamed")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = run(name, c, mutual, engine="streamed")
    assert_near(got, want, 1e-6)


@every_loss
@every_engine
@both_ways
def test_reductions_agree(name, engine, mutual):
    c = case(name)
    rows, _ = run(name, c, mutual, engine=engine, reduction="none")
    total, grads = run(name, c, mutual, engine=engine, reduction="sum")
    mean, mean_grads = run(name, c, mutual, engine=engine)
    assert rows.shape == (len(c.x),)
    torch.testing.assert_close(rows.sum(), total)
    divisor = total / mean
    assert abs(float(divisor) - round(float(divisor))) < 1e-9
    torch.testing.assert_close(mean_grads[0] * divisor, grads[0])


@every_loss
@every_engine
@both_ways
def test_gradient_of_every_row(name, engine, mutual):
    c = case(name, b=5, n=6, d=3)
    loss = losses.get(name, reduction="none", temperature=0.5, engine=engine)
    x, keys = c.x.requires_grad_(), c.keys.requires_grad_()
    if mutual:
        assert torch.autograd.gradcheck(lambda a: loss(a, c.Y), (x,))
    else:
        assert torch.autograd.gradcheck(lambda a, k: loss(a, c.Y, k, c.T), (x, keys))


@every_loss
@both_ways
def test_dense_rung_is_twice_differentiable(name, mutual):
    c = case(name, b=4, n=5, d=3)
    loss = losses.get(name, temperature=0.5, engine="dense")
    x, keys = c.x.requires_grad_(), c.keys.requires_grad_()
    if mutual:
        assert torch.autograd.gradgradcheck(lambda a: loss(a, c.Y), (x,))
    else:
        assert torch.autograd.gradgradcheck(lambda a, k: loss(a, c.Y, k, c.T), (x, keys))


@pytest.mark.parametrize("name", SOFT)
@every_engine
@both_ways
@pytest.mark.parametrize("sparse", [False, True])
def test_soft_labels_are_weights(name, engine, mutual, sparse):
    c = case(name)
    g = torch.Generator().manual_seed(1)
    c.Y = (c.Y * torch.rand(c.Y.shape, generator=g)).double()
    c.T = (c.T * torch.rand(c.T.shape, generator=g)).double()
    assert_near(run(name, c, mutual, engine=engine, sparse=sparse), twin(name, c, mutual, 0.1), 1e-10)


@given(
    b=st.integers(1, 12),
    n=st.integers(1, 20),
    n_labels=st.integers(1, 6),
    density=st.floats(0, 1),
    temperature=st.floats(0.005, 10),
    seed=st.integers(0, 1000),
    mutual=st.booleans(),
    engine=st.sampled_from(ENGINES),
    name=st.sampled_from(NAMES),
)
@settings(max_examples=120, deadline=None)
def test_any_shape_density_and_temperature(b, n, n_labels, density, temperature, seed, mutual, engine, name):
    c = case(name, b, n, n_labels, d=5, density=density, seed=seed).to(torch.float32)
    value, grads = run(name, c, mutual, engine=engine, temperature=temperature)
    assert bool(value.isfinite())
    assert all(bool(g.isfinite().all()) for g in grads)
    assert_near((value, []), (twin(name, c, mutual, temperature)[0], []), 1e-5)


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
