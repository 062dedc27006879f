"""Whether scores can be read as probabilities."""

from __future__ import annotations

from numbers import Integral

import numpy as np

from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix, Labels
from manylabel.metrics.inputs import known_rows, row_blocks, scores_and_labels
from manylabel.metrics.scores import Array, Made, Scores, check_probabilities

_MOST_BINS = 1_000_000


def brier_score(scores: Scores, Y: Labels) -> Array:
    """Mean squared distance of score and truth, ``1/n sum_i (s_ic - y_ic)^2``, of each label.

    Defined for labels without positives too. 0 is best; the share p of positives as score gives p (1 - p). A label is
    measured on the rows on which it is known.

    Parameters
    ----------
    scores : (n, C) array or tensor in [0, 1]
    Y : (n, C) labels, dense or sparse

    Returns
    -------
    (C,) float64 array
        NaN for a label that is nowhere known.
    """
    S, T = _probabilities_and_labels(scores, Y, "brier_score")
    total = np.zeros(S.shape[1])
    for _, s, t, known in row_blocks(S, T):
        distance = np.square(s.astype(np.float64) - t)
        total += (distance if known is None else distance * known).sum(0)
    return _per_known_row(total, T)


def calibration_error(scores: Scores, Y: Labels, *, bins: int = 15) -> Array:
    """Expected calibration error of each label.

    Parameters
    ----------
    scores : (n, C) array or tensor in [0, 1]
    Y : (n, C) labels, dense or sparse
    bins : int, default 15
        Of equal width.

    Returns
    -------
    (C,) float64 array
        NaN for a label that is nowhere known.

    Notes
    -----
    ``sum_b n_b / n |mean of y in b - mean of s in b| = 1/n sum_b |sum_{i in b} (y_ic - s_ic)|`` over the bins
    b of the scores; empty bins add 0. Defined for labels without positives too. A label is measured on the rows on
    which it is known.
    """
    S, T = _probabilities_and_labels(scores, Y, "calibration_error")
    if not isinstance(bins, Integral) or isinstance(bins, bool) or not 1 <= bins <= _MOST_BINS:
        got = f"bins = {bins!r}"
        raise ManyLabelError("calibration_error", f"at least one bin, up to {_MOST_BINS}", got)
    n_labels = S.shape[1]
    excess = np.zeros(bins * n_labels)
    for _, s, t, known in row_blocks(S, T):
        s = s.astype(np.float64)
        cell = np.clip((s * bins).astype(np.int64), 0, bins - 1) + bins * np.arange(n_labels)  # (b, C)
        gap = t - s if known is None else (t - s) * known
        excess += np.bincount(cell.ravel(), weights=gap.ravel(), minlength=bins * n_labels)
    return _per_known_row(np.abs(excess).reshape(n_labels, bins).sum(1), T)


def _per_known_row(totals: Array, T: LabelMatrix) -> Array:
    """Totals of labels over the rows on which each is known, (C,)."""
    with np.errstate(invalid="ignore"):
        return np.asarray(totals / known_rows(T))


def _probabilities_and_labels(scores: Scores, Y: Labels, who: str) -> tuple[Made, LabelMatrix]:
    S, T = scores_and_labels(scores, Y, who)
    check_probabilities(S, who)
    return S, T
