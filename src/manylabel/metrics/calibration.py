"""Whether scores can be read as probabilities."""

from __future__ import annotations

from numbers import Integral

import numpy as np

from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix, Labels
from manylabel.metrics.inputs import row_blocks, scores_and_labels
from manylabel.metrics.scores import Array, Made, Scores, check_probabilities

_MOST_BINS = 1_000_000


def brier_score(scores: Scores, Y: Labels) -> Array:
    """Mean squared distance of score and truth, ``1/n sum_i (s_ic - y_ic)^2``, of each label.

    Defined for labels without positives too. 0 is best; the share p of positives as score gives p (1 - p).

    Parameters
    ----------
    scores : (n, C) array or tensor in [0, 1]
    Y : (n, C) labels, dense or sparse

    Returns
    -------
    (C,) float64 array
    """
    S, T = _probabilities_and_labels(scores, Y, "brier_score")
    total = np.zeros(S.shape[1])
    for _, s, t in row_blocks(S, T):
        total += np.square(s.astype(np.float64) - t).sum(0)
    return total / S.shape[0]


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

    Notes
    -----
    ``sum_b n_b / n |mean of y in b - mean of s in b| = 1/n sum_b |sum_{i in b} (y_ic - s_ic)|`` over the bins
    b of the scores; empty bins add 0. Defined for labels without positives too.
    """
    S, T = _probabilities_and_labels(scores, Y, "calibration_error")
    if not isinstance(bins, Integral) or isinstance(bins, bool) or not 1 <= bins <= _MOST_BINS:
        got = f"bins = {bins!r}"
        raise ManyLabelError("calibration_error", f"at least one bin, up to {_MOST_BINS}", got)
    n, n_labels = S.shape
    excess = np.zeros(bins * n_labels)
    for _, s, t in row_blocks(S, T):
        s = s.astype(np.float64)
        cell = np.clip((s * bins).astype(np.int64), 0, bins - 1) + bins * np.arange(n_labels)  # (b, C)
        excess += np.bincount(cell.ravel(), weights=(t - s).ravel(), minlength=bins * n_labels)
    return np.asarray(np.abs(excess).reshape(n_labels, bins).sum(1) / n)


def _probabilities_and_labels(scores: Scores, Y: Labels, who: str) -> tuple[Made, LabelMatrix]:
    S, T = scores_and_labels(scores, Y, who)
    check_probabilities(S, who)
    return S, T
