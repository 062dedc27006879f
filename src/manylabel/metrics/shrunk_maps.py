"""Calibration lines of labels, drawn towards that of all labels as far as labels are alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from manylabel.metrics.calibration_maps import LogisticMap, fit_map
from manylabel.metrics.held_out import Column
from manylabel.metrics.log_odds import log_odds, probability
from manylabel.metrics.scores import Array

FEWEST_LABELS = 5  # with lines of their own, from which is learnt how much lines differ
FEWEST_ROWS = 20  # known positives, and known negatives, of such a label
_WEAK, _LEAST_SPREAD = 0.01, 1e-4
_STEPS, _SETTLED = 30, 1e-8


class Prior(NamedTuple):
    """How slopes and intercepts of labels are spread: normal, around those of all entries together.

    Attributes
    ----------
    centre : (2,) float64 array
        Slope and intercept.
    precision : (2,) float64 array
        One over the variance between labels of each.
    """

    centre: Array
    precision: Array

    @staticmethod
    def of(columns: Sequence[Column]) -> Prior | None:
        """Learnt from the labels with enough rows; None where they are too few.

        Notes
        -----
        The variance between labels is what the squared distances of their own lines from the centre exceed their
        sampling variances by (the method of moments, each label weighted by one over its sampling variance).
        """
        support = [min(int(of.true.sum()), int((~of.true).sum())) for of in columns]
        rich = [of for of, rows in zip(columns, support, strict=True) if rows >= FEWEST_ROWS]
        if len(rich) < FEWEST_LABELS:
            return None
        line = fit_map("platt", Column.concat(columns))
        assert isinstance(line, LogisticMap)
        centre = np.array([line.slope, line.intercept])
        weak = Prior(centre, np.full(2, _WEAK))
        fits = [_fitted(of, weak) for of in rich]
        lines, variances = (np.array(parts) for parts in zip(*fits, strict=True))  # (k, 2) each
        weights = 1 / variances
        beyond = (weights * (lines - centre) ** 2).sum(0) - len(rich)
        return Prior(centre, 1 / np.maximum(beyond / weights.sum(0), _LEAST_SPREAD))


def shrunk_line(column: Column, prior: Prior) -> LogisticMap:
    """The line of one label: the most probable one, given its rows and the prior."""
    line, _ = _fitted(column, prior)
    return LogisticMap(max(0.0, float(line[0])), float(line[1]))


def _fitted(column: Column, prior: Prior) -> tuple[Array, Array]:
    """Slope and intercept by Newton's method, and the sampling variance of each, (2,) and (2,)."""
    z = log_odds(column.scores)
    X = np.stack([z, np.ones_like(z)], axis=1)  # (m, 2)
    line = prior.centre.copy()
    for _ in range(_STEPS):
        p = probability(X @ line)
        gradient = X.T @ (p - column.true) + prior.precision * (line - prior.centre)
        curvature = (X * (p * (1 - p))[:, None]).T @ X + np.diag(prior.precision)
        step = np.linalg.solve(curvature, gradient)
        size = np.abs(step).sum()
        line = line - step * min(1.0, 2.0 / max(size, 1e-12))  # long steps overshoot where p is near 0 or 1
        if size < _SETTLED:
            break
    return line, np.diag(np.linalg.inv(curvature))
