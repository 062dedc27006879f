"""Batches of several tiles in float32, where compiled code does the work: the numbers, and the memory for them."""

from __future__ import annotations

import pytest
import torch
from tests.losses.registry import CALLS, ENTRIES, Entry, Inputs, Size
from torch.profiler import ProfilerActivity, profile

from manylabel.losses.softmax.tiles import block_shape, tile_shape

VALUE_ERROR, GRADIENT_ERROR = 5e-7, 4e-6


def size_of(entry: Entry) -> Size:
    """More than a tile of anchors and of candidates; for KMCL what its dense form can hold."""
    if entry.loss == "kmcl":
        return Size(b=600, c=4, d=3, density=0.3)
    return Size(b=700, n=1100, c=12, d=16, density=0.15)


def computed(entry: Entry, inputs: Inputs, dtype: torch.dtype, engine: str | None):
    """Value and gradients of inputs that are float32 numbers, in another precision too."""
    floats = [t.to(dtype).requires_grad_() for t in inputs.floats]
    given = Inputs(floats, inputs.labels, [t.to(dtype) for t in inputs.constants])
    value = entry.value(given, temperature=0.1, engine=engine)
    gradients = torch.autograd.grad(value, floats, allow_unused=True, materialize_grads=True)
    return value.detach().double(), [g.double() for g in gradients]


def test_the_batches_have_several_tiles():
    cpu = torch.device("cpu")
    assert all(wide < whole for wide, whole in zip(tile_shape(700, 700, cpu), (700, 700), strict=True))
    assert all(wide < whole for wide, whole in zip(block_shape(700, 1100, cpu), (700, 1100), strict=True))


@pytest.mark.parametrize(
    ("entry", "engine"), [(entry, engine) for entry, engine in CALLS if engine != "dense"], ids=str
)
def test_float32_is_near_float64(entry, engine):
    floats, labels, constants = entry.draw(size_of(entry))
    inputs = Inputs([t.float() for t in floats], labels, [t.float() for t in constants])
    want, want_gradients = computed(entry, inputs, torch.float64, engine and "dense")
    got, gradients = computed(entry, inputs, torch.float32, engine)
    assert float((got - want).abs()) <= VALUE_ERROR * max(1.0, float(want.abs()))
    for g, w in zip(gradients, want_gradients, strict=True):
        assert float((g - w).abs().max()) <= GRADIENT_ERROR * float(w.abs().max())


def largest_allocation(entry: Entry, size: Size, engine: str) -> int:
    """Bytes, in the making of the value and the gradients of float32 inputs."""
    floats, labels, constants = entry.draw(size)
    inputs = Inputs([t.float().requires_grad_() for t in floats], labels, [t.float() for t in constants])
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        entry.value(inputs, temperature=0.1, engine=engine).backward()
    return max(event.cpu_memory_usage for event in recorded.events())


B = 1024
PAIRS = B * B * 4  # bytes of a float32 matrix of all pairs


@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if "engine" in entry.takes], ids=str)
def test_tiles_never_hold_a_matrix_of_all_pairs(entry):
    c, d = (8, 4) if entry.loss == "kmcl" else (50, 16)
    assert largest_allocation(entry, Size(b=B, n=B, c=c, d=d, density=2 / c), "streamed") < PAIRS


def test_the_dense_form_holds_one():
    (entry,) = (entry for entry in ENTRIES if str(entry) == "mulsupcon-keys")
    assert largest_allocation(entry, Size(b=B, n=B, c=50, d=16, density=0.04), "dense") >= PAIRS
