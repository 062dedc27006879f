"""F1 at every threshold that can be told apart: one cut between each two distinct scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from manylabel.metrics.held_out import Column
from manylabel.metrics.inputs import Array


@dataclass(frozen=True, eq=False)
class F1Curve:
    """F1 of one label against its threshold.

    Attributes
    ----------
    thresholds : (T,) ascending array of the precision of the scores
        The lowest score, below which all rows are predicted, and a cut between each two distinct scores.
    f1 : (T,) float64 array
        0 where the label has no positive.
    """

    thresholds: Array
    f1: Array

    @staticmethod
    def of(column: Column) -> F1Curve:
        """The curve of one label, in O(m log m) for m rows."""
        starts, predicted, hits = cumulative(column.scores, column.true)
        f1 = 2 * hits / (predicted + column.true.sum())
        return F1Curve(cuts(starts), f1)

    @property
    def best(self) -> float:
        """The threshold of the highest F1, the lowest of several."""
        return float(self.thresholds[self.f1.argmax()])


def cumulative(scores: Array, true: Array) -> tuple[Array, Array, Array]:
    """Distinct scores upwards (T,), how many rows reach each, and how many positives do."""
    order = np.argsort(scores)
    ascending = scores[order]
    first = np.flatnonzero(np.r_[True, ascending[1:] > ascending[:-1]])  # where each distinct score begins
    hits_below = np.r_[0, np.cumsum(true[order])]
    return ascending[first], len(scores) - first, hits_below[-1] - hits_below[first]


def cuts(distinct: Array) -> Array:
    """The lowest score, then the middle of each two neighbours, (T,) in their precision.

    The middle of two neighbouring floats rounds to one of them: the upper one is taken, so that ``score >= cut``
    splits them.
    """
    low, high = distinct[:-1], distinct[1:]
    middle = low + (high - low) / 2
    return np.concatenate([distinct[:1], np.where(middle > low, middle, high)])


def best_shared(columns: list[Column]) -> float:
    """The one threshold with the highest macro-F1 over labels, the lowest of several; 0.5 without any positive.

    From the highest score down, each distinct score of a label changes that label's F1 alone: the macro-F1 at any
    threshold is the sum of the changes at and above it. O(N log N) for N entries.
    """
    scores, changes = [], []
    for column in (column for column in columns if column.true.any()):
        distinct, predicted, hits = cumulative(column.scores, column.true)
        f1 = 2 * hits / (predicted + column.true.sum())
        scores.append(distinct)
        changes.append(f1 - np.r_[f1[1:], 0.0])
    if not scores:
        return 0.5
    every, change = np.concatenate(scores), np.concatenate(changes)
    order = np.argsort(every)
    ascending = every[order]
    first = np.flatnonzero(np.r_[True, ascending[1:] > ascending[:-1]])
    total = change[order][::-1].cumsum()[::-1][first]
    total = np.round(total, 9)  # sums in another order differ in their last digits
    return float(cuts(ascending[first])[total.argmax()])
