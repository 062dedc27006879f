"""What a data set is: rows of features and labels, a test part, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from manylabel.arrays import as_array, as_weights
from manylabel.data.rows import Features, as_features
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix


@dataclass(frozen=True)
class Rows:
    """Features and labels of the same rows, read and checked here, once.

    Attributes
    ----------
    X : Features of n rows
        Anything that holds vectors (n, n_features), pictures (n, channels, height, width), whose numbers go from 0 to
        255, or n texts is taken; numbers keep their type, and the caller's arrays are never changed.
    Y : LabelMatrix (n, n_labels)
    weights : (n,) or (n, n_labels) float32 array, or None
        How much each row, or each label entry of it, counts in training; none negative, 0 for what does not count.
        None where all count alike. Calibration and metrics do not look at them, thresholds where a method cross-fits
        itself.

    Raises
    ------
    ManyLabelError
        For labels that are no LabelMatrix, another number of labels than of features, features that hold anything
        but finite numbers, or texts, and weights of another shape, negative or not finite.
    """

    X: Features
    Y: LabelMatrix
    weights: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.Y, LabelMatrix):
            hint = "Pass LabelMatrix.of(Y), where Y has one row of 0 and 1 for each row of features."
            raise ManyLabelError("Rows, Y", "a LabelMatrix", type(self.Y).__name__, hint)
        X = as_features(self.X, "Rows, X")
        if len(X) != len(self.Y):
            got = f"{len(X)} rows of features and {len(self.Y)} of labels"
            raise ManyLabelError(
                "Rows", "as many rows of features as of labels", got, "Pass the same rows of both."
            )
        object.__setattr__(self, "X", X)
        if self.weights is not None:
            weights = as_array(as_weights(self.weights, self.Y.shape, "Rows", "weights"), "Rows", "weights")
            object.__setattr__(self, "weights", weights.astype(np.float32))

    def __len__(self) -> int:
        return len(self.Y)

    def take(self, rows: Any) -> Rows:
        """The rows at the given positions, in that order; a boolean mask or a slice takes the rows that it marks.

        Raises
        ------
        ManyLabelError
            For positions of rows that are not there, or a mask of another length.
        """
        forward = isinstance(rows, slice) and (rows.step is None or rows.step > 0)
        index = rows if forward else _positions(rows, len(self))
        weights = None if self.weights is None else self.weights[index]
        return _checked(self.X.take(index), self.Y.take(index), weights)

    def concat(self, other: Rows) -> Rows:
        """These rows and then those of another part over the same labels, of the same kind and form."""
        return _checked(self.X.concat(other.X), self.Y.concat(other.Y), _joined_weights(self, other))


def _joined_weights(first: Rows, second: Rows) -> np.ndarray[Any, Any] | None:
    """The weights of two parts; where only one has some, the rows of the other weigh 1."""
    parts = first, second
    if all(part.weights is None for part in parts):
        return None
    given = [np.ones(len(part), np.float32) if part.weights is None else part.weights for part in parts]
    if len({weights.ndim for weights in given}) > 1:
        wide = [w if w.ndim == 2 else w[:, None] for w in given]
        given = [np.broadcast_to(w, part.Y.shape) for w, part in zip(wide, parts, strict=True)]
    return np.concatenate(given)


def _checked(X: Features, Y: LabelMatrix, weights: np.ndarray[Any, Any] | None) -> Rows:
    """Rows of features, labels and weights that are known to be sound."""
    rows = object.__new__(Rows)
    for name, value in (("X", X), ("Y", Y), ("weights", weights)):
        object.__setattr__(rows, name, value)
    return rows


def _positions(rows: Any, n: int) -> np.ndarray[Any, Any]:
    if isinstance(rows, slice):  # one that goes back, which torch does not know
        return np.arange(n)[rows].copy()
    index = np.ascontiguousarray(rows)  # torch has no negative strides
    if index.dtype == bool and index.shape == (n,):
        return np.flatnonzero(index)
    if index.size == 0:
        return np.zeros(0, dtype=np.int64)
    if index.dtype.kind not in "iu" or index.ndim != 1 or index.min() < -n or index.max() >= n:
        got = f"{index.dtype} of shape {index.shape}"
        if index.dtype.kind in "iu":
            got = f"positions from {index.min()} to {index.max()}"
        raise ManyLabelError("Rows.take", f"positions of {n} rows or a mask of them", got)
    return index


@dataclass(frozen=True)
class DataSet:
    """A multi-label data set with its split and its origin.

    Attributes
    ----------
    name : str
    train, test : Rows
        The official parts, or those of the rule in ``split``. ``train`` holds the validation rows.
    label_names : tuple of n_labels str
    feature_names : tuple of n_features str, or None
    validation_rows : int array of positions in ``train``, or None
        Published validation rows; None where none were published.
    split, source, licence : str
        One sentence each.
    digest : str
        sha256 over features, labels, label names and split: two runs with one digest saw the same data.
    remarks : tuple of str
        What a reader of results should know (constant labels, repeated rows, ...).
    test_names : tuple of str, or None
        What the test rows are called in their file: pictures by the names of their files.
    reading : mapping
        Settings of the reader without which new rows would not be like these, as it was asked for or found them: how
        pictures are brought to size, from which number on features are counted.
    """

    name: str
    train: Rows
    test: Rows
    label_names: tuple[str, ...]
    feature_names: tuple[str, ...] | None = None
    validation_rows: np.ndarray[Any, Any] | None = None
    split: str = ""
    source: str = ""
    licence: str = ""
    digest: str = ""
    remarks: tuple[str, ...] = ()
    test_names: tuple[str, ...] | None = None
    reading: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What kind of features its rows have."""
        return self.train.X.kind
