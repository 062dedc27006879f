"""Gradients of contrasts that can be differentiated once more: the dense rung stands in for the one that ran."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from manylabel.errors import ManyLabelError
from manylabel.losses.precision import full_precision
from manylabel.losses.softmax.dense import contrast_dense
from manylabel.losses.softmax.job import Job
from manylabel.losses.twice import gradients_of


class Constant:
    """Candidates without a gradient, to be met again; they may be changed in the meantime where nobody does."""

    def __init__(self, keys: Tensor) -> None:
        self.keys, self.version = keys, keys._version

    def unchanged(self) -> Tensor:
        """The candidates, if they still are what they were."""
        if self.keys._version != self.version:
            got = "keys that were changed in place after the loss"
            hint = "Pass a copy of them: keys.clone()."
            raise ManyLabelError("second derivative", "the keys of the loss", got, hint)
        return self.keys


@full_precision
def contrast_again(g: Tensor, job: Job, x: Tensor, keys: Tensor | None) -> list[Tensor | None]:
    """``dL/dx`` and ``dL/dkeys`` of values weighted by ``g`` (B,), both part of a graph; holds B x N."""
    settings: tuple[Any, ...] = (job.temperature, job.normalize, job.own, job.multiplicity, job.uniform)
    return gradients_of(lambda x, keys: contrast_dense(x, keys, job.weights, *settings)[0], (x, keys), g)
