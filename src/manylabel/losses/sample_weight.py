"""Sample weights of the losses: how much a row, or a label entry of it, counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from manylabel.arrays import as_weights
from manylabel.kernels.transforms import transformed
from manylabel.labels import Labels, as_labels

TINY = 1e-12  # what a sum of weights is at least, so that nothing counted gives 0


def read_weight(who: str, sample_weight: Any, shape: tuple[int, int], beside: Tensor) -> Tensor:
    """Weights as (B, 1) or (B, n_labels) on the device and in the type of ``beside``.

    Raises
    ------
    ManyLabelError
        For another shape, and for entries that are negative or not finite; in compiled code nobody looks.
    """
    if not torch.compiler.is_compiling() and not transformed():
        sample_weight = as_weights(sample_weight, shape, who)
    weight: Tensor = sample_weight.to(beside.device, beside.dtype)
    return weight[:, None] if weight.dim() == 1 else weight


def of_rows(weight: Tensor, known: Tensor | None, each: Tensor | None = None) -> Tensor:
    """The weight of each row, (B, 1): the mean of those of its known entries, where each entry has one.

    Entries of a label count ``each``, (C,), times.
    """
    if weight.shape[1] == 1:
        return weight
    counts = torch.ones_like(weight) if known is None else known.to(weight)
    counts = counts if each is None else counts * each
    return (weight * counts).sum(1, keepdim=True) / counts.sum(1, keepdim=True).clamp(min=1)


def anchor_weight(who: str, sample_weight: Any, Y: Labels, beside: Tensor) -> Tensor:
    """The weight of each row of labels or class numbers ``Y``, (B,), in the type of ``beside`` (B, ...)."""
    if np.ndim(Y) == 1:  # type: ignore[arg-type]
        return read_weight(who, sample_weight, (len(beside), 1), beside)[:, 0]
    labels = as_labels(Y, who=who).to(beside.device)
    return of_rows(read_weight(who, sample_weight, labels.shape, beside), labels.known())[:, 0]
