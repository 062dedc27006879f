"""Data quality: labels and names that are refused, and remarks on what a reader of results should know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from manylabel.data.dataset import Rows
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix, as_labels

_DENSE_UP_TO = 128  # labels; a batch of so few is indexed faster as a dense block than as lists


def checked_labels(Y: Any, who: str) -> LabelMatrix:
    """Labels, each 0, 1 or NaN for unknown, or read already, as a label matrix: dense for few labels, sparse for many.

    Raises
    ------
    ManyLabelError
        Naming the first row and column that are neither, or where no entry is known.
    """
    if isinstance(Y, LabelMatrix):
        return _laid_out(Y)
    if getattr(Y, "ndim", 2) != 2 or Y.shape[1] == 0:
        raise ManyLabelError(who, "labels of shape (n_rows, n_labels)", f"shape {tuple(Y.shape)}")
    if Y.dtype.kind not in "biuf":
        hint = "Encode them as a 0/1 matrix."
        raise ManyLabelError(who, "0/1 labels", f"entries of type {Y.dtype}", hint)
    rows, columns, values = _entries(Y)
    hidden = np.isnan(values) if Y.dtype.kind == "f" else np.zeros(len(values), bool)
    wrong = np.flatnonzero((values != 0) & (values != 1) & ~hidden)
    if len(wrong):
        first = wrong[0]
        got = f"{values[first]:g} in row {rows[first]}, column {columns[first]} (counted from 0)"
        hint = "Encode unknown labels as NaN, or drop their rows."
        raise ManyLabelError(who, "every label to be 0 or 1", got, hint)
    return _laid_out(as_labels(Y if hidden.any() else Y.astype(np.uint8), binary=True, who=who))


def _laid_out(labels: LabelMatrix) -> LabelMatrix:
    """Dense for few labels, sparse for many."""
    if labels.n_labels > _DENSE_UP_TO:
        return labels.sparse()
    unknown = as_labels(labels.unknown.dense(torch.bool)) if labels.has_unknown else None
    return as_labels(labels.dense(torch.uint8)).with_unknown(unknown)


def checked_names(
    names: Sequence[Any] | np.ndarray[Any, Any] | None, n: int, what: str, who: str
) -> tuple[str, ...]:
    """One distinct, non-empty name for each of ``n`` columns; numbered names where none are given.

    Raises
    ------
    ManyLabelError
        For another number of names, an empty name or one that comes twice.
    """
    if names is None:
        return tuple(f"{what} {i}" for i in range(n))
    found = tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names)
    if len(found) != n:
        raise ManyLabelError(who, f"{n} {what} names, one a column", f"{len(found)}")
    twice = [name for name, count in Counter(found).items() if count > 1]
    if twice or "" in found:
        got = f"{twice[0]!r} more than once" if twice else "an empty name"
        raise ManyLabelError(who, f"distinct, non-empty {what} names", got, "Rename or merge the columns.")
    return found


def find_remarks(train: Rows, test: Rows, label_names: tuple[str, ...]) -> Iterator[str]:
    """Constant and unknown labels, rows without labels, test rows that training rows repeat; one sentence each."""
    yield from remarks_on_constant_labels(train.Y, label_names)
    for part, rows in (("training", train), ("test", test)):
        n, entries = rows.Y.n_unknown, rows.Y.n_rows * rows.Y.n_labels
        if n:
            yield f"{n} of {entries} label entries of {part} rows ({n / entries:.1%}) are unknown."
    unseen = test.Y.label_counts().numpy() == 0
    if unseen.any():
        yield f"{_labels(label_names, unseen)} never given in test: no score is defined there."
    for part, rows in (("training", train), ("test", test)):
        empty = int((rows.Y.row_counts() == 0).sum())
        if empty:
            yield f"{empty} of {len(rows)} {part} rows carry no label."
    known = set(train.X.row_keys())
    repeated = sum(key in known for key in test.X.row_keys())
    if repeated:
        yield f"{repeated} of {len(test)} test rows have the features of a training row."


def remarks_on_constant_labels(Y: LabelMatrix, label_names: tuple[str, ...]) -> Iterator[str]:
    """A sentence each on labels that no training row carries, that all do, and that are known of none."""
    counts, asked = Y.label_counts().numpy(), known_rows(Y)
    sentences = {
        "not known of any training row": asked == 0,
        "never given in training": (counts == 0) & (asked > 0),
        "given to every training row": (counts == asked) & (asked > 0),
    }
    for told, which in sentences.items():
        if which.any():
            yield f"{_labels(label_names, which)} {told}: nothing can be learnt there."


def known_rows(Y: LabelMatrix) -> np.ndarray[Any, Any]:
    """Of how many rows each label is known, (n_labels,) int64."""
    return np.asarray(len(Y) - Y.unknown.label_counts(torch.float64).long().cpu().numpy())


def _entries(Y: Any) -> tuple[Any, Any, Any]:
    """Row, column and value of every entry that may differ from 0."""
    if hasattr(Y, "tocoo"):
        coo = Y.tocoo()
        return coo.row, coo.col, coo.data
    rows, columns = np.nonzero(Y)
    return rows, columns, Y[rows, columns]


def _labels(names: tuple[str, ...], chosen: Any) -> str:
    picked = [names[i] for i in np.flatnonzero(chosen)]
    if len(picked) == 1:
        return f"Label {picked[0]!r} is"
    shown = ", ".join(repr(name) for name in picked[:5])
    return f"{len(picked)} labels ({shown}{', ...' if picked[5:] else ''}) are"
