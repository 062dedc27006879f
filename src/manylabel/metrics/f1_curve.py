"""F1 at every threshold that can be told apart: one cut between each two distinct scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from manylabel.errors import ManyLabelError
from manylabel.labels import Labels
from manylabel.metrics.held_out import Column, HeldOut
from manylabel.metrics.scores import Array, Scores


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
        starts, predicted, hits = cumulative(column)
        f1 = 2 * hits / (predicted + column.positives)
        return F1Curve(cuts(starts), f1)

    @property
    def best(self) -> float:
        """The threshold of the highest F1, the lowest of several."""
        return float(self.thresholds[self.f1.argmax()])


def f1_curves(scores: Scores, Y: Labels) -> list[F1Curve]:
    """The curve of each label, for a picture or a report.

    Parameters
    ----------
    scores : (n, C) array or tensor in [0, 1]
    Y : (n, C) labels, dense or sparse

    Raises
    ------
    ManyLabelError
        If scores leave [0, 1] or hold NaN, labels do not fit them, or a label is nowhere known.
    """
    held_out = HeldOut.undivided(scores, Y, "f1_curves")
    columns = [held_out.column(label) for label in range(held_out.n_labels)]
    unknown = [str(label) for label, column in enumerate(columns) if not len(column.true)]
    if unknown:
        expected, got = "labels that are known somewhere", f"unknown ones: {', '.join(unknown[:10])}"
        raise ManyLabelError("f1_curves", expected, got, "Leave these labels out.")
    return [F1Curve.of(column) for column in columns]


def cumulative(column: Column) -> tuple[Array, Array, Array]:
    """Distinct scores upwards (T,), how many rows reach each, and how many positives do; of rows with weights, sums."""
    order = np.argsort(column.scores)
    ascending, true = column.scores[order], column.true[order]
    first = np.flatnonzero(np.r_[True, ascending[1:] > ascending[:-1]])  # where each distinct score begins
    counts = np.ones(len(order), np.int64) if column.weights is None else column.weights[order]
    reached, hits = (np.cumsum(part[::-1])[::-1][first] for part in (counts, counts * true))
    return ascending[first], reached, hits


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
        distinct, predicted, hits = cumulative(column)
        f1 = 2 * hits / (predicted + column.positives)
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
