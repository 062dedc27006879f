"""Gradients of contrasts that can be differentiated once more: the dense backend stands in for the one that ran."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from manylabel.errors import ManyLabelError
from manylabel.losses.second_derivatives import gradients_of
from manylabel.losses.softmax.accumulator import Accumulator
from manylabel.losses.softmax.dense import contrast_dense


@dataclass(eq=False)
class Constant:
    """Candidates without a gradient, to be met again; they may be changed in the meantime where nobody does.

    ``version`` is the ``keys._version`` of the time when they were met first.
    """

    keys: Tensor
    version: int

    def unchanged(self) -> Tensor:
        """The candidates, if they still are what they were."""
        if self.keys._version != self.version:
            got = "keys that were changed in place after the loss"
            hint = "Pass a copy of them: keys.clone()."
            raise ManyLabelError("second derivative", "the keys of the loss", got, hint)
        return self.keys


def contrast_again(
    g: Tensor, accumulator: Accumulator, x: Tensor, keys: Tensor | None
) -> list[Tensor | None]:
    """``dL/dx`` and ``dL/dkeys`` of values weighted by ``g`` (B,), both part of a graph; holds B x N."""
    weights, tau, sides = accumulator.weights, accumulator.temperature, accumulator.normalize
    rest: tuple[Any, ...] = (accumulator.self_offset, accumulator.multiplicity, accumulator.uniform)
    return gradients_of(lambda x, k: contrast_dense(x, k, weights, tau, sides, *rest)[0], (x, keys), g)
