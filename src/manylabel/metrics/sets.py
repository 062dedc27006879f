"""Metrics of predicted label sets, all from one count of true positives, predictions and truths.

A prediction is positive at ``score >= t``. Where a ratio is 0/0, each metric says what it takes. Unknown entries are
counted nowhere; a label or a row of which nothing is known is left out of every mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import reduce
from numbers import Real
from typing import Any

import numpy as np

from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix, Labels
from manylabel.metrics.inputs import (
    Block,
    as_grid,
    known_labels,
    known_rows,
    label_totals,
    labels_of,
    row_blocks,
    scores_and_labels,
    true_labels,
)
from manylabel.metrics.scores import Array, Made, Scores, StreamedScores, TopScores, as_matrix

NAN = float("nan")


@dataclass(frozen=True)
class Tally:
    """Counts of known entries of m labels (over rows) or of m rows (over labels), alone (m,) or at T thresholds (m, T).

    Attributes
    ----------
    hits : (m,) or (m, T) int array
        Predicted and true.
    predicted : (m,) or (m, T) int array
    true : (m,) or (m, 1) int array
    known : (m,) or (m, 1) int array
        All known entries.
    """

    hits: Array
    predicted: Array
    true: Array
    known: Array

    @property
    def wrong(self) -> Array:
        """False positives and false negatives together."""
        return np.asarray(self.predicted + self.true - 2 * self.hits)

    def precision(self) -> Array:
        """``tp / (tp + fp)``, NaN where nothing is predicted."""
        return _ratio(self.hits, self.predicted)

    def recall(self) -> Array:
        """``tp / (tp + fn)``, NaN where nothing is true."""
        return _ratio(self.hits, self.true)

    def f1(self) -> Array:
        """``2 tp / (2 tp + fp + fn)``, NaN where nothing is true nor predicted."""
        return _ratio(2 * self.hits, self.predicted + self.true)

    def __add__(self, other: Tally) -> Tally:
        """The counts of the same owners in two parts."""
        pairs = zip(self.columns, other.columns, strict=True)
        return Tally(*(one + another for one, another in pairs))

    def concat(self, other: Tally) -> Tally:
        """The counts of these owners and then of others."""
        pairs = zip(self.columns, other.columns, strict=True)
        return Tally(*(np.concatenate(pair) for pair in pairs))

    @property
    def columns(self) -> tuple[Array, Array, Array, Array]:
        """Hits, predicted, true and known."""
        return self.hits, self.predicted, self.true, self.known

    def take(self, owners: Array) -> Tally:
        """The counts of some owners."""
        return Tally(*(column[owners] for column in self.columns))

    def total(self) -> Tally:
        """One tally over all labels, or all rows."""
        return Tally(*(column.sum(0) for column in self.columns))

    def asked(self) -> Tally:
        """The counts of owners of which something is known."""
        some = self.known.reshape(len(self.known)) > 0
        return self if some.all() else self.take(some)


@dataclass(frozen=True)
class Counts:
    """What every metric of label sets is made of; build it with :meth:`of` or :meth:`sweep`.

    Each metric gives a number for :meth:`of` and a (T,) array for :meth:`sweep`.

    Attributes
    ----------
    labels : Tally of the C labels
        Sums of weights where entries have some.
    rows : Tally of the n rows
    weights : (n,) float64 array or None, default None
        What each row counts in means over rows; None where all count alike.

    Examples
    --------
    >>> float(Counts.of([[1, 0], [1, 1]], [[1, 0], [0, 1]]).micro_f1())
    0.8
    """

    labels: Tally
    rows: Tally
    weights: Array | None = None

    @staticmethod
    def of(predictions: Scores, Y: Labels) -> Counts:
        """Count predicted label sets.

        Parameters
        ----------
        predictions : (n, C) bool or 0/1 array or tensor, or StreamedScores of such blocks
        Y : (n, C) labels, dense or sparse

        Raises
        ------
        ManyLabelError
            If shapes differ, or predictions or labels are not 0/1.
        """
        streamed = isinstance(predictions, StreamedScores)
        P: Made = predictions if streamed else as_matrix(predictions, "Counts.of")  # type: ignore[assignment]
        T = labels_of(P.shape, Y, "Counts.of")
        return joined(count_sets(_binary(p), t, known) for _, p, t, known in row_blocks(P, T))

    @staticmethod
    def sweep(scores: Scores, Y: Labels, thresholds: Array | list[float] | tuple[float, ...]) -> Counts:
        """Count the label sets ``score >= t`` of many thresholds at once.

        Each score is placed once in the grid and counted; nothing of size n x C x T is formed. Thresholds are
        compared in the precision of the scores, so that a float32 score of 0.9 reaches the threshold 0.9.

        Parameters
        ----------
        scores : (n, C) array or tensor, StreamedScores, or TopScores
            The highest scores alone give the same counts; thresholds must lie above what was left out of them.
        Y : (n, C) labels, dense or sparse
        thresholds : (T,) ascending numbers

        Raises
        ------
        ManyLabelError
            If shapes differ, scores hold NaN, labels are not 0/1 or the thresholds do not ascend.
        """
        who = "Counts.sweep"
        if isinstance(scores, TopScores):
            T = labels_of(scores.shape, Y, who)
            return _sweep_of_top(scores, T, as_grid_of(thresholds, scores.values.dtype, who))
        S, T = scores_and_labels(scores, Y, who)
        return count_sweep(S, T, as_grid_of(thresholds, S.dtype, who))

    def macro_f1(self, zero_division: float = 0.0) -> Array:
        """Mean over labels of ``2 tp / (2 tp + fp + fn)``.

        Parameters
        ----------
        zero_division : float, default 0.0
            What a label counts that no row carries and none is predicted to: 0, 1, or NaN to leave it out.
        """
        return _mean(self.labels.asked().f1(), zero_division)

    def micro_f1(self) -> Array:
        """``2 sum tp / (2 sum tp + sum fp + sum fn)``; 0 if nothing is true nor predicted."""
        return _fill(self.labels.total().f1(), 0.0)

    def example_f1(self, zero_division: float = NAN) -> Array:
        """Mean over rows of ``2 |y and p| / (|y| + |p|)``.

        Parameters
        ----------
        zero_division : float, default NaN
            What a row counts without label and without prediction: NaN to leave it out, 0 or 1.
        """
        return _mean(self.rows.asked().f1(), zero_division, self._weights_of_asked)

    def hamming_accuracy(self) -> Array:
        """Share of all n x C entries, or of those known, predicted right."""
        return np.asarray(1 - self.labels.wrong.sum(0) / self.labels.known.sum(0))

    def subset_accuracy(self) -> Array:
        """Share of rows predicted right in every label."""
        return _mean((self.rows.asked().wrong == 0).astype(np.float64), 0, self._weights_of_asked)

    @property
    def _weights_of_asked(self) -> Array | None:
        return None if self.weights is None else self.weights[self.rows.known.reshape(len(self.weights)) > 0]

    def overall_precision(self) -> Array:
        """OP: ``sum tp / sum (tp + fp)``; 0 if nothing is predicted."""
        return _fill(self.labels.total().precision(), 0.0)

    def overall_recall(self) -> Array:
        """OR: ``sum tp / sum (tp + fn)``; 0 if nothing is true."""
        return _fill(self.labels.total().recall(), 0.0)

    def overall_f1(self) -> Array:
        """OF1: harmonic mean of OP and OR; the micro-F1."""
        return _harmonic(self.overall_precision(), self.overall_recall())

    def class_precision(self, zero_division: float = 0.0) -> Array:
        """CP: mean over labels of ``tp / (tp + fp)``.

        Parameters
        ----------
        zero_division : float, default 0.0
            What a label never predicted counts: 0, 1, or NaN to leave it out.
        """
        return _mean(self.labels.asked().precision(), zero_division)

    def class_recall(self, zero_division: float = 0.0) -> Array:
        """CR: mean over labels of ``tp / (tp + fn)``.

        Parameters
        ----------
        zero_division : float, default 0.0
            What a label without positives counts: 0, 1, or NaN to leave it out.
        """
        return _mean(self.labels.asked().recall(), zero_division)

    def class_f1(self, zero_division: float = 0.0) -> Array:
        """CF1: harmonic mean of CP and CR, which is not the macro-F1."""
        return _harmonic(self.class_precision(zero_division), self.class_recall(zero_division))


def count_sets(P: Array, T: Array, known: Array | None = None) -> Counts:
    """Counts of bool predictions and labels, both (n, C), where they are known, (n, C) bool."""
    H, P = P & T, P if known is None else P & known
    of_labels, of_rows = _n_known(known, T.shape)
    return Counts(
        Tally(H.sum(0), P.sum(0), T.sum(0), of_labels), Tally(H.sum(1), P.sum(1), T.sum(1), of_rows)
    )


def count_kept(labels: Array, P: Array, block: Block, T: LabelMatrix) -> Counts:
    """Counts of b rows of which none but some of the labels that are kept, (b, k), are predicted, (b, k) bool."""
    H, P = P & block.true, P if block.known is None else P & block.known
    hits, predicted = (np.bincount(labels[marked], minlength=T.n_labels) for marked in (H, P))
    of_rows = Tally(H.sum(1), P.sum(1), true_labels(T), known_labels(T))
    return Counts(Tally(hits, predicted, label_totals(T), known_rows(T)), of_rows)


def _n_known(known: Array | None, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Known entries of each label (C,) and of each row (n,)."""
    if known is None:
        return np.full(shape[1], shape[0]), np.full(shape[0], shape[1])
    return known.sum(0), known.sum(1)


def _binary(P: Array) -> Array:
    """Predictions as bool.

    Raises
    ------
    ManyLabelError
        If they are not 0/1.
    """
    if P.dtype != bool and not ((P == 0) | (P == 1)).all():
        raise ManyLabelError(
            "Counts.of", "predictions that are 0 or 1", "other values", "Compare scores with >=."
        )
    return P.astype(bool)


def joined(parts: Iterable[Counts]) -> Counts:
    """The counts of some rows after the other as those of all."""
    return reduce(lambda a, b: Counts(a.labels + b.labels, a.rows.concat(b.rows)), parts)


def count_sweep(
    S: Made,
    T: LabelMatrix,
    grid: Array,
    ready: Callable[[Array], Array] | None = None,
    weights: Array | None = None,
) -> Counts:
    """Counts of the label sets ``score >= t`` for each threshold of a grid, (T,) ascending.

    ``ready`` makes of each block of scores what is compared; ``weights``, (n,) or (n, C), are what entries count. In
    means over rows a row counts the mean of its entries.
    """
    labels = np.arange(S.shape[1])[None]

    def parts() -> Iterator[Counts]:
        for rows, s, t, known in row_blocks(S, T):
            reached = np.searchsorted(grid, s if ready is None else ready(s), side="right")
            totals = (t.sum(0), t.sum(1)), _n_known(known, t.shape)
            counts = _sweep_block(labels, reached, t, known, *totals, len(grid))
            if weights is not None:
                of_entries = weights[rows] if weights.ndim == 2 else weights[rows, None]
                counts = replace(counts, labels=_weighted(labels, reached, t, known, of_entries, len(grid)))
            yield counts

    found = joined(parts())
    return found if weights is None else replace(found, weights=weights.reshape(len(weights), -1).mean(1))


def _weighted(labels: Array, reached: Array, true: Array, known: Array | None, w: Array, n: int) -> Tally:
    """What :func:`_sweep_block` counts of labels, each known entry by its weight, (b, C) or (b, 1)."""
    C = labels.shape[1]
    w = np.broadcast_to(w, true.shape) * (1 if known is None else known)  # (b, C)
    cells, of_true = labels * (n + 1) + reached, w * true
    hits, predicted = (_tails(cells, C, n + 1, part) for part in (of_true, w))
    return Tally(hits, predicted, of_true.sum(0)[:, None], w.sum(0)[:, None])


def _sweep_of_top(top: TopScores, T: LabelMatrix, grid: Array) -> Counts:
    if grid[0] <= top.bound:
        expected = f"thresholds above {top.bound:g}, which scores that were left out may reach"
        hint = "Keep more scores of each row, or pass StreamedScores."
        raise ManyLabelError("Counts.sweep", expected, f"{grid[0]:g}", hint)

    def parts() -> Iterator[Counts]:
        for rows, values, true, known in row_blocks(top, T):
            of, reached = T.take(rows), np.searchsorted(grid, values, side="right")
            n_true, n_known = (label_totals(of), true_labels(of)), (known_rows(of), known_labels(of))
            yield _sweep_block(top.labels[rows], reached, true, known, n_true, n_known, len(grid))

    return joined(parts())


def _sweep_block(
    labels: Array,
    reached: Array,
    true: Array,
    known: Array | None,
    n_true: tuple[Array, Array],
    n_known: tuple[Array, Array],
    n: int,
) -> Counts:
    """Counts of b rows at n thresholds, from how many of these each of m scores reaches.

    Parameters
    ----------
    labels : (b, m) or (1, m) int array
        The label of each score.
    reached : (b, m) int array
    true, known : (b, m) bool array
        Whether the row carries the label, and whether that is known; None where all is.
    n_true, n_known : (C,) and (b,) int arrays
        How many entries of each label, and of each row.
    n : int
    """

    def tally(owners: Array, n_true: Array, n_known: Array) -> Tally:
        cells, size = owners * (n + 1) + reached, len(n_true)  # (b, m)
        of_known = cells if known is None else cells[known]
        hits, predicted = (_tails(some, size, n + 1) for some in (cells[true], of_known))
        return Tally(hits, predicted, n_true[:, None], n_known[:, None])

    owners = labels, np.arange(len(reached))[:, None]
    of_labels, of_rows = (tally(*each) for each in zip(owners, n_true, n_known, strict=True))
    return Counts(of_labels, of_rows)


def as_grid_of(thresholds: Any, dtype: Any, who: str) -> Array:
    """Thresholds in the precision of the scores."""
    grid: Array = as_grid(thresholds, who, probabilities=False).astype(dtype)
    if not (np.diff(grid) > 0).all():
        got = f"some that are equal in {dtype}"
        raise ManyLabelError(who, "ascending thresholds", got, "Pass scores of float64.")
    return grid


def _tails(cells: Array, m: int, n_bins: int, weights: Array | None = None) -> Array:
    """How many entries of m owners reach each threshold, from cell numbers ``owner * n_bins + reached``."""
    of_entries = None if weights is None else weights.ravel()
    histogram = np.bincount(cells.ravel(), of_entries, minlength=m * n_bins).reshape(m, n_bins)
    return np.asarray(histogram[:, :0:-1].cumsum(1)[:, ::-1])  # (m, n_bins - 1)


def _ratio(numerator: Array, denominator: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return np.asarray(np.true_divide(numerator, denominator))


def _fill(values: Array, zero_division: float) -> Array:
    return np.where(np.isnan(values), zero_division, values)


def _mean(values: Array, zero_division: float, weights: Array | None = None) -> Array:
    """Mean over the first axis, weighted or not; 0/0 counts ``zero_division``, or is left out if that is NaN."""
    if not isinstance(zero_division, Real) or (
        zero_division not in (0, 1) and zero_division == zero_division
    ):
        raise ManyLabelError("zero_division", "0, 1 or NaN", f"{zero_division!r:.60}")
    filled = _fill(values, zero_division)
    w = 1 if weights is None else weights.reshape(-1, *[1] * (values.ndim - 1))
    return _ratio(np.nansum(w * filled, axis=0), (w * ~np.isnan(filled)).sum(0))


def _harmonic(a: Array, b: Array) -> Array:
    return _fill(_ratio(2 * a * b, a + b), 0.0)
