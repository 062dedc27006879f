"""What must hold for every registered loss, in every form, on every backend of the engine."""

from __future__ import annotations

import math
import random
from typing import NamedTuple

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.losses.registry import CALLS, ENTRIES, Entry, Inputs, Size
from torch import Tensor

from manylabel import losses
from manylabel.losses import precision

every_loss = pytest.mark.parametrize("entry", ENTRIES, ids=str)
every_call = pytest.mark.parametrize(
    ("entry", "engine"), CALLS, ids=[f"{entry}-{engine or 'only'}" for entry, engine in CALLS]
)
SMALL = precision._SMALL
DRAWS = 16  # for each loss and engine, more than a thousand in all


class Draw(NamedTuple):
    """What a loss is tried on; ``widened`` allows it to take small, sharp inputs to float64."""

    size: Size
    temperature: float
    sparse: bool
    widened: bool


def drawn(seed: str) -> Draw:
    """Evenly from all there is, temperatures by their logarithm: drawn one by one, hypothesis stays near the lowest."""
    r = random.Random(seed)
    size = Size(
        b=r.randint(1, 8),
        n=r.randint(1, 10),
        c=r.randint(1, 5),
        d=r.randint(1, 6),
        density=r.uniform(0.1, 1),
        empty=r.choice([0.0, 0.0, 0.1, 0.2, 0.3, 0.5, 1.0]),
        seed=r.getrandbits(16),
    )
    return Draw(size, 10 ** r.uniform(math.log10(0.005), 1), r.random() < 0.5, r.random() < 0.5)


def differentiable(inputs: Inputs, dtype: torch.dtype = torch.float64) -> Inputs:
    floats = [t.to(dtype).requires_grad_() for t in inputs.floats]
    return Inputs(floats, inputs.labels, [t.to(dtype) for t in inputs.constants])


def gradients(value: Tensor, inputs: Inputs) -> tuple[Tensor, ...]:
    return torch.autograd.grad(value, inputs.floats, allow_unused=True, materialize_grads=True)


def run(entry: Entry, inputs: Inputs, **settings) -> tuple[Tensor, tuple[Tensor, ...]]:
    value = entry.value(inputs, **settings)
    return value.detach(), gradients(value, inputs)


def exact(entry: Entry, inputs: Inputs, temperature: float = 0.5) -> tuple[Tensor, tuple[Tensor, ...]]:
    inputs = differentiable(inputs)
    value = entry.exact(inputs, temperature)
    return value.detach(), gradients(value, inputs)


def assert_near(got, want, tolerance: float) -> None:
    """Values relative to 1 or more, gradients relative to their largest entry or 1e-3."""
    error = abs(float(got[0]) - float(want[0]))
    assert error <= tolerance * max(1.0, abs(float(want[0]))), (float(got[0]), float(want[0]))
    for g, w in zip(got[1], want[1], strict=True):
        assert float((g.double() - w).abs().max()) <= tolerance * max(1e-3, float(w.abs().max()))


def test_every_registered_loss_is_in_the_table():
    assert {entry.loss for entry in ENTRIES} == set(losses.names())


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if "engine" in entry.takes], ids=str)
@pytest.mark.parametrize("engine", ["dense", "streamed", "flash"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_backend_that_ran_is_recorded(entry, engine, dtype):
    loss = losses.get(entry.loss, engine=engine, **entry.settings)
    floats, labels, constants = differentiable(entry.draw(Size()), dtype)
    entry.call(loss, [*floats, *constants], labels)
    assert loss.backend == entry.backend(engine, floats[0])


@every_call
@settings(max_examples=DRAWS, derandomize=True, database=None, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_float32_is_finite_and_near_its_float64_twin(entry, engine, seed):
    draw = drawn(f"{entry} {engine} {seed}")
    inputs = differentiable(entry.draw(draw.size), torch.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(precision, "_SMALL", SMALL if draw.widened else 0)
        value, grads = run(entry, inputs, engine=engine, temperature=draw.temperature, sparse=draw.sparse)
    assert bool(value.isfinite()), draw
    assert all(bool(g.isfinite().all()) for g in grads), draw
    want = float(exact(entry, inputs, draw.temperature)[0])
    assert abs(float(value) - want) <= 1e-5 * max(1.0, abs(want)), draw


@every_call
@pytest.mark.parametrize(
    "size", [Size(), Size(b=1), Size(b=1, n=1, empty=0.0), Size(c=1), Size(empty=1.0)], ids=str
)
def test_equals_its_slow_twin(entry, engine, size):
    inputs = differentiable(entry.draw(size))
    assert_near(run(entry, inputs, engine=engine), exact(entry, inputs), 1e-10)


@every_call
def test_sparse_labels_are_dense_labels(entry, engine):
    inputs = differentiable(entry.draw(Size(b=12)))
    dense = run(entry, inputs, engine=engine)
    assert_near(run(entry, inputs, engine=engine, sparse=True), dense, 1e-12)


@every_call
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_float32_inside(entry, engine, dtype):
    inputs = differentiable(entry.draw(Size(d=16)), dtype)
    value, grads = run(entry, inputs, engine=engine, temperature=1.0)
    assert value.dtype == torch.float32
    assert all(g.dtype == dtype for g in grads)
    want = exact(entry, inputs, 1.0)
    assert_near((value, ()), (want[0], ()), 1e-6)
    assert_near((value, grads), want, 4 * torch.finfo(dtype).eps)


@pytest.mark.parametrize(
    ("entry", "engine"),
    [(entry, engine) for entry, engine in CALLS if "reduction" in entry.takes],
    ids=str,
)
def test_reduction_none_gives_a_value_per_row(entry, engine):
    size = Size(b=11, density=0.5, empty=0.1)
    inputs = differentiable(entry.draw(size))
    values = entry.value(inputs, engine=engine, reduction="none")
    want = entry.exact(inputs, reduction="none")
    assert values.shape == (size.b + (size.c if entry.loss in ("reg", "wrg") else 0),)
    assert values.unique().numel() > 3  # so that values in another order would be noticed
    torch.testing.assert_close(values, want, rtol=1e-10, atol=1e-10)
    weights = torch.linspace(1, 2, len(values), dtype=torch.float64)
    torch.testing.assert_close(gradients(values @ weights, inputs), gradients(want @ weights, inputs))
    total = run(entry, inputs, engine=engine, reduction="sum")
    values = entry.value(inputs, engine=engine, reduction="none")
    assert_near((values.detach().sum(), gradients(values.sum(), inputs)), total, 1e-12)


@pytest.mark.parametrize(
    ("entry", "engine"),
    [(entry, engine) for entry, engine in CALLS if engine and entry.loss != "kmcl"],
    ids=str,
)
@pytest.mark.parametrize("size", [Size(), Size(b=1), Size(empty=1.0)], ids=str)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_values_of_rows_over_the_divisor_are_the_mean(entry, engine, size, reduction):
    inputs = entry.draw(size)
    recorded = entry.build(engine=engine, reduction=reduction)
    entry.called(recorded, inputs)
    assert float(recorded.divisor) == pytest.approx(float(entry.exact(inputs, reduction="divisor")))
    assert not recorded.divisor.requires_grad
    values = entry.value(inputs, engine=engine, reduction="none")
    mean = entry.value(inputs, engine=engine)
    torch.testing.assert_close(mean * recorded.divisor, values.sum(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("entry", "engine"),
    [(entry, engine) for entry, engine in CALLS if entry.loss != "reg"],  # its weights hold the softmax
    ids=str,
)
def test_gradient_of_every_row(entry, engine):
    inputs = differentiable(entry.draw(Size(b=4, n=5, c=3, d=3)))
    constant = {"detach_focus": False, "gamma_neg": 0.0, "reduction": "none", "engine": engine}
    assert torch.autograd.gradcheck(
        lambda *floats: entry.value(inputs._replace(floats=list(floats)), **constant),
        inputs.floats,
        fast_mode=True,
    )
