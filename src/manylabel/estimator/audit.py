"""Audit of labels: entries that look wrong or missing, ranked by cross-fitted evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from manylabel import files, methods
from manylabel.data import Rows, Table
from manylabel.errors import ManyLabelError
from manylabel.estimator.audit_evidence import (
    Marks,
    combined,
    neighbour_shares,
    out_of_fold,
    pair_evidence,
)
from manylabel.estimator.base import seed_of, table_groups
from manylabel.estimator.classifier import MultiLabelClassifier
from manylabel.estimator.fitting import Fitting
from manylabel.estimator.targets import read_targets
from manylabel.estimator.validation import read_features, read_groups
from manylabel.files.spreadsheet import csv_text
from manylabel.labels import LabelMatrix
from manylabel.metrics.learnt_thresholds import learn_label_thresholds
from manylabel.training import Listener

Array: TypeAlias = "np.ndarray[Any, Any]"
Kind: TypeAlias = Literal["carried but unlikely", "missing but likely", "unknown but likely"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Finding(NamedTuple):
    """A label entry that looks wrong or missing, with the evidence.

    Attributes
    ----------
    row : int
        Counted from 0.
    label : str
    kind : "carried but unlikely", "missing but likely" or "unknown but likely"
    suspicion : float
        1 less the probability of what the labels say; of an unknown entry, the probability that it is carried.
    probability : float
        That the row carries the label, from model, neighbours, other labels and frequency together.
    threshold : float
        Of the label, on ``probability``.
    model : float
        Probability by a model that saw neither the row nor its labels.
    neighbours : float
        Share of the nearest other rows, among those on which the label is known, that carry it; NaN without any.
    beside : str
        Another label that the row carries: the one beside which this is rarest, or most usual where it is missing; ""
        without another.
    beside_share : float
        Share of the other rows with that label that carry this one; NaN without any.
    """

    row: int
    label: str
    kind: Kind
    suspicion: float
    probability: float
    threshold: float
    model: float
    neighbours: float
    beside: str
    beside_share: float


class LabelAudit(NamedTuple):
    """What an audit found of one label: entries, and how many of them look wrong.

    Attributes
    ----------
    label : str
    carried, missing, unknown : int
        Entries.
    unlikely, likely : int
        Carried entries below the threshold, and missing ones from it on.
    error_share : float
        Their share of the known entries, an upper bound rather than an estimate: rows that are hard count too.
    """

    label: str
    carried: int
    missing: int
    unknown: int
    unlikely: int
    likely: int
    error_share: float


@dataclass(frozen=True, eq=False)
class Audit:
    """What cross-fitted evidence says of every label entry.

    Attributes
    ----------
    Y : LabelMatrix (n, n_labels)
    label_names : tuple of n_labels str
    model, neighbours, probability : (n, n_labels) float32 arrays
        See :class:`Finding`.
    thresholds : (n_labels,) array
    """

    Y: LabelMatrix
    label_names: tuple[str, ...]
    model: Array
    neighbours: Array
    probability: Array
    thresholds: Array

    @cached_property
    def marks(self) -> Marks:
        """The label entries as arrays."""
        return Marks.of(self.Y)

    @cached_property
    def suspicion(self) -> Array:
        """How much speaks against each entry, (n, n_labels) float32 in [0, 1]; comparable within and across labels."""
        return np.where(self.marks.carried, 1 - self.probability, self.probability)

    @cached_property
    def suspected(self) -> Array:
        """Entries on the other side of their label's threshold, and unknown ones above it, (n, n_labels) bool."""
        found: Array = (self.probability >= self.thresholds) != self.marks.carried
        return found

    def findings(self, k: int | None = 20, kind: Kind | None = None) -> list[Finding]:
        """The ``k`` most suspicious entries, or all, of one kind or of every kind.

        Raises
        ------
        ManyLabelError
            For another ``k`` than a whole number of at least 0, and another kind.
        """
        if k is not None and (isinstance(k, bool) or not isinstance(k, int | np.integer) or k < 0):
            raise ManyLabelError("`k`", "a whole number of at least 0, or None for all", f"{k!r:.60}")
        if kind is not None and kind not in KINDS:
            raise ManyLabelError("`kind`", f"one of {', '.join(KINDS)}", f"{kind!r:.60}")
        wanted = self.suspected if kind is None else self.suspected & self._of_kind(kind)
        rows, labels = np.nonzero(wanted)
        order = np.argsort(-self.suspicion[rows, labels], kind="stable")[:k]
        return [self._finding(row, label) for row, label in zip(rows[order], labels[order], strict=True)]

    def table(self, k: int = 20) -> str:
        """The most suspicious entries for a person, one line each."""
        lines = [f"{'row':>7}  {'kind':20}  {'suspicion':>9}  label: evidence"]
        lines += [
            f"{f.row:>7}  {f.kind:20}  {f.suspicion:>9.3f}  {f.label}: {_told(f)}" for f in self.findings(k)
        ]
        return "\n".join(lines)

    __str__ = table

    def to_csv(self, path: str | Path, k: int | None = None) -> None:
        """Write the most suspicious entries, or all, as CSV with a column for each part of a finding.

        Raises
        ------
        ManyLabelError
            If the file cannot be written.
        """
        lines = ([float(f"{v:.6g}") if isinstance(v, float) else v for v in one] for one in self.findings(k))
        files.write(path, csv_text([Finding._fields, *lines]).encode())

    def per_label(self) -> list[LabelAudit]:
        """What was found of each label."""
        carried, unknown = self.marks.carried, self.marks.unknown
        missing = ~carried & ~unknown
        kinds = carried, missing, unknown, carried & self.suspected, missing & self.suspected
        counts = zip(self.label_names, *(entries.sum(0).tolist() for entries in kinds), strict=True)
        return [
            LabelAudit(label, n, m, u, unlikely, likely, (unlikely + likely) / max(n + m, 1))
            for label, n, m, u, unlikely, likely in counts
        ]

    def _of_kind(self, kind: Kind) -> Array:
        carried, unknown = self.marks.carried, self.marks.unknown
        return {KINDS[0]: carried, KINDS[1]: ~carried & ~unknown, KINDS[2]: unknown}[kind]

    def _finding(self, row: Any, label: Any) -> Finding:
        kind = next(kind for kind in KINDS if self._kind_at(kind, row, label))
        beside, share = self.marks.beside(row, label)
        evidence = (self.suspicion, self.probability, self.model, self.neighbours)
        suspicion, probability, model, neighbours = (float(values[row, label]) for values in evidence)
        name = "" if beside is None else self.label_names[beside]
        threshold = float(self.thresholds[label])
        told = suspicion, probability, threshold, model, neighbours, name, share
        return Finding(int(row), self.label_names[label], kind, *told)

    def _kind_at(self, kind: Kind, row: Any, label: Any) -> bool:
        carried, unknown = bool(self.marks.carried[row, label]), bool(self.marks.unknown[row, label])
        return kind == (KINDS[0] if carried else KINDS[2] if unknown else KINDS[1])


def _told(finding: Finding) -> str:
    told = (
        f"{finding.probability:.2f} against the threshold {finding.threshold:.2f}; model {finding.model:.2f}"
    )
    if finding.neighbours == finding.neighbours:
        told += f", {finding.neighbours:.0%} of the nearest rows carry it"
    if finding.beside and finding.beside_share == finding.beside_share:
        told += f", {finding.beside_share:.0%} of the other rows with {finding.beside} do"
    return told


def audit(
    X: Any,
    y: Any = None,
    *,
    method: str = "best",
    settings: Mapping[str, Any] | None = None,
    folds: int = 5,
    neighbours: int = 10,
    groups: Any = None,
    class_names: Sequence[Any] | None = None,
    unknown: float | None = None,
    random_state: Any = 0,
    device: str = "auto",
    progress: Listener | None = None,
) -> Audit:
    """Find label entries that look wrong or missing.

    Parameters
    ----------
    X, y : as :meth:`MultiLabelClassifier.fit` takes them
        Or :class:`manylabel.data.Rows`, or a table with labels, without ``y``.
    method : str, default "best"
        A method of :mod:`manylabel.methods`, or the path of a recipe.
    settings : mapping, optional
        Dotted names of settings to values.
    folds : int, default 5
        The method is trained as many times, each time without one fold; one that cross-fits itself, once on as many.
    neighbours : int, default 10
        Nearest rows that are asked.
    groups : (n,) array, optional
        Rows of one group stay in one fold.
    class_names, unknown, random_state, device
        As for :class:`MultiLabelClassifier`.
    progress : callable, optional
        Receives :class:`manylabel.training.Progress`.

    Raises
    ------
    ManyLabelError
        For rows, labels and parameters that cannot be used.

    Notes
    -----
    Each row is scored by a model that was trained without it. That probability, the share of the nearest other rows
    that carry the label (by the cosine of features), what the row's other labels say of it (naive Bayes, counted
    without the row's fold; up to 4096 labels) and the label's frequency become one probability by a logistic regression
    of all entries, fitted without the fold on which it is used: a model that is too sure of itself counts for less. The
    suspicion of an entry is 1 less the probability of what it says, so that entries of all labels rank together.
    Takes a few (n, n_labels) arrays, and n^2 time for neighbours.
    """
    rows, names, groups = _read(X, y, groups, class_names, unknown)
    _check_counts(rows, folds, neighbours)
    made = _with_folds(method, dict(settings or {}), int(folds))
    fitting = Fitting(made, seed_of(random_state), names, device, progress=progress)
    model, fold = out_of_fold(fitting, rows, groups, int(folds))
    shares = neighbour_shares(rows, int(neighbours))
    probability = combined(model, shares, pair_evidence(rows.Y, fold), rows.Y, fold)
    thresholds = learn_label_thresholds(probability, rows.Y, fold).values
    return Audit(rows.Y, names, model, shares, probability, thresholds)


def _with_folds(method: str, settings: dict[str, Any], folds: int) -> methods.Method:
    """A method, which cross-fits itself on so many folds if it does."""
    made = methods.get(method, **settings)
    return methods.get(method, **{"folds": folds} | settings) if made.cross_fits else made


def _read(
    X: Any, y: Any, groups: Any, class_names: Sequence[Any] | None, unknown: float | None
) -> tuple[Rows, tuple[str, ...], Array | None]:
    if isinstance(X, Rows):
        names = tuple(f"label {j}" for j in range(X.Y.n_labels)) if class_names is None else class_names
        return X, tuple(map(str, names)), read_groups(groups, len(X))
    weights = X.weights if isinstance(X, Table) else None
    if isinstance(X, Table):
        y, groups = X if y is None else y, table_groups(X.groups) if groups is None else groups
    if y is None:
        raise ManyLabelError(
            "audit", "labels", "none", "Pass them as `y`, or a table or Rows that have some."
        )
    targets, Y = read_targets(y, class_names, unknown)
    features = read_features(MultiLabelClassifier(), X, reset=True)
    return Rows(features, Y, weights), targets.label_names, read_groups(groups, len(Y))


def _check_counts(rows: Rows, folds: Any, neighbours: Any) -> None:
    for name, value, least in (("folds", folds, 2), ("neighbours", neighbours, 1)):
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if not whole or value < least:
            raise ManyLabelError(f"`{name}`", f"a whole number of at least {least}", f"{value!r:.60}")
    if not rows.Y.binary:
        raise ManyLabelError("audit", "labels that are 0 or 1", "soft labels", "Round them.")
    n_carried = int(rows.Y.label_counts().sum())
    if not 0 < n_carried < rows.Y.n_rows * rows.Y.n_labels - rows.Y.n_unknown:
        got = "none that is carried" if not n_carried else "carried ones alone"
        raise ManyLabelError("audit", "label entries that are carried and others that are not", got)
