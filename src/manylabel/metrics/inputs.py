"""What every metric asks of its input: scores and labels of one shape, as NumPy arrays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix, Labels

Array: TypeAlias = "np.ndarray[Any, Any]"
Scores: TypeAlias = "Tensor | np.ndarray[Any, Any]"

ENTRIES_AT_ONCE = 1 << 22
ROUNDING = 1e-6


def as_scores(scores: Scores, who: str) -> Array:
    """Scores as a floating (n, C) array of the precision they came in (bfloat16 becomes float32)."""
    if isinstance(scores, Tensor):
        scores = scores.detach().cpu()
        scores = (scores.float() if scores.dtype == torch.bfloat16 else scores).numpy()
    S = np.asarray(scores)
    if S.ndim != 2 or S.dtype.kind not in "biuf":
        raise ManyLabelError(
            who,
            "numeric scores of shape (n_rows, n_labels)",
            f"{S.dtype} of shape {S.shape}",
            "Pass one row per sample.",
        )
    if 0 in S.shape:
        raise ManyLabelError(
            who, "at least one row and one label", f"scores of shape {S.shape}", "Nothing can be measured."
        )
    S = S if S.dtype.kind == "f" else S.astype(np.float64)
    if np.isnan(S).any():
        row, label = np.argwhere(np.isnan(S))[0]
        raise ManyLabelError(
            who,
            "scores without NaN",
            f"NaN, first at row {row}, label {label}",
            "A model that gives NaN has diverged: lower its learning rate or check its input.",
        )
    return S


def scores_and_labels(scores: Scores, Y: Labels, who: str) -> tuple[Array, Array]:
    """Scores as a floating array and labels as a bool array, both (n, C).

    Raises
    ------
    ManyLabelError
        If the scores hold NaN or are not two-dimensional, the labels are not 0/1, or the shapes differ.
    """
    S = as_scores(scores, who)
    labels = LabelMatrix.of(Y, binary=True, who=who)
    if labels.shape != S.shape:
        raise ManyLabelError(
            who,
            f"labels of shape {S.shape} to match the scores",
            f"shape {labels.shape}",
            "Pass one label row per score row, with the labels in the same order.",
        )
    return S, labels.dense(torch.bool).cpu().numpy()


def check_probabilities(S: Array, who: str) -> None:
    """Refuse scores outside [0, 1], for which a threshold of 0.1 to 0.9 has no meaning."""
    low, high = float(S.min()), float(S.max())
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise ManyLabelError(
            who,
            "scores in [0, 1]",
            f"values from {low:g} to {high:g}",
            "Pass logits through a sigmoid first.",
        )


def check_k(k: int, n_labels: int, who: str) -> None:
    """Refuse a k that does not lie between 1 and the number of labels."""
    if not 1 <= k <= n_labels:
        raise ManyLabelError(
            who, f"k from 1 to the number of labels, {n_labels}", f"k = {k}", "Choose a smaller k."
        )


def blocks(n: int, width: int) -> Iterator[slice]:
    """Slices that cover ``range(n)`` in pieces of a few million entries, each of ``width`` entries a row."""
    step = max(1, ENTRIES_AT_ONCE // width)
    return (slice(start, min(start + step, n)) for start in range(0, n, step))
