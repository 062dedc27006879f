"""Maps from scores to probabilities of each label, one kind a class: logistic (Platt, temperature) and isotonic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from manylabel.metrics.held_out import Column
from manylabel.metrics.log_odds import NEAREST, log_odds, probability
from manylabel.metrics.scores import Array

FittedKind: TypeAlias = Literal["identity", "temperature", "platt", "isotonic"]
Kind: TypeAlias = FittedKind | Literal["shrunk"]
KINDS: tuple[FittedKind, ...] = get_args(FittedKind)
"""Those that the rows of one column are enough for."""

PENALTY = 100.0
"""Inverse weight of a ridge on the slope, which keeps it finite where scores split the classes."""


@dataclass(frozen=True)
class LogisticMap:
    """``p = 1 / (1 + exp(-(slope log(s / (1 - s)) + intercept)))``: the identity at slope 1 and intercept 0.

    Attributes
    ----------
    slope : float
        At least 0.
    intercept : float
    """

    slope: float
    intercept: float

    def __call__(self, scores: Array) -> Array:
        """Probabilities, (m,) -> (m,) float64."""
        return probability(self.slope * log_odds(scores) + self.intercept)


@dataclass(frozen=True, eq=False)
class IsotonicMap:
    """A rising line through knots, level outside of them.

    Attributes
    ----------
    knots : (k,) ascending float64 array
        Scores.
    values : (k,) float64 array
        Probabilities, which never fall.
    """

    knots: Array
    values: Array

    def __call__(self, scores: Array) -> Array:
        """Probabilities, (m,) -> (m,) float64."""
        return np.interp(scores, self.knots, self.values)


CalibrationMap: TypeAlias = LogisticMap | IsotonicMap


def fit_map(kind: FittedKind, column: Column) -> CalibrationMap:
    """Fit a map of one kind to a label that has positives and negatives."""
    if kind == "identity":
        return LogisticMap(1.0, 0.0)
    return _isotonic(column) if kind == "isotonic" else _logistic(column, intercept=kind == "platt")


def log_loss(of: CalibrationMap, column: Column) -> float:
    """Sum over rows of ``-log P(truth)``, of probabilities that stay off 0 and 1 by 1e-12."""
    p = np.clip(of(column.scores), NEAREST, 1 - NEAREST)
    return float(-np.log(np.where(column.true, p, 1 - p)).sum())


def _logistic(column: Column, intercept: bool) -> LogisticMap:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=PENALTY, fit_intercept=intercept, solver="newton-cholesky")
    model.fit(log_odds(column.scores)[:, None], column.true)
    slope = float(model.coef_[0, 0])
    if slope > 0:
        return LogisticMap(slope, float(np.ravel(model.intercept_)[0]))
    # scores that run against the truth say nothing: the share of positives is left, or one half
    share = (column.true.sum() + 1) / (len(column.true) + 2)
    return LogisticMap(0.0, float(log_odds(share)) if intercept else 0.0)


def _isotonic(column: Column) -> IsotonicMap:
    from sklearn.isotonic import IsotonicRegression

    # a level never seen to err still errs once in n + 2
    least = 1 / (len(column.true) + 2)
    model = IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip")
    model.fit(column.scores.astype(np.float64), column.true)
    return IsotonicMap(model.X_thresholds_.astype(np.float64), model.y_thresholds_.astype(np.float64))
