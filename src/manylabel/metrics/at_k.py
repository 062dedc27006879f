"""Metrics of the k highest scores of each row, where of equal scores the lowest label index goes first."""

from __future__ import annotations

import numpy as np

from manylabel.arrays import as_array
from manylabel.errors import ManyLabelError
from manylabel.labels import Labels
from manylabel.metrics.inputs import (
    Array,
    Scores,
    as_scores,
    blocks,
    check_k,
    check_number,
    known_labels,
    scores_and_labels,
)


def top_k(scores: Scores, k: int) -> Array:
    """Mark the k highest scores of each row; of equal scores the one with the lowest label index goes first.

    Parameters
    ----------
    scores : (n, C) array or tensor
    k : int
        From 1 to C.

    Returns
    -------
    (n, C) bool array
        Exactly k marks a row.
    """
    S = as_scores(scores, "top_k")
    check_k(k, S.shape[1], "top_k")
    return _top_k(S, k)


def precision_at_k(scores: Scores, Y: Labels, k: int = 1) -> float:
    """Share of true labels among the k highest scores of each row: ``mean_i |top_k(i) and y_i| / k``.

    Ties go to the lowest label index. A row without labels counts as k misses.

    Parameters
    ----------
    scores : (n, C) array or tensor
    Y : (n, C) labels, dense or sparse
    k : int, default 1
    """
    hits, _ = _hits_at_k(scores, Y, k, "precision_at_k")
    return float(hits.mean() / k)


def recall_at_k(scores: Scores, Y: Labels, k: int = 1) -> float:
    """Share of each row's labels found among its k highest scores: ``mean_i |top_k(i) and y_i| / |y_i|``.

    Ties go to the lowest label index. Rows without labels are left out; NaN if there are no others.

    Parameters
    ----------
    scores : (n, C) array or tensor
    Y : (n, C) labels, dense or sparse
    k : int, default 1
    """
    hits, T = _hits_at_k(scores, Y, k, "recall_at_k")
    n_true = T.sum(1)
    found = hits[n_true > 0] / n_true[n_true > 0]
    return float(found.mean()) if len(found) else float("nan")


def propensities(Y_train: Labels, *, a: float = 0.55, b: float = 1.5) -> Array:
    """How likely each label is to be recorded where it holds (Jain, Prabhu and Varma, 2016).

    Parameters
    ----------
    Y_train : (n, C) labels of the training rows, dense or sparse
    a, b : float
        0.55 and 1.5 by default; 0.5 and 0.4 for Wikipedia-like, 0.6 and 2.6 for Amazon-like data.

    Returns
    -------
    (C,) float64 array

    Notes
    -----
    ``1 / (1 + K exp(-a log(n_c + b)))`` with ``K = (log n - 1) (b + 1)^a``; n_c of the n rows have label c.
    """
    a = check_number(a, "propensities", "a", least=0)
    b = check_number(b, "propensities", "b", least=0, above=True)
    labels = known_labels(Y_train, "propensities")
    if labels.n_rows < 3:
        raise ManyLabelError("propensities", "at least 3 training rows", str(labels.n_rows))
    counts = labels.label_counts().double().cpu().numpy()
    scale = (np.log(labels.n_rows) - 1) * (b + 1) ** a
    return np.asarray(1 / (1 + scale * (counts + b) ** -a))


def propensity_scored_precision_at_k(scores: Scores, Y: Labels, propensity: Array, k: int = 1) -> float:
    """Precision at k in which a rare label, often missing from the record, weighs more.

    Parameters
    ----------
    scores : (n, C) array or tensor
    Y : (n, C) labels, dense or sparse
    propensity : (C,) array
        :func:`propensities` of the training labels.
    k : int, default 1

    Returns
    -------
    float
        NaN if no row has a label.

    Notes
    -----
    ``sum_i sum_{c in top_k(i)} y_ic / p_c`` divided by its largest possible value, that of the k largest
    ``y_ic / p_c`` of each row. Ties go to the lowest label index; a row without labels adds nothing to either
    sum.
    """
    who = "propensity_scored_precision_at_k"
    S, T = scores_and_labels(scores, Y, who)
    check_k(k, S.shape[1], who)
    p = as_array(propensity, who, "propensity").astype(np.float64)
    if p.shape != S.shape[1:] or not (np.isfinite(p) & (p > 0)).all():
        got = f"shape {p.shape}" if p.shape != S.shape[1:] else "values that are NaN, infinite or not above 0"
        hint = "Use propensities(Y_train)."
        raise ManyLabelError(who, f"propensity of shape {S.shape[1:]}, above 0", got, hint)
    gained = possible = 0.0
    for part in blocks(*S.shape):
        worth = T[part] / p  # (rows, C)
        gained += worth[_top_k(S[part], k)].sum()
        possible += np.partition(worth, worth.shape[1] - k, axis=1)[:, -k:].sum()
    return float(gained / possible) if possible else float("nan")


def _top_k(S: Array, k: int) -> Array:
    last = np.partition(S, S.shape[1] - k, axis=1)[:, -k, None]  # the k-th highest score of each row
    above, level = last < S, last == S
    return np.asarray(above | (level & (level.cumsum(1) <= k - above.sum(1, keepdims=True))))


def _hits_at_k(scores: Scores, Y: Labels, k: int, who: str) -> tuple[Array, Array]:
    S, T = scores_and_labels(scores, Y, who)
    check_k(k, S.shape[1], who)
    return (_top_k(S, k) & T).sum(1), T
