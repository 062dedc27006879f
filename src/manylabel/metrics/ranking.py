"""Metrics of the order of the scores: any increasing transform of the scores gives the same value.

Equal scores enter together, so no value depends on the order in which ties happen to be sorted; only the
metrics that cut after exactly k labels need a rule for ties, and say which.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from manylabel.arrays import as_array
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix, Labels
from manylabel.metrics.inputs import (
    check_choice,
    known_labels,
    known_rows,
    label_blocks,
    row_blocks,
    scores_and_labels,
    scores_of_first,
    true_labels,
)
from manylabel.metrics.scores import Array, Made, Scores, StreamedScores, TopScores, blocks

Absent: TypeAlias = Literal["leave_out", "zero"]


def average_precision(scores: Scores, Y: Labels, *, counted: Array | None = None) -> Array:
    """Average precision of each label.

    Parameters
    ----------
    scores : (n, C) array or tensor
        Any real scores; only their order within a label matters.
    Y : (n, C) labels, dense or sparse
    counted : (n, C) bool array, optional
        False takes an entry out of the ranking of its label (VOC's "difficult" objects); all count by
        default.

    Returns
    -------
    (C,) float64 array
        NaN for a label without positives, for which no precision can be averaged.

    Notes
    -----
    A label is measured on the rows on which it is known.

    ``AP_c = sum_t (recall_t - recall_{t-1}) precision_t`` over the distinct scores t of the label from high
    to low: rows that share a score enter together, nothing is interpolated. Equal to scikit-learn's
    ``average_precision_score``.

    Raises
    ------
    ManyLabelError
        If shapes differ, scores hold NaN or labels are not 0/1.
    """
    who = "average_precision"
    return _average_precision(*scores_and_labels(scores, Y, who), counted, who)


def _average_precision(S: Made, T: LabelMatrix, counted: Array | None, who: str) -> Array:
    if isinstance(S, StreamedScores):
        return _streamed_precision(S, T, counted, who)
    counted = None if counted is None else _check_mask(counted, S.shape, who)
    averages = []
    for part, s, t, known in label_blocks(S, T):
        if counted is not None:
            known = counted[:, part].T if known is None else known & counted[:, part].T
        ties = _tie_groups(s, t if known is None else t & known, known)
        with np.errstate(invalid="ignore"):
            averages.append(ties.sum(ties.gain * ties.precision) / ties.sum(ties.gain))
    return np.concatenate(averages)


def mean_average_precision(
    scores: Scores, Y: Labels, *, absent: Absent = "leave_out", counted: Array | None = None
) -> float:
    """mAP: the mean of :func:`average_precision` over the labels.

    Parameters
    ----------
    scores, Y, counted
        As in :func:`average_precision`.
    absent : "leave_out" or "zero", default "leave_out"
        A label without positives is left out of the mean, or counts as 0 (as in the plain means of
        scikit-learn and torchmetrics). One that is nowhere known is left out.

    Returns
    -------
    float
        NaN if no label has a positive and absent labels are left out.
    """
    who = "mean_average_precision"
    S, T = scores_and_labels(scores, Y, who)
    ap = _average_precision(S, T, counted, who)
    return mean_over_present(ap[known_rows(T) > 0], absent, who)


def mean_over_present(per_label: Array, absent: Absent, who: str) -> float:
    """The mean of values per label, of which those of absent labels are NaN."""
    check_choice(absent, get_args(Absent), who, 'absent to be "leave_out" or "zero"')
    present = per_label[~np.isnan(per_label)]
    n = len(per_label) if absent == "zero" else len(present)
    return float(present.sum() / n) if n else float("nan")


def coverage_error(scores: Scores, Y: Labels) -> float:
    """How far down the ranking one must go to see all labels of a row.

    ``mean_i #{c : s_ic >= min_{j in y_i} s_ij}``; a row without labels counts 0. The best possible value is
    the mean number of labels. Only known labels of a row are ranked; a row without any is left out.

    Parameters
    ----------
    scores : (n, C) array or tensor
    Y : (n, C) labels, dense or sparse
    """
    S, T = scores_and_labels(scores, Y, "coverage_error")
    depths = []
    for block in row_blocks(S, T):
        _, s, t, known = block
        lowest = np.where(t, s, s.dtype.type(np.inf)).min(1, keepdims=True)  # (b, 1)
        reached = lowest <= s if known is None else (lowest <= s) & known
        depths.append(np.where(t.any(1), reached.sum(1), 0)[block.n_known > 0])
    return float(np.concatenate(depths).mean())


def ranking_loss(scores: Scores, Y: Labels) -> float:
    """Share of wrongly ordered pairs of a true and a false label.

    ``mean_i #{(j, c) : j in y_i, c not in y_i, s_ij <= s_ic} / (|y_i| (C - |y_i|))``; a tie is an error, a
    row without such a pair counts 0. Only known labels of a row make pairs; a row without any is left out.

    Parameters
    ----------
    scores : (n, C) array or tensor
    Y : (n, C) labels, dense or sparse
    """
    S, T = scores_and_labels(scores, Y, "ranking_loss")
    wrong, n_true, n_known = _row_sums(S, T, lambda ties: ties.gain * (ties.rank - ties.hits))
    return float((wrong / np.maximum(n_true * (n_known - n_true), 1)).mean())


def lrap(scores: Scores, Y: Labels) -> float:
    """Label ranking average precision.

    ``mean_i 1/|y_i| sum_{j in y_i} #{true with score >= s_ij} / #{all with score >= s_ij}``; a row with no
    label, or with all, counts 1. Only known labels of a row are ranked; a row without any is left out.

    Parameters
    ----------
    scores : (n, C) array or tensor
    Y : (n, C) labels, dense or sparse
    """
    S, T = scores_and_labels(scores, Y, "lrap")
    precision, n_true, _ = _row_sums(S, T, lambda ties: ties.gain * ties.precision)
    return float(np.where(n_true > 0, precision / np.maximum(n_true, 1), 1.0).mean())


def ndcg_at_k(scores: Scores, Y: Labels, k: int, *, empty: Absent = "leave_out") -> float:
    """Normalised discounted cumulative gain of the first k labels.

    Parameters
    ----------
    scores : (n, C) array or tensor, StreamedScores or TopScores
    Y : (n, C) labels, dense or sparse
    k : int
    empty : "leave_out" or "zero", default "leave_out"
        A row without labels is left out of the mean, or counts as 0 (scikit-learn's ``ndcg_score``).

    Notes
    -----
    ``DCG = sum_{r <= k} y_(r) / log2(r + 1)``, divided by that of the best order, min(k, |y|) ones first.
    Tied labels share the mean of their places' discounts, the expected value over all orders of the ties. Only known
    labels of a row have a place; a row without any is left out.

    Raises
    ------
    ManyLabelError
        Of TopScores, also where fewer than k known labels were kept of a row, or others may share the k-th score.
    """
    S, T = scores_of_first(scores, Y, k, "ndcg_at_k")
    if isinstance(S, TopScores):
        _check_ties(S, k, "ndcg_at_k")
    discounts = np.zeros(S.shape[1] + 1)
    discounts[1 : k + 1] = 1 / np.log2(np.arange(2, k + 2))
    upto = discounts.cumsum()  # DCG of r ones in the first r places
    dcg, n_true, _ = _row_sums(
        S, T, lambda ties: ties.gain / ties.size * (upto[ties.rank] - upto[ties.rank - ties.size])
    )
    ideal = upto[n_true]
    gains = np.divide(dcg, ideal, out=np.full(len(dcg), np.nan), where=n_true > 0)
    return mean_over_present(gains, empty, "ndcg_at_k")


@dataclass(frozen=True)
class _TieGroups:
    """Runs of equal scores in the rows of a matrix sorted from high to low, one entry a run.

    ``row`` owns the run; ``rank`` entries of the row score at least as high, ``hits`` of these are true.
    ``size`` and ``gain`` count the entries and the true entries of the run itself. Entries that are left out are in no
    run.
    """

    n_rows: int
    row: Array
    rank: Array
    hits: Array
    size: Array
    gain: Array

    @property
    def precision(self) -> Array:
        """Share of true entries among those that score at least as high."""
        return np.asarray(self.hits / self.rank)

    def take(self, runs: Array) -> _TieGroups:
        """Some of the runs."""
        parts = (self.row, self.rank, self.hits, self.size, self.gain)
        return _TieGroups(self.n_rows, *(part[runs] for part in parts))

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
    rank = flat % m + 1 if counted is None else _running_count(counted, order)[flat]
    ties = _TieGroups(n, row, rank, hits, _steps(rank, row), _steps(hits, row))
    return ties if counted is None else ties.take(ties.size > 0)


def _running_count(marks: Array, order: Array) -> Array:
    return np.take_along_axis(marks, order, 1).cumsum(1, dtype=np.int32).ravel()


def _steps(running: Array, row: Array) -> Array:
    """Differences of running counts that start again at 0 in each row."""
    steps = np.diff(running, prepend=0)
    starts = np.flatnonzero(np.diff(row, prepend=-1))
    steps[starts] = running[starts]
    return np.asarray(steps)


def _row_sums(
    S: Made | TopScores, T: LabelMatrix, values: Callable[[_TieGroups], Array]
) -> tuple[Array, Array, Array]:
    """Sums of one value a run over the runs of each of the m rows with a known label, and how many labels of the row
    are true and how many known, (m,) int both.
    """
    parts = []
    for block in row_blocks(S, T):
        ties = _tie_groups(block.scores, block.true, block.known)
        parts.append(ties.sum(values(ties)))
    n_known = known_labels(T)
    asked = n_known > 0
    return np.concatenate(parts)[asked], true_labels(T)[asked], n_known[asked]


def _check_ties(top: TopScores, k: int, who: str) -> None:
    """Refuse rows of whose k-th score nobody knows how many labels share it."""
    open_rows = int((top.values[:, k - 1] == top.values[:, -1]).sum()) if top.k < top.n_labels else 0
    if open_rows:
        got = f"the k-th score of {open_rows} rows to be the lowest kept, which others may share"
        raise ManyLabelError(who, f"more than the {top.k} highest scores", got, "Keep more of each row.")


def _streamed_precision(S: StreamedScores, T: LabelMatrix, counted: Array | None, who: str) -> Array:
    """Average precisions in two passes: the scores of the entries carried, then how many rows reach each of these."""
    if counted is not None:
        raise ManyLabelError(who, "an array of scores beside `counted`", "StreamedScores", "Leave it out.")
    Y = T.sparse()
    offsets, rows, labels = (part.numpy() for part in (Y.offsets, Y.rows, Y.columns))
    own, rank = np.empty(len(labels), S.dtype), np.zeros(len(labels), dtype=np.int64)
    for part in blocks(*S.shape):
        entries = slice(offsets[part.start], offsets[part.stop])
        own[entries] = S[part][rows[entries] - part.start, labels[entries]]
    for _, s, _, known in row_blocks(S, T):
        for some in blocks(len(labels), len(s)):
            reached = own[some] <= s[:, labels[some]]
            rank[some] += (reached if known is None else reached & known[:, labels[some]]).sum(0)
    ties = _ties_of_entries(labels, own, rank, S.shape[1])
    with np.errstate(invalid="ignore"):
        return np.asarray(ties.sum(ties.gain * ties.precision) / ties.sum(ties.gain))


def _ties_of_entries(labels: Array, own: Array, rank: Array, n_labels: int) -> _TieGroups:
    """Runs of equal scores among the entries carried, label by label, from their ranks."""
    order = np.lexsort((-own, labels))
    labels, own = labels[order], own[order]
    ends = np.flatnonzero(np.append((np.diff(labels) != 0) | (np.diff(own) != 0), len(own) > 0))
    label = labels[ends]
    hits = ends + 1 - np.searchsorted(labels, label)
    gain = _steps(hits, label)
    return _TieGroups(n_labels, label, rank[order][ends], hits, gain, gain)


def _check_mask(counted: Array, shape: tuple[int, ...], who: str) -> Array:
    counted = as_array(counted, who, "counted")
    if counted.shape != shape or counted.dtype != bool:
        raise ManyLabelError(
            who, f"counted as bool of shape {shape}", f"{counted.dtype} of shape {counted.shape}"
        )
    return counted
