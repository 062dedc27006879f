"""Slices of a report: rare and frequent labels, label sets never seen in training, groups of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from manylabel.arrays import as_array
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix, Labels, as_labels
from manylabel.metrics.held_out import fully_known
from manylabel.metrics.inputs import known_labels
from manylabel.metrics.ranking import average_precision
from manylabel.metrics.scores import Array, Scores, as_scores
from manylabel.metrics.sets import Counts

THIRDS = ("rare labels", "medium labels", "frequent labels")


@dataclass(frozen=True)
class Slice:
    """Metrics of a part of the scored labels or rows.

    Attributes
    ----------
    name : str
    rows, labels, positives : int
        How many rows, labels and true entries it holds.
    values : dict of metric to float
        Of labels: ``macro_f1``, ``micro_f1`` and ``map``; of rows: ``micro_f1``, ``example_f1`` and
        ``subset_accuracy``. NaN where undefined.
    """

    name: str
    rows: int
    labels: int
    positives: int
    values: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers and strings for JSON; undefined values become None."""
        return asdict(self) | {"values": {m: None if v != v else v for m, v in self.values.items()}}


@dataclass(frozen=True, eq=False)
class TrainingLabels:
    """What slices need to know of the labels of training rows; a model keeps it in place of them.

    Attributes
    ----------
    counts : (C,) int64 array
        Rows known to carry each label.
    sets : (k,) int64 array
        A number for each distinct label set of the rows whose labels are all known, ascending.
    """

    counts: Array
    sets: Array

    @staticmethod
    def of(Y: Labels) -> TrainingLabels:
        """Of the labels themselves, (m, C).

        Raises
        ------
        ManyLabelError
            If labels are not 0/1.
        """
        labels = as_labels(Y, binary=True, who="TrainingLabels.of")
        counts = labels.label_counts(torch.float64).cpu().numpy().astype(np.int64)
        return TrainingLabels(counts, np.unique(_set_numbers(labels)[fully_known(labels)]))

    def joined(self, Y: LabelMatrix) -> TrainingLabels:
        """With further rows, of these labels and perhaps of others behind them."""
        own = TrainingLabels.of(Y)
        counts = np.pad(self.counts, (0, Y.n_labels - len(self.counts))) + own.counts
        return TrainingLabels(counts, np.union1d(self.sets, own.sets))


def slices(
    scores: Scores,
    predictions: Scores,
    Y: Labels,
    Y_train: Labels | TrainingLabels,
    groups: Sequence[Any] | Array | None = None,
) -> list[Slice]:
    """Score the parts of a report.

    Parameters
    ----------
    scores : (n, C) array or tensor
    predictions : (n, C) bool or 0/1 array or tensor
    Y : (n, C) labels, dense or sparse
    Y_train : (m, C) labels of the training rows, or what a model keeps of them
    groups : (n,) names or numbers, optional
        The group of each row, such as its source.

    Returns
    -------
    list of Slice
        Thirds of the labels by training positives, of equal numbers of labels; rows whose label set a training row
        carries, and those whose set none does (a row with an unknown entry is neither); the groups in their order.
        Slices without a known entry are left out.

    Raises
    ------
    ManyLabelError
        If shapes differ, scores hold NaN, or predictions or labels are not 0/1.
    """
    S, labels = as_scores(scores, "slices"), as_labels(Y, binary=True, who="slices")
    train = _training_labels(Y_train)
    if len(train.counts) != labels.n_labels:
        expected, got = f"`Y_train` of {labels.n_labels} labels", f"{len(train.counts)} labels"
        raise ManyLabelError("slices", expected, got, "Pass the labels in the same order.")
    found = as_array(predictions, "slices", "predictions")
    by_rows = _rows_by_novelty(labels, train)
    if groups is not None:
        by_rows |= _groups(groups, len(S))
    of_labels = _label_slices(S, found, labels, train)
    asked = known_labels(labels.to("cpu")) > 0
    some = {name: rows for name, rows in by_rows.items() if (rows & asked).any()}
    return of_labels + [_row_slice(name, rows, found, labels) for name, rows in some.items()]


def _training_labels(Y_train: Labels | TrainingLabels) -> TrainingLabels:
    if isinstance(Y_train, TrainingLabels):
        return Y_train
    return TrainingLabels.of(as_labels(Y_train, binary=True, who="slices: `Y_train`"))


def _set_numbers(labels: LabelMatrix) -> Array:
    """Equal for rows that carry equal sets, (n,) int64."""
    return as_array(labels.row_hashes(), "slices")


def _rows_by_novelty(labels: LabelMatrix, train: TrainingLabels) -> dict[str, Array]:
    """Rows whose label set some training row carries, and the others; (n,) bool each, no row with an unknown entry."""
    exact = np.isin(np.arange(len(labels)), fully_known(labels))
    seen = np.isin(_set_numbers(labels), train.sets)
    return {"seen label sets": exact & seen, "unseen label sets": exact & ~seen}


def _label_slices(S: Array, predictions: Scores, labels: LabelMatrix, train: TrainingLabels) -> list[Slice]:
    counts, ap = Counts.of(predictions, labels), average_precision(S, labels)
    order = np.argsort(train.counts, kind="stable")
    parts = zip(THIRDS, np.array_split(order, 3), strict=True)
    return [_label_slice(name, part, counts, ap) for name, part in parts if len(part)]


def _label_slice(name: str, part: Array, counts: Counts, ap: Array) -> Slice:
    tally = counts.labels.take(part)
    of_part, present = Counts(tally, counts.rows), ap[part][~np.isnan(ap[part])]
    values = {"macro_f1": float(of_part.macro_f1()), "micro_f1": float(of_part.micro_f1())}
    values["map"] = float(present.mean()) if len(present) else float("nan")
    return Slice(name, len(counts.rows.true), len(part), int(tally.true.sum()), values)


def _row_slice(name: str, rows: Array, predictions: Array, labels: LabelMatrix) -> Slice:
    part = labels.take(np.flatnonzero(rows))
    counts = Counts.of(predictions[rows], part)
    metrics = {
        "micro_f1": counts.micro_f1,
        "example_f1": counts.example_f1,
        "subset_accuracy": counts.subset_accuracy,
    }
    values = {metric: float(value()) for metric, value in metrics.items()}
    return Slice(name, part.n_rows, part.n_labels, int(counts.rows.true.sum()), values)


def _groups(groups: Sequence[Any] | Array, n: int) -> dict[str, Array]:
    names = np.array([str(group) for group in groups])
    if names.shape != (n,):
        raise ManyLabelError(
            "slices", f"`groups` of {n} rows", f"{len(names)}", "Pass the group of each row."
        )
    in_order = dict.fromkeys(names.tolist())
    return {f"group {name}": names == name for name in in_order}
