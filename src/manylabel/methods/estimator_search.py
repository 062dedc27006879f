"""A parameter chosen by cross-validation on training rows: one value for all labels, by log-loss or precision.

Values are tried in their order until one is worse than the one before, as a larger penalty is followed by a smaller one
in vain once rows are fitted too closely. Estimators without probabilities are compared by the average precision of all
entries, which asks nothing of the scale of a decision function.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from manylabel.data.splits import folds_of
from manylabel.labels import LabelMatrix

Array = np.ndarray[Any, Any]

FOLDS = 3
_LEAST = 1e-4  # of a probability in a log-loss


class Examples(NamedTuple):
    """What an estimator learns from.

    Attributes
    ----------
    X : (n, n_features) array or CSR matrix
    Y : LabelMatrix (n, n_labels)
        Of 0 and 1.
    weights : (n,) or (n, n_labels) array or None
        Of the rows, all above 0, or of the known entries.
    """

    X: Any
    Y: LabelMatrix
    weights: Array | None

    def take(self, rows: Array) -> Examples:
        """Some of the rows."""
        return Examples(self.X[rows], self.Y.take(rows), None if self.weights is None else self.weights[rows])


def chosen(
    trial: Callable[[Any, Examples, Any, int], Array], tried: Mapping[Any, Any], examples: Examples, seed: int
) -> Any:
    """The value whose estimator scores held-out rows best, the first of several.

    Parameters
    ----------
    trial : callable (estimator, examples, X, seed) -> (m, n_labels) array
        Fits a copy of an estimator and scores rows.
    tried : mapping of value to estimator, not fitted
        In the order of the search.
    examples : Examples
        With fewer than three rows the first value is taken.
    seed : int
        Deals the folds.
    """
    values = list(tried)
    if len(examples.Y) < FOLDS or len(values) == 1:
        return values[0]
    folds = folds_of(examples.Y, FOLDS, seed)
    best, highest = values[0], -np.inf
    for value in values:
        quality = float(
            np.mean([_quality(trial, tried[value], examples, folds == f, seed) for f in range(FOLDS)])
        )
        if not quality > highest:
            break
        best, highest = value, quality
    return best


def _quality(trial: Any, estimator: Any, examples: Examples, own: Array, seed: int) -> float:
    """Of one fold by an estimator of the others: higher is better."""
    held_out = examples.take(np.flatnonzero(own))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the last fit tells as well
        scores = trial(estimator, examples.take(np.flatnonzero(~own)), held_out.X, seed)
    true, known = _entries(held_out.Y)
    if hasattr(estimator, "predict_proba"):
        return -_log_loss(scores[known], true[known])
    return _average_precision(scores[known], true[known])


def _entries(Y: LabelMatrix) -> tuple[Array, Array]:
    """Which entries are 1, and which are known, (n, n_labels) bool each."""
    known = ~Y.unknown.dense(torch.bool).numpy() if Y.n_unknown else np.ones(Y.shape, dtype=bool)
    return Y.dense(torch.float32).numpy() == 1, known


def _log_loss(scores: Array, true: Array) -> float:
    p = np.where(true, scores, 1 - scores.astype(np.float64)).clip(_LEAST, 1)
    return float(-np.log(p).mean())


def _average_precision(scores: Array, true: Array) -> float:
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(true, scores)) if true.any() else 0.0
