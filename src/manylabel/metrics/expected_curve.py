"""Thresholds per label for the macro-F1: each label's own F1 curve, drawn towards the curve that its scores expect."""

from __future__ import annotations

import numpy as np

from manylabel.metrics.scores import Array
from manylabel.metrics.sets import Tally

FINE_GRID = (
    *(float(f"{t:.4f}") for t in np.geomspace(0.005, 0.1, 20)),
    *(round(0.11 + 0.01 * i, 2) for i in range(89)),
)
"""0.005 to 0.1 in geometric steps, for rare labels, then by 0.01 to 0.99."""
SHRINKAGE = 100.0
"""Positives at which a label's own curve weighs as much as the expected one."""


def shrunk_thresholds(labels: Tally, grid: Array) -> Array:
    """A threshold for each label, (C,) float64.

    Parameters
    ----------
    labels : Tally (C, T)
        Counts of held-out rows at the thresholds of ``grid``.
    grid : (T,) ascending array

    Notes
    -----
    With n_j rows that carry label j, F_j(t) their F1 at threshold t, and a_j = n_j / (n_j + 100), the threshold is the
    lowest that maximises

        a_j F_j(t) + (1 - a_j) E_j(t),   E_j(t) = 2 sum_{i: s_ij >= t} q_ij / (#{i: s_ij >= t} + sum_i q_ij),

    where q_ij is the share of positives, over all labels, among entries whose score lies between the same two
    thresholds as s_ij, made to rise with the score by isotonic regression: what the F1 would be expected to be.
    """
    curve = np.nan_to_num(labels.f1())
    own = labels.true / (labels.true + SHRINKAGE)  # (C, 1)
    return np.asarray(grid[(own * curve + (1 - own) * expected_curve(labels)).argmax(1)], dtype=np.float64)


def expected_curve(labels: Tally) -> Array:
    """The F1 that each label's scores expect at each threshold, (C, T)."""
    above = np.hstack(
        [labels.known, labels.predicted]
    )  # (C, T + 1), from all entries to the highest threshold
    carried = np.hstack([labels.true, labels.hits])
    q = _rising_shares(_between(carried).sum(0), _between(above).sum(0))  # (T + 1,)
    expected = (_between(above) * q)[:, ::-1].cumsum(1)[:, ::-1]
    bottom = labels.predicted + expected[:, :1]
    return np.asarray(np.divide(2 * expected[:, 1:], bottom, out=np.zeros(bottom.shape), where=bottom > 0))


def _between(above: Array) -> Array:
    """Entries from one threshold to the next, of entries above each, (C, T + 1) both."""
    return np.asarray(above - np.hstack([above[:, 1:], np.zeros((len(above), 1), above.dtype)]))


def _rising_shares(positives: Array, entries: Array) -> Array:
    from sklearn.isotonic import isotonic_regression

    shares = np.divide(positives, entries, out=np.zeros(len(entries)), where=entries > 0)
    return np.asarray(isotonic_regression(shares, sample_weight=entries.clip(0) + 1e-9))
