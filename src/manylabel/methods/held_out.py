"""Held-out scores of a model's training rows: each row scored by models that were not trained on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from manylabel import metrics
from manylabel.labels import LabelMatrix

Array: TypeAlias = "np.ndarray[Any, Any]"

FEWEST_ROWS = 20
"""With fewer rows nothing is held out."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Rows scored by models that were not trained on them.

    Attributes
    ----------
    scores : (m, n_labels) float32 array
    Y : LabelMatrix (m, n_labels)
    folds : (m,) int64 array
    how : str
        Where they come from.
    rows : (m,) int64 array or None, default None
        Their numbers among the training rows, the validation rows last; None where they are no training rows.
    weights : (m,) or (m, n_labels) array or None, default None
        What rows or entries count where thresholds are learnt; None where all count alike.
    """

    scores: Array
    Y: LabelMatrix
    folds: Array
    how: str
    rows: Array | None = None
    weights: Array | None = None

    def take(self, rows: Array) -> HeldOut:
        """Some of the rows, their folds numbered anew."""
        folds = np.unique(self.folds[rows], return_inverse=True)[1]
        numbers = None if self.rows is None else self.rows[rows]
        weights = None if self.weights is None else self.weights[rows]
        return HeldOut(self.scores[rows], self.Y.take(rows), folds, self.how, numbers, weights)


def most_rows(rows: Array, n_labels: int) -> Array:
    """As many of some rows, evenly drawn, as have scores of at most ``metrics.WHOLE_UP_TO`` bytes."""
    most = max(FEWEST_ROWS, metrics.WHOLE_UP_TO // (4 * n_labels))
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
