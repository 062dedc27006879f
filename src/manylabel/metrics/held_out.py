"""Held-out rows label by label: what thresholds and calibration maps are learnt from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from manylabel.arrays import as_array
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelLists, LabelMatrix, Labels, as_labels
from manylabel.metrics.inputs import read_weights
from manylabel.metrics.scores import Array, Scores, as_scores, check_probabilities


class Column(NamedTuple):
    """One label on the m rows on which it is known.

    Attributes
    ----------
    scores : (m,) floating array
    true : (m,) bool array
    folds : (m,) int array
    weights : (m,) float64 array or None, default None
        All above 0; None where all rows count alike.
    """

    scores: Array
    true: Array
    folds: Array
    weights: Array | None = None

    @staticmethod
    def concat(columns: Sequence[Column]) -> Column:
        """The rows of several labels as those of one."""
        scores, true, folds = (np.concatenate([column[i] for column in columns]) for i in range(3))
        weights = [column.weights for column in columns if column.weights is not None]
        return Column(scores, true, folds, np.concatenate(weights) if weights else None)

    def without(self, fold: int) -> Column:
        """The rows of all other folds."""
        return self.take(self.folds != fold)

    def within(self, fold: int) -> Column:
        """The rows of one fold."""
        return self.take(self.folds == fold)

    def take(self, rows: Array) -> Column:
        """Some of the rows, by mask or position."""
        weights = None if self.weights is None else self.weights[rows]
        return Column(self.scores[rows], self.true[rows], self.folds[rows], weights)

    @property
    def positives(self) -> float:
        """What the rows that carry the label count."""
        return float(self.true.sum() if self.weights is None else self.weights[self.true].sum())

    @property
    def one_sided(self) -> bool:
        """Whether positives or negatives are missing, so that nothing can be learnt."""
        return bool(self.true.all() or not self.true.any())


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Scores, labels and folds of rows that trained nothing; build it with :meth:`of`.

    Attributes
    ----------
    scores : (n, C) floating array
        In [0, 1].
    labels : LabelLists (n, C)
    folds : (n,) int array
        0 ... n_folds - 1.
    n_folds : int
    weights : (n,) or (n, C) float64 array or None, default None
        What each row, or each entry of it, counts; None where all count alike.
    """

    scores: Array
    labels: LabelLists
    folds: Array
    n_folds: int
    weights: Array | None = None

    @staticmethod
    def of(scores: Scores, Y: Labels, folds: Any, who: str, weights: Any = None) -> HeldOut:
        """Check what is given.

        Parameters
        ----------
        scores : (n, C) array or tensor in [0, 1]
            Each row scored by a model that was not trained on it.
        Y : (n, C) labels, dense or sparse
        folds : (n,) integers
            The fold of each row; at least two differ.
        who : str
            Named in the error message.
        weights : (n,) or (n, C) numbers of at least 0, optional

        Raises
        ------
        ManyLabelError
            If scores leave [0, 1] or hold NaN, shapes differ, or labels, folds or weights are of another kind.
        """
        whole = HeldOut.undivided(scores, Y, who)
        numbers, n_folds = _fold_numbers(folds, len(whole.folds), who)
        weighed = read_weights(weights, whole.labels.shape, who)
        return replace(whole, folds=numbers, n_folds=n_folds, weights=weighed)

    @staticmethod
    def undivided(scores: Scores, Y: Labels, who: str) -> HeldOut:
        """The same in one fold, for what is drawn or counted and not learnt."""
        S = as_scores(scores, who)
        check_probabilities(S, who)
        labels = as_labels(Y, binary=True, who=who)
        check_shape(labels.shape, S.shape, "labels", who)
        one_fold = np.zeros(len(S), dtype=np.int64)
        return HeldOut(S, labels.sparse(), one_fold, 1)

    @property
    def n_labels(self) -> int:
        return int(self.scores.shape[1])

    @cached_property
    def _carriers(self) -> list[Array]:
        return _rows_of_labels(self.labels)

    @cached_property
    def _unknown(self) -> list[Array]:
        return _rows_of_labels(self.labels.unknown.sparse())

    def column(self, label: int) -> Column:
        """One label on the rows on which it is known, and counts."""
        true = np.zeros(len(self.folds), dtype=bool)
        true[self._carriers[label]] = True
        weights = self.weights
        if weights is not None and weights.ndim == 2:
            weights = weights[:, label]
        column = Column(self.scores[:, label], true, self.folds, weights)
        counts = np.ones(len(true), dtype=bool) if weights is None else np.asarray(weights > 0)
        if self.labels.has_unknown:
            counts[self._unknown[label]] = False
        return column if counts.all() else column.take(counts)


def _rows_of_labels(lists: LabelLists) -> list[Array]:
    """The rows of each label."""
    by_label = lists.transposed
    return np.split(by_label.columns.cpu().numpy(), by_label.offsets.cpu().numpy()[1:-1])


def fully_known(labels: LabelMatrix) -> Array:
    """The rows without an unknown entry, which alone have an exact label set, (k,) int64."""
    return np.asarray(np.flatnonzero(labels.unknown.row_counts().cpu().numpy() == 0))


def check_shape(got: tuple[int, ...], wanted: tuple[int, ...], what: str, who: str) -> None:
    """Refuse what has another shape than the scores."""
    if got != wanted:
        hint = "Pass one row per score row, with the labels in the same order."
        raise ManyLabelError(who, f"{what} of shape {wanted} to match the scores", f"shape {got}", hint)


def _fold_numbers(folds: Any, n: int, who: str) -> tuple[Array, int]:
    """Folds counted from 0, and how many there are."""
    given = as_array(folds, who, "folds")
    if given.shape != (n,) or given.dtype.kind not in "iu":
        expected, got = f"`folds` as {n} integers, one per row", f"{given.dtype} of shape {given.shape}"
        raise ManyLabelError(who, expected, got, "Number the part that held out each row.")
    found, numbers = np.unique(given, return_inverse=True)
    if len(found) < 2:
        hint = "Deal the rows into folds, such as numpy.random.default_rng(0).permutation(n) % 5."
        raise ManyLabelError(who, "at least two folds", f"{len(found)}", hint)
    return numbers, len(found)
