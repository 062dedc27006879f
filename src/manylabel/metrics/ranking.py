"""Metrics of the order of the scores: no threshold, any monotone transform of the scores gives the same value.

Labels that share a score enter together, so no value depends on the order in which ties happen to be sorted; only
the metrics that cut after exactly k labels need a rule for ties, and say which.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix, Labels
from manylabel.metrics.inputs import Array, Scores, as_scores, blocks, check_k, scores_and_labels

Absent: TypeAlias = Literal["leave_out", "zero"]


def average_precision(scores: Scores, Y: Labels, *, counted: Array | None = None) -> Array:
    """Average precision of each label.

    Parameters
    ----------
    scores : (n, C) array or tensor
        Any real scores; only their order within a label matters.
    Y : (n, C) labels, dense or sparse
    counted : (n, C) bool array, optional
        False takes an entry out of the ranking of its label (the "difficult" objects of VOC). Default: all count.

    Returns
    -------
    (C,) float64 array
        NaN for a label without positives, for which no precision can be averaged.

    Notes
    -----
    ``AP_c = sum_t (recall_t - recall_{t-1}) precision_t`` over the distinct scores t of the label from high to low:
    rows that share a score enter together, nothing is interpolated. Equal to scikit-learn's
    ``average_precision_score``.

    Raises
    ------
    ManyLabelError
        If shapes differ, scores hold NaN or labels are not 0/1.
    """
    who = "average_precision"
    S, T = scores_and_labels(scores, Y, who)
    n, n_labels = S.shape
    if counted is not None:
        counted = _check_mask(counted, S.shape, who)
        T = T & counted
    total = np.empty(n_labels)
    for part in blocks(n_labels, n):
        ties = _tie_groups(S[:, part].T, T[:, part].T, None if counted is None else counted[:, part].T)
        total[part] = ties.sum(ties.gain * ties.hits / ties.rank)
    with np.errstate(invalid="ignore"):
        return total / T.sum(0)


def mean_average_precision(
    scores: Scores, Y: Labels, *, absent: Absent = "leave_out", counted: Array | None = None
) -> float:
    """mAP: the mean of :func:`average_precision` over the labels.

    Parameters
    ----------
    scores, Y, counted
        As in :func:`average_precision`.
    absent : "leave_out" or "zero", default "leave_out"
        A label without positives is left out of the mean, or counts as 0 (what scikit-learn's and torchmetrics'
        plain means do).

    Returns
    -------
    float
        NaN if no label has a positive and absent labels are left out.
    """
    return mean_over_present(average_precision(scores, Y, counted=counted), absent, "mean_average_precision")


def mean_over_present(per_label: Array, absent: Absent, who: str) -> float:
    """The mean of values per label, of which those of absent labels are NaN."""
    if absent not in ("leave_out", "zero"):
        raise ManyLabelError(who, 'absent to be "leave_out" or "zero"', repr(absent))
    present = per_label[~np.isnan(per_label)]
    n = len(per_label) if absent == "zero" else len(present)
    return float(present.sum() / n) if n else float("nan")


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
    return _mean((hits / np.maximum(n_true, 1))[n_true > 0])


def coverage_error(scores: Scores, Y: Labels) -> float:
    """How far down the ranking one must go to see all labels of a row.

    ``mean_i #{c : s_ic >= min_{j in y_i} s_ij}``; a row without labels counts 0. At best the mean number of labels.

    Parameters
    ----------
    scores : (n, C) array or tensor
    Y : (n, C) labels, dense or sparse
    """
    S, T = scores_and_labels(scores, Y, "coverage_error")
    lowest = np.where(T, S, S.dtype.type(np.inf)).min(1, keepdims=True)  # (n, 1)
    depth = (lowest <= S).sum(1)
    return float(np.where(T.any(1), depth, 0).mean())


def ranking_loss(scores: Scores, Y: Labels) -> float:
    """Share of wrongly ordered pairs of a true and a false label.

    ``mean_i #{(j, c) : j in y_i, c not in y_i, s_ij <= s_ic} / (|y_i| (C - |y_i|))``; a tie is an error. A row
    without such a pair counts 0.

    Parameters
    ----------
    scores : (n, C) array or tensor
    Y : (n, C) labels, dense or sparse
    """
    S, T = scores_and_labels(scores, Y, "ranking_loss")
    n_true = T.sum(1)
    wrong = _row_sums(S, T, lambda ties: ties.gain * (ties.rank - ties.hits))
    return float((wrong / np.maximum(n_true * (T.shape[1] - n_true), 1)).mean())


def lrap(scores: Scores, Y: Labels) -> float:
    """Label ranking average precision.

    ``mean_i 1/|y_i| sum_{j in y_i} #{true with score >= s_ij} / #{all with score >= s_ij}``; a row with no label, or
    with all, counts 1.

    Parameters
    ----------
    scores : (n, C) array or tensor
    Y : (n, C) labels, dense or sparse
    """
    S, T = scores_and_labels(scores, Y, "lrap")
    n_true = T.sum(1)
    precision = _row_sums(S, T, lambda ties: ties.gain * ties.hits / ties.rank)
    return float(np.where(n_true > 0, precision / np.maximum(n_true, 1), 1.0).mean())


def ndcg_at_k(scores: Scores, Y: Labels, k: int, *, empty: Absent = "leave_out") -> float:
    """Normalised discounted cumulative gain of the first k labels.

    Parameters
    ----------
    scores : (n, C) array or tensor
    Y : (n, C) labels, dense or sparse
    k : int
    empty : "leave_out" or "zero", default "leave_out"
        A row without labels is left out of the mean, or counts as 0 (scikit-learn's ``ndcg_score``).

    Notes
    -----
    ``DCG = sum_{r <= k} y_(r) / log2(r + 1)``, divided by that of the best order, min(k, |y|) ones first. Tied labels
    share the mean of their places' discounts, the expected value over all orders of the ties.
    """
    S, T = scores_and_labels(scores, Y, "ndcg_at_k")
    check_k(k, S.shape[1], "ndcg_at_k")
    discounts = np.zeros(S.shape[1] + 1)
    discounts[1 : k + 1] = 1 / np.log2(np.arange(2, k + 2))
    upto = discounts.cumsum()  # DCG of r ones in the first r places
    dcg = _row_sums(
        S, T, lambda ties: ties.gain / ties.size * (upto[ties.rank] - upto[ties.rank - ties.size])
    )
    n_true = T.sum(1)
    ideal = upto[n_true]
    gains = np.divide(dcg, ideal, out=np.full(len(dcg), np.nan), where=n_true > 0)
    return mean_over_present(gains, empty, "ndcg_at_k")


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
    ``1 / (1 + K exp(-a log(n_c + b)))`` with ``K = (log n - 1) (b + 1)^a``, n_c the training rows with label c.
    """
    labels = LabelMatrix.of(Y_train, binary=True, who="propensities")
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
    ``sum_i sum_{c in top_k(i)} y_ic / p_c`` divided by its largest possible value, that of the k largest ``y_ic / p_c``
    of each row. Ties go to the lowest label index; a row without labels adds nothing to either sum.
    """
    who = "propensity_scored_precision_at_k"
    S, T = scores_and_labels(scores, Y, who)
    check_k(k, S.shape[1], who)
    p = np.asarray(propensity, dtype=np.float64)
    if p.shape != S.shape[1:]:
        raise ManyLabelError(
            who, f"propensity of shape {S.shape[1:]}", f"shape {p.shape}", "Use propensities(Y_train)."
        )
    gained = possible = 0.0
    for part in blocks(*S.shape):
        worth = T[part] / p  # (rows, C)
        gained += worth[_top_k(S[part], k)].sum()
        possible += np.partition(worth, worth.shape[1] - k, axis=1)[:, -k:].sum()
    return float(gained / possible) if possible else float("nan")


@dataclass(frozen=True)
class _TieGroups:
    """Runs of equal scores in the rows of a matrix sorted from high to low, one entry a run.

    ``row`` owns the run, ``rank`` entries of the row score at least as high, ``hits`` of these are true; ``size`` and
    ``gain`` are the entries and the true entries of the run itself.
    """

    n_rows: int
    row: Array
    rank: Array
    hits: Array
    size: Array
    gain: Array

    def sum(self, values: Array) -> Array:
        """Sum of one value a run over the runs of each row, (n_rows,) float64."""
        return np.bincount(self.row, weights=values, minlength=self.n_rows)


def _tie_groups(S: Array, T: Array, counted: Array | None = None) -> _TieGroups:
    n, m = S.shape
    order = np.argsort(np.ascontiguousarray(-S), axis=1)
    s = np.take_along_axis(S, order, 1)
    ends = np.ones((n, m), dtype=bool)
    np.not_equal(s[:, 1:], s[:, :-1], out=ends[:, :-1])
    flat = np.flatnonzero(ends)
    row = flat // m
    hits = _running_count(T, order)[flat]
    rank = flat % m + 1 if counted is None else np.maximum(_running_count(counted, order)[flat], 1)
    return _TieGroups(n, row, rank, hits, _steps(rank, row), _steps(hits, row))


def _running_count(marks: Array, order: Array) -> Array:
    return np.take_along_axis(marks, order, 1).cumsum(1, dtype=np.int32).ravel()


def _steps(running: Array, row: Array) -> Array:
    """Differences of running counts that start again at 0 in each row."""
    steps = np.diff(running, prepend=0)
    starts = np.flatnonzero(np.diff(row, prepend=-1))
    steps[starts] = running[starts]
    return steps


def _row_sums(S: Array, T: Array, values: Callable[[_TieGroups], Array]) -> Array:
    sums = []
    for part in blocks(*S.shape):
        ties = _tie_groups(S[part], T[part])
        sums.append(ties.sum(values(ties)))
    return np.concatenate(sums)


def _top_k(S: Array, k: int) -> Array:
    last = np.partition(S, S.shape[1] - k, axis=1)[:, -k, None]  # the k-th highest score of each row
    above, level = last < S, last == S
    return above | (level & (level.cumsum(1) <= k - above.sum(1, keepdims=True)))


def _hits_at_k(scores: Scores, Y: Labels, k: int, who: str) -> tuple[Array, Array]:
    S, T = scores_and_labels(scores, Y, who)
    check_k(k, S.shape[1], who)
    return (_top_k(S, k) & T).sum(1), T


def _mean(values: Array) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _check_mask(counted: Array, shape: tuple[int, ...], who: str) -> Array:
    counted = np.asarray(counted)
    if counted.shape != shape or counted.dtype != bool:
        raise ManyLabelError(
            who, f"counted as bool of shape {shape}", f"{counted.dtype} of shape {counted.shape}"
        )
    return counted
