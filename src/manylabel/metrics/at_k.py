"""Metrics of the k highest scores of each row, where of equal scores the lowest label index goes first.

Unknown entries leave the ranking of their row: the k highest are those of its known labels, or all of these where it
has fewer. A row without a known label is left out.
"""

from __future__ import annotations

import numpy as np

from manylabel.arrays import as_array
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix, Labels
from manylabel.metrics.inputs import (
    Block,
    check_k,
    check_number,
    known_labels,
    known_rows,
    label_totals,
    labels_of,
    row_blocks,
    scores_of_first,
    true_labels,
)
from manylabel.metrics.scores import Array, Made, Scores, TopScores, as_scores, top_mask


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
    return top_mask(S, k)


def precision_at_k(scores: Scores, Y: Labels, k: int = 1) -> float:
    """Share of true labels among the k highest scores of each row: ``mean_i |top_k(i) and y_i| / k``.

    Ties go to the lowest label index. A row without labels counts as k misses. A row with fewer than k known labels is
    divided by their number.

    Parameters
    ----------
    scores : (n, C) array or tensor, StreamedScores or TopScores
    Y : (n, C) labels, dense or sparse
    k : int, default 1
    """
    hits, _, n_known = _hits_at_k(scores, Y, k, "precision_at_k")
    asked = n_known > 0
    return float((hits[asked] * (k / np.minimum(k, n_known[asked]))).mean() / k)


def recall_at_k(scores: Scores, Y: Labels, k: int = 1) -> float:
    """Share of each row's labels found among its k highest scores: ``mean_i |top_k(i) and y_i| / |y_i|``.

    Ties go to the lowest label index. Rows without labels are left out; NaN if there are no others.

    Parameters
    ----------
    scores : (n, C) array or tensor, StreamedScores or TopScores
    Y : (n, C) labels, dense or sparse
    k : int, default 1
    """
    hits, n_true, _ = _hits_at_k(scores, Y, k, "recall_at_k")
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
    ``1 / (1 + K exp(-a log(n_c + b)))`` with ``K = (log n - 1) (b + 1)^a``; n_c of the n rows have label c. With
    unknown entries, n counts rows with a known label, and n_c is the share of those on which c is known, times n.
    """
    a = check_number(a, "propensities", "a", least=0)
    b = check_number(b, "propensities", "b", least=0, above=True)
    labels = labels_of(None, Y_train, "propensities")
    n = int((known_labels(labels) > 0).sum())
    if n < 3:
        raise ManyLabelError("propensities", "at least 3 training rows", str(n))
    counts = label_totals(labels) * (n / np.maximum(known_rows(labels), 1))
    scale = (np.log(n) - 1) * (b + 1) ** a
    return np.asarray(1 / (1 + scale * (counts + b) ** -a))


def propensity_scored_precision_at_k(scores: Scores, Y: Labels, propensity: Array, k: int = 1) -> float:
    """Precision at k in which a rare label, often missing from the record, weighs more.

    Parameters
    ----------
    scores : (n, C) array or tensor, StreamedScores or TopScores
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
    S, T = scores_of_first(scores, Y, k, who)
    p = as_array(propensity, who, "propensity").astype(np.float64)
    if p.shape != S.shape[1:] or not (np.isfinite(p) & (p > 0)).all():
        got = f"shape {p.shape}" if p.shape != S.shape[1:] else "values that are NaN, infinite or not above 0"
        hint = "Use propensities(Y_train)."
        raise ManyLabelError(who, f"propensity of shape {S.shape[1:]}, above 0", got, hint)
    gained = sum(_worth_found(S, block, k, p) for block in row_blocks(S, T))
    possible = _worth_of_best(T, k, p)
    return float(gained / possible) if possible else float("nan")


def _worth_found(S: Made | TopScores, block: Block, k: int, p: Array) -> float:
    """``1 / p`` summed over the true labels among the k highest of each row."""
    found = _first(S, block, k) & block.true
    if isinstance(S, TopScores):
        return float((found / p[S.labels[block.part]]).sum())
    return float((found / p).sum())


def _worth_of_best(T: LabelMatrix, k: int, p: Array) -> float:
    """``1 / p`` summed over the k labels of each row of which it is largest."""
    Y = T.sparse()
    rows, worth = Y.rows.numpy(), 1 / p[Y.columns.numpy()]
    order = np.lexsort((-worth, rows))  # entries of a row follow each other, whichever way they are sorted
    place = np.arange(len(rows)) - Y.offsets.numpy()[rows]
    return float(worth[order][place < k].sum())


def _first(S: Made | TopScores, block: Block, k: int) -> Array:
    """Which known scores of a block are among the k highest of their row, bool in the shape of the block."""
    if not isinstance(S, TopScores):
        return top_mask(block.scores, k, block.known)
    known = np.ones(block.true.shape, dtype=bool) if block.known is None else block.known
    return np.asarray(known & (known.cumsum(1) <= k))


def _hits_at_k(scores: Scores, Y: Labels, k: int, who: str) -> tuple[Array, Array, Array]:
    """Labels of each row among its k highest scores, all of its labels, and its known entries, (n,) int each."""
    S, T = scores_of_first(scores, Y, k, who)
    hits = [(_first(S, block, k) & block.true).sum(1) for block in row_blocks(S, T)]
    return np.concatenate(hits), true_labels(T), known_labels(T)
