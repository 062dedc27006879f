"""What people hold their data in, read for an estimator: features of any kind, sample weights, groups."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from manylabel.arrays import as_array, as_weights
from manylabel.data import Rows, Schema, Table, read_table
from manylabel.data.formats.frames import frame_in_memory
from manylabel.data.rows import Features, as_features
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix

Array: TypeAlias = "np.ndarray[Any, Any]"

MOST_COPIES = 4
"""Whole-number weights repeat rows as long as there are at most so many times as many rows."""


def read_features(estimator: Any, X: Any, *, reset: bool) -> Features:
    """Features of whatever holds them, checked against those of the fit.

    Parameters
    ----------
    estimator : MultiLabelClassifier or MultiLabelEmbedder
        Gets ``n_features_in_``, ``feature_names_in_`` and ``schema_`` where ``reset``, and is asked for them elsewhere.
    X : (n, n_features) array, sparse matrix, tensor or frame; n texts; pictures; or Features
        A frame of numbers alone is an array whose columns have names; any other is read as a table.
    reset : bool
        Whether this is the fit.

    Raises
    ------
    ManyLabelError
        For anything else, other columns than in the fit, numbers that are not finite, and no rows in a fit.
    """
    if reset:
        for name in ("n_features_in_", "feature_names_in_", "schema_"):
            estimator.__dict__.pop(name, None)
    if isinstance(X, Table):
        found = _of_table(estimator, X, reset)
    else:
        found = _of_columns(estimator, X, reset) if is_frame(X) else _of_numbers(estimator, _texts(X), reset)
    if reset and not len(found):
        raise ManyLabelError("X", "at least one row", "0 sample(s)")
    return found


def is_frame(X: Any) -> bool:
    """Whether X is a frame with named columns, of pandas, polars, Arrow or whatever else narwhals reads."""
    if isinstance(X, np.ndarray | list | tuple | Features):
        return False
    return frame_in_memory(X, "X") is not None


def _of_table(estimator: Any, table: Table, reset: bool) -> Features:
    if reset:
        estimator.schema_ = table.schema
    return table.X


def _of_columns(estimator: Any, X: Any, reset: bool) -> Features:
    """A frame: vectors where all columns are numbers and none is missing, else the rows of a table."""
    import narwhals as nw

    if not reset and hasattr(estimator, "schema_"):
        return _applied(estimator.schema_, X)
    frame = nw.from_native(X, eager_only=True)
    columns = [*frame.iter_columns()]
    numbers = all(column.dtype.is_numeric() or column.dtype == nw.Boolean for column in columns)
    if columns and numbers and not any(column.is_null().any() for column in columns):
        values = np.column_stack([column.to_numpy() for column in columns])
        if not np.isnan(values.astype(np.float64)).any():
            return _of_numbers(estimator, values, reset, X)
    if not reset:
        hint = (
            "The model was trained on numbers without gaps: fill them in, or train on a table that has some."
        )
        raise ManyLabelError("X", "a frame of numbers, none of them missing or NaN", "another one", hint)
    table = read_table(X)
    estimator.schema_ = table.schema
    return table.X


def _applied(schema: Schema, X: Any) -> Features:
    return schema.apply(X).X


def _of_numbers(estimator: Any, X: Any, reset: bool, frame: Any = None) -> Features:
    """Arrays, sparse matrices, tensors and texts; the names of columns are those of ``frame``."""
    if not reset and hasattr(estimator, "schema_") and not isinstance(X, Features | list):
        expected = "a frame with the columns of the training rows"
        raise ManyLabelError("X", expected, f"{type(X).__name__}", "Pass a frame, or a dict of columns.")
    found = as_features(X, "X") if isinstance(X, Features) else _read(estimator, X)
    if found.row_shape is not None and len(found.row_shape) == 1:
        _check_columns(estimator, found if frame is None else frame, reset)
    return found


def _read(estimator: Any, X: Any) -> Features:
    """Features, or an error that says besides what scikit-learn says of it."""
    shape = getattr(X, "shape", None)
    if shape is not None and len(shape) == 2 and shape[1] == 0:
        got = f"0 feature(s) (shape=({shape[0]}, 0)) while a minimum of 1 is required."
        raise ManyLabelError("X", "at least one feature", got)
    try:
        return as_features(X, "X")
    except ManyLabelError as error:
        told = _also_told(X)
        raise ManyLabelError("X", error.expected, error.got, f"{told} {error.hint}".strip()) from None


def _also_told(X: Any) -> str:
    """What scikit-learn says of numbers that cannot be read."""
    if isinstance(X, np.ndarray) and X.dtype.kind == "c":
        return "Complex data not supported."
    return "Reshape your data: one row per sample." if getattr(X, "ndim", 2) == 1 else ""


def _check_columns(estimator: Any, X: Any, reset: bool) -> None:
    """Number and names of the columns, in scikit-learn's words.

    Raises
    ------
    ManyLabelError
        For other columns than in the fit, or another order of them.
    """
    from sklearn.utils.validation import validate_data

    try:
        validate_data(estimator, X=X, skip_check_array=True, reset=reset)
    except (ValueError, TypeError) as error:
        hint = "Pass the columns of the training rows, in their order."
        raise ManyLabelError(
            "X", "the columns of the training rows", str(error).strip().rstrip("."), hint
        ) from None


def _texts(X: Any) -> Any:
    """A column of texts as a list; anything else as it is."""
    if isinstance(X, np.ndarray | list | tuple | Features) or not hasattr(X, "to_list"):
        return X
    values = X.to_list()
    return values if values and all(isinstance(value, str) for value in values) else X


class Arranged(NamedTuple):
    """Training rows in an order that does not depend on the one in which they came.

    Attributes
    ----------
    rows : Rows
    groups : (n,) int64 array or None
        Of rows that stay together: the caller's, else those of copies.
    source : (n,) int64 array
        The number of each row among the caller's.
    """

    rows: Rows
    groups: Array | None
    source: Array


def arranged(X: Features, Y: LabelMatrix, weights: Array | None, groups: Array | None) -> Arranged:
    """Rows as they are trained on: without those of weight 0, repeated by whole-number weights, in an order of theirs.

    A row of weight 2 is the same as the row given twice, to the bit, for any method; other weights than small whole
    numbers weigh the losses. Copies of a row stay together in every split, unless fewer than a quarter of the rows are
    distinct.
    """
    source = np.arange(len(Y))
    if weights is not None:
        source, done = _taken(weights)
        weights = None if done else weights
    keys = _digests(X)
    order = np.lexsort((Y.row_hashes().cpu().numpy(), keys))  # equal rows side by side
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    source = source[np.argsort(place[source], kind="stable")]
    if groups is not None:
        together: Array | None = groups[source]
    else:
        copies = np.unique(keys[source], return_inverse=True)[1]
        n_distinct = int(copies.max()) + 1
        together = copies if len(source) / MOST_COPIES <= n_distinct < len(source) else None
    kept = None if weights is None else weights[source]
    return Arranged(Rows(X.take(source), Y.take(source), kept), together, source)


def _digests(X: Features) -> Array:
    """A number for each row, equal for equal rows, (n,) uint64."""
    numbers = [
        blake2b(repr(key).encode("utf-8", "surrogatepass"), digest_size=8).digest() for key in X.row_keys()
    ]
    return np.frombuffer(b"".join(numbers), dtype="<u8")


def read_weights(sample_weight: Any, shape: tuple[int, int]) -> Array | None:
    """Sample weights, (n,) or (n, n_labels) float64; None where all are 1.

    Raises
    ------
    ManyLabelError
        For other shapes, negative or infinite numbers, and weights that are all zero.
    """
    if sample_weight is None:
        return None
    given = sample_weight.to_list() if hasattr(sample_weight, "to_list") else sample_weight
    weights = as_array(as_weights(given, shape, "fit"), "fit").astype(np.float64)
    if not weights.any():
        hint = "Sample weights must contain at least one non-zero number."
        raise ManyLabelError("fit", "a weight above 0 in `sample_weight`", "weights that are all zero", hint)
    return None if (weights == 1).all() else weights


def _taken(weights: Array) -> tuple[Array, bool]:
    """The numbers of the rows that weights leave, and whether the weights are done with: whole ones repeat rows."""
    rows = np.arange(len(weights))
    whole = weights.ndim == 1 and (weights == np.round(weights)).all()
    if whole and weights.sum() <= MOST_COPIES * len(weights):
        return np.repeat(rows, weights.astype(np.int64)), True
    return rows[weights.reshape(len(weights), -1).any(axis=1)], False


def read_groups(groups: Any, n: int) -> Array | None:
    """Groups of rows as numbers, (n,) int64.

    Raises
    ------
    ManyLabelError
        For another number of them than rows.
    """
    if groups is None:
        return None
    values = groups.to_list() if hasattr(groups, "to_list") else groups
    array = np.asarray(values)
    if array.shape != (n,):
        raise ManyLabelError("`groups`", f"{n} groups, one for each row", f"shape {array.shape}")
    if array.dtype.kind == "O":
        array = np.array([repr(value) for value in array.tolist()])
    return np.asarray(np.unique(array, return_inverse=True)[1], dtype=np.int64)
