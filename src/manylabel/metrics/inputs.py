"""What every metric asks of its input: scores and labels of one shape, as NumPy arrays."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from numbers import Integral, Real
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from manylabel.arrays import as_array
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix, Labels, as_labels

Array: TypeAlias = "np.ndarray[Any, Any]"
Scores: TypeAlias = "Tensor | np.ndarray[Any, Any]"

ENTRIES_AT_ONCE = 1 << 22
ROUNDING = 1e-6


def as_scores(scores: Scores, who: str) -> Array:
    """Scores as a floating (n, C) array of the precision they came in (bfloat16 becomes float32)."""
    S = as_array(scores, who, "numeric scores")
    if S.ndim != 2:
        expected = "numeric scores of shape (n_rows, n_labels)"
        raise ManyLabelError(who, expected, f"{S.dtype} of shape {S.shape}", "Pass one row per sample.")
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
    labels = known_labels(Y, who)
    if labels.shape != S.shape:
        raise ManyLabelError(
            who,
            f"labels of shape {S.shape} to match the scores",
            f"shape {labels.shape}",
            "Pass one label row per score row, with the labels in the same order.",
        )
    return S, labels.dense(torch.bool).cpu().numpy()


def known_labels(Y: Labels, who: str) -> LabelMatrix:
    """Binary labels, every entry of which is known."""
    labels = as_labels(Y, binary=True, who=who)
    if labels.has_unknown and labels.n_unknown:
        hint = "Measure the rows, or the labels, of which every entry is known."
        expected = "labels without NaN or other unknown entries"
        raise ManyLabelError(who, expected, f"{labels.n_unknown} of them", hint)
    return labels


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
    """Refuse a k that is no integer between 1 and the number of labels."""
    whole = isinstance(k, Integral) and not isinstance(k, bool)
    if not whole or not 1 <= k <= n_labels:
        got = f"k = {k!r}"
        raise ManyLabelError(
            who, f"an integer k from 1 to the number of labels, {n_labels}", got, "Choose such a k."
        )


def check_number(value: Any, who: str, what: str, *, least: float = -math.inf, above: bool = False) -> float:
    """A finite number of at least ``least``, or above it.

    Raises
    ------
    ManyLabelError
        Names what the number is for.
    """
    number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if not number or value < least or (above and value == least):
        bound = "" if least == -math.inf else f" {'above' if above else 'of at least'} {least:g}"
        raise ManyLabelError(who, f"{what} to be a finite number{bound}", f"{value!r:.60}")
    return float(value)


def check_choice(value: Any, choices: Sequence[str], who: str, expected: str) -> None:
    """Refuse what is none of some names."""
    if not isinstance(value, str) or value not in choices:
        raise ManyLabelError(who, expected, f"{value!r:.60}")


def check_metrics(
    metrics: Any, known: Sequence[str], who: str, expected: str, hint: str = ""
) -> tuple[str, ...]:
    """Names of metrics, at least one; ``expected`` has a place for those that are known.

    Raises
    ------
    ManyLabelError
        For a text in place of a list, no name, or one that is not known.
    """
    if isinstance(metrics, str) or not isinstance(metrics, Iterable):
        raise ManyLabelError(who, "metrics as a list of names", f"{metrics!r:.60}", 'Such as ["macro_f1"].')
    names, expected = tuple(metrics), expected.format(", ".join(known))
    if not names:
        raise ManyLabelError(who, expected, "no metric", hint)
    for name in names:
        if not isinstance(name, str) or name not in known:
            raise ManyLabelError(who, expected, f"{name!r:.60}", hint)
    return names


def as_grid(thresholds: Any, who: str, *, probabilities: bool = True) -> Array:
    """Ascending thresholds, (T,) float64.

    Raises
    ------
    ManyLabelError
        For no thresholds, NaN, or such as do not ascend or, for probabilities, leave [0, 1].
    """
    grid = as_array(thresholds, who, "thresholds").astype(np.float64)
    expected = "ascending thresholds from 0 to 1" if probabilities else "ascending thresholds"
    ascending = grid.ndim == 1 and len(grid) > 0 and not np.isnan(grid).any() and (np.diff(grid) > 0).all()
    if not ascending or (probabilities and (grid[0] < 0 or grid[-1] > 1)):
        raise ManyLabelError(who, expected, f"{thresholds!r:.60}", "Sort them, and leave out repeats.")
    return grid


def blocks(n: int, width: int) -> Iterator[slice]:
    """Slices that cover ``range(n)`` in pieces of a few million entries, each of ``width`` entries a row."""
    step = max(1, ENTRIES_AT_ONCE // width)
    return (slice(start, min(start + step, n)) for start in range(0, n, step))
