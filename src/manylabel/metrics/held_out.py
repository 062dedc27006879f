"""Held-out rows label by label: what thresholds and calibration maps are learnt from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from manylabel.arrays import as_array
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelLists, Labels, as_labels
from manylabel.metrics.inputs import Array, Scores, as_scores, check_probabilities


class Column(NamedTuple):
    """One label on the m rows on which it is known.

    Attributes
    ----------
    scores : (m,) floating array
    true : (m,) bool array
    folds : (m,) int array
    """

    scores: Array
    true: Array
    folds: Array

    def without(self, fold: int) -> Column:
        """The rows of all other folds."""
        return self.take(self.folds != fold)

    def within(self, fold: int) -> Column:
        """The rows of one fold."""
        return self.take(self.folds == fold)

    def take(self, rows: Array) -> Column:
        """Some of the rows, by mask or position."""
        return Column(self.scores[rows], self.true[rows], self.folds[rows])

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
    known : (n, C) bool array or None
        Which entries of the labels are known; None for all.
    """

    scores: Array
    labels: LabelLists
    folds: Array
    n_folds: int
    known: Array | None

    @staticmethod
    def of(scores: Scores, Y: Labels, folds: Any, who: str, known: Any = None) -> HeldOut:
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
        known : (n, C) bool array, default None
            False where nobody said whether the row carries the label; None if all entries are known.

        Raises
        ------
        ManyLabelError
            If scores leave [0, 1] or hold NaN, shapes differ, or labels, folds or the mask are of another kind.
        """
        S = as_scores(scores, who)
        check_probabilities(S, who)
        labels = as_labels(Y, binary=True, who=who)
        _check_shape(labels.shape, S.shape, "labels", who)
        numbers, n_folds = _fold_numbers(folds, len(S), who)
        return HeldOut(S, labels.sparse(), numbers, n_folds, known_mask(known, S.shape, who))

    @property
    def n_labels(self) -> int:
        return int(self.scores.shape[1])

    @cached_property
    def _carriers(self) -> list[Array]:
        """The rows of each label."""
        by_label = self.labels.transposed
        return np.split(by_label.columns.cpu().numpy(), by_label.offsets.cpu().numpy()[1:-1])

    def column(self, label: int) -> Column:
        """One label on the rows on which it is known."""
        true = np.zeros(len(self.folds), dtype=bool)
        true[self._carriers[label]] = True
        column = Column(self.scores[:, label], true, self.folds)
        return column if self.known is None else column.take(self.known[:, label])

    def pooled(self) -> Column:
        """All known entries as one label, (n C,) at most."""
        columns = [self.column(label) for label in range(self.n_labels)]
        return Column(*(np.concatenate(parts) for parts in zip(*columns, strict=True)))


def _check_shape(got: tuple[int, ...], wanted: tuple[int, ...], what: str, who: str) -> None:
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


def known_mask(known: Any, shape: tuple[int, ...], who: str) -> Array | None:
    """Which entries of labels are known, as bools of their shape; None where all are.

    Raises
    ------
    ManyLabelError
        For a mask of another shape or type.
    """
    if known is None:
        return None
    mask = as_array(known, who, "`known`")
    _check_shape(mask.shape, shape, "`known`", who)
    if mask.dtype != np.bool_:
        raise ManyLabelError(who, "`known` as booleans", f"entries of type {mask.dtype}")
    return None if mask.all() else mask
