"""Batches of several tiles in float32, where compiled code does the work: the numbers, and the memory for them."""

from __future__ import annotations

import pytest
import torch
from tests.losses.registry import CALLS, Entry, Inputs, Size

from manylabel.losses.softmax.rows import block_shape, tile_shape

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
