"""What may go into a data set: finite features, labels that are 0 or 1, names that tell labels apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from manylabel.data.features import Features, blurred_columns, check_indices
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix, as_labels

_DENSE_UP_TO = 128  # labels; a batch of so few is indexed faster as a dense block than as lists


def checked_features(X: Any, who: str) -> Features:
    """Features in the layout that :class:`~manylabel.data.dataset.Rows` promises.

    Parameters
    ----------
    X : (n, n_features) numbers, dense or SciPy sparse; (n, ...) uint8 pictures; or list of n str
        Pictures are (n, height, width), (n, height, width, channels) or (n, channels, height, width), where
        channels is 1 or 3.
    who : str
        The file or argument, for messages.

    Raises
    ------
    ManyLabelError
        For another type or shape, no rows, or a number that is not finite as float32.

    Notes
    -----
    Numbers become float32. A matrix in which that would blur a column (times in seconds since 1970, minutes apart)
    stays float64 as a whole: :class:`manylabel.models.Inputs` takes the mean out before it narrows.
    """
    if isinstance(X, list):
        return _checked_texts(X, who)
    if not X.shape or X.shape[0] == 0:
        raise ManyLabelError(who, "at least one row", "none")
    if hasattr(X, "tocsr"):
        return _checked_sparse(X, who)
    if X.dtype.kind not in "biuf":
        raise ManyLabelError(who, "numbers", f"entries of type {X.dtype}", "Encode them as numbers.")
    if X.ndim == 2:
        return _checked_vectors(X, who)
    if X.ndim in (3, 4) and X.dtype == np.uint8:
        return _channels_first(X, who)
    hint = "Pass vectors of shape (n_rows, n_features), or pictures as uint8 from 0 to 255."
    raise ManyLabelError(who, "vectors or uint8 pictures", f"{X.dtype} of shape {X.shape}", hint)


def checked_labels(Y: Any, who: str) -> LabelMatrix:
    """Labels, all 0 or 1, as a label matrix that is dense for few labels and sparse for many.

    Raises
    ------
    ManyLabelError
        Naming the first row and column that are neither 0 nor 1.
    """
    if getattr(Y, "ndim", 2) != 2 or Y.shape[1] == 0:
        raise ManyLabelError(who, "labels of shape (n_rows, n_labels)", f"shape {tuple(Y.shape)}")
    if Y.dtype.kind not in "biuf":
        hint = "Encode them as a 0/1 matrix."
        raise ManyLabelError(who, "0/1 labels", f"entries of type {Y.dtype}", hint)
    rows, columns, values = _entries(Y)
    wrong = np.flatnonzero((values != 0) & (values != 1))
    if len(wrong):
        first = wrong[0]
        got = f"{values[first]:g} in row {rows[first]}, column {columns[first]} (counted from 0)"
        hint = "Encode missing labels as 0 or drop their rows."
        raise ManyLabelError(who, "every label to be 0 or 1", got, hint)
    labels = as_labels(Y.astype(np.uint8), binary=True, who=who)
    if labels.n_labels > _DENSE_UP_TO:
        return labels.sparse()
    return as_labels(labels.dense(torch.uint8))


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


def _entries(Y: Any) -> tuple[Any, Any, Any]:
    """Row, column and value of every entry that may differ from 0."""
    if hasattr(Y, "tocoo"):
        coo = Y.tocoo()
        return coo.row, coo.col, coo.data
    rows, columns = np.nonzero(Y)
    return rows, columns, Y[rows, columns]


def _checked_texts(X: list[Any], who: str) -> list[str]:
    if not X:
        raise ManyLabelError(who, "at least one text", "none")
    other = next((i for i, text in enumerate(X) if not isinstance(text, str)), None)
    if other is not None:
        raise ManyLabelError(who, "texts", f"{type(X[other]).__name__} in row {other}")
    return X


def _checked_vectors(X: np.ndarray[Any, Any], who: str) -> Tensor:
    if X.shape[1] == 0:
        raise ManyLabelError(who, "at least one feature", "none")
    dtype = _narrowest(X)
    with np.errstate(over="ignore"):
        # -0.0 becomes 0.0, as in sparse rows
        vectors = np.ascontiguousarray(X, dtype=dtype) + dtype(0)
    if not np.isfinite(vectors).all():
        row, column = np.argwhere(~np.isfinite(vectors))[0]
        raise _not_finite(who, X[row, column], row, column)
    return torch.from_numpy(vectors)


def _checked_sparse(X: Any, who: str) -> Features:
    import scipy.sparse as sp

    check_indices(X, who)
    vectors = sp.csr_matrix(X, copy=True)
    with np.errstate(over="ignore"):
        vectors = vectors.astype(_narrowest(vectors), copy=False)
    vectors.sum_duplicates()
    vectors.eliminate_zeros()
    if not np.isfinite(vectors.data).all():
        entries = vectors.tocoo()
        first = np.flatnonzero(~np.isfinite(entries.data))[0]
        raise _not_finite(who, entries.data[first], entries.row[first], entries.col[first])
    return vectors


def _narrowest(X: Any) -> Any:
    """Float32 unless it would blur a column."""
    wide = X.dtype.kind in "iuf" and X.dtype.itemsize >= 4 and X.dtype != np.float32
    if not wide or not len(blurred_columns(X.astype(np.float64, copy=False))):
        return np.float32
    with np.errstate(over="ignore"):
        overflows = np.abs(X.data if hasattr(X, "tocsr") else X).max(initial=0) > np.finfo(np.float32).max
    return np.float32 if overflows else np.float64  # what float32 cannot hold is refused as not finite


def _not_finite(who: str, value: Any, row: int, column: int) -> ManyLabelError:
    got = f"{value} in row {row}, column {column} (counted from 0)"
    return ManyLabelError(
        who, "finite numbers", got, "Fill missing values in, or drop those rows or columns."
    )


def _channels_first(X: np.ndarray[Any, Any], who: str) -> Tensor:
    pictures = torch.from_numpy(np.ascontiguousarray(X))
    if pictures.ndim == 3:
        return pictures[:, None]
    if X.shape[3] in (1, 3):
        return pictures.permute(0, 3, 1, 2).contiguous()
    if X.shape[1] in (1, 3):
        return pictures
    hint = "Store them as (n, height, width, channels) or (n, channels, height, width)."
    raise ManyLabelError(who, "pictures with 1 or 3 channels", f"shape {X.shape}", hint)
