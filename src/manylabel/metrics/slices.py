"""Slices of a report: rare and frequent labels, label sets never seen in training, groups of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from manylabel.arrays import as_array
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix, Labels, as_labels
from manylabel.metrics.ranking import average_precision
from manylabel.metrics.scores import Array, Scores, as_scores
from manylabel.metrics.sets import Counts, Tally

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


def slices(
    scores: Scores,
    predictions: Scores,
    Y: Labels,
    Y_train: Labels,
    groups: Sequence[Any] | Array | None = None,
) -> list[Slice]:
    """Score the parts of a report.

    Parameters
    ----------
    scores : (n, C) array or tensor
    predictions : (n, C) bool or 0/1 array or tensor
    Y : (n, C) labels, dense or sparse
    Y_train : (m, C) labels of the training rows
    groups : (n,) names or numbers, optional
        The group of each row, such as its source.

    Returns
    -------
    list of Slice
        Thirds of the labels by training positives, of equal numbers of labels; rows whose label set a training row
        carries, and those whose set none does; the groups in their order. Empty slices are left out.

    Raises
    ------
    ManyLabelError
        If shapes differ, scores hold NaN, or predictions or labels are not 0/1.
    """
    S, labels = as_scores(scores, "slices"), as_labels(Y, binary=True, who="slices")
    train = as_labels(Y_train, binary=True, who="slices: `Y_train`")
    if train.n_labels != labels.n_labels:
        expected, got = f"`Y_train` of {labels.n_labels} labels", f"{train.n_labels} labels"
        raise ManyLabelError("slices", expected, got, "Pass the labels in the same order.")
    found = as_array(predictions, "slices", "predictions")
    by_rows = {"seen label sets": seen_rows(labels, train)}
    by_rows["unseen label sets"] = ~by_rows["seen label sets"]
    if groups is not None:
        by_rows |= _groups(groups, len(S))
    of_labels = _label_slices(S, found, labels, train)
    return of_labels + [_row_slice(name, rows, found, labels) for name, rows in by_rows.items() if rows.any()]


def seen_rows(labels: LabelMatrix, train: LabelMatrix) -> Array:
    """Which rows carry a label set that some training row carries exactly, (n,) bool."""
    _, ids = train.groups(labels.to(train.device))
    return np.asarray((ids < train.n_rows).cpu().numpy())


def _label_slices(S: Array, predictions: Scores, labels: LabelMatrix, train: LabelMatrix) -> list[Slice]:
    counts, ap = Counts.of(predictions, labels), average_precision(S, labels)
    order = np.argsort(train.label_counts().cpu().numpy(), kind="stable")
    parts = zip(THIRDS, np.array_split(order, 3), strict=True)
    return [_label_slice(name, part, counts, ap) for name, part in parts if len(part)]


def _label_slice(name: str, part: Array, counts: Counts, ap: Array) -> Slice:
    tally = Tally(counts.labels.hits[part], counts.labels.predicted[part], counts.labels.true[part])
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
