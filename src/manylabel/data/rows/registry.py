"""The front doors for features: whatever holds them becomes features of one kind, read and checked once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from numbers import Number
from types import NoneType
from typing import Any

import numpy as np

from manylabel.arrays import as_tensor
from manylabel.data.rows.base import Features
from manylabel.data.rows.dense import DenseFeatures, check_finite
from manylabel.data.rows.images import Images
from manylabel.data.rows.sparse import SHAPES, SparseVectors
from manylabel.data.rows.table import TableRows
from manylabel.data.rows.text import Texts
from manylabel.data.rows.vectors import Vectors
from manylabel.errors import ManyLabelError

KINDS: dict[str, tuple[str, ...]] = {kind.kind: kind.overlays for kind in (Vectors, Images, Texts, TableRows)}
"""The kinds that recipes know, and the overlays that hold for each."""

_OF_DIMENSIONS: dict[int, type[DenseFeatures]] = {2: Vectors, 4: Images}


def as_features(X: Any, who: str = "X") -> Features:
    """Features of Python objects; the caller's arrays stay as they are.

    Parameters
    ----------
    X : (n, n_features) numbers, (n, channels, height, width) pictures, n str, or Features
        A tensor, array, frame or nested list; a sparse matrix of SciPy or torch; texts as a list, tuple or array.
    who : str
        The argument, for messages.

    Returns
    -------
    Features
        Numbers keep their type. They are shared with ``X`` where that is possible, and no part of a graph.

    Raises
    ------
    ManyLabelError
        For other shapes, entries that are no finite number of float32, masked entries, and sparse matrices whose
        indices lie out of range.
    """
    if isinstance(X, Features):
        return X
    for kind in (Texts, SparseVectors):
        found = kind.read(X, who)
        if found is not None:
            return found
    if isinstance(X, NoneType | Number | Mapping | Set | Iterator | type):
        got = "None" if X is None else f"{X!r:.60} of type {type(X).__name__}"
        raise ManyLabelError(who, "rows as an array, a matrix, a frame or a list", got, SHAPES)
    return _dense(X, who)


def _dense(X: Any, who: str) -> Features:
    found = as_tensor(X, who, "features").detach()
    kind = _OF_DIMENSIONS.get(found.ndim)
    if kind is None:
        raise ManyLabelError(who, "vectors or pictures", f"shape {tuple(found.shape)}", SHAPES)
    if 0 in found.shape[1:]:
        raise ManyLabelError(who, "at least one feature", f"shape {tuple(found.shape)}")
    check_finite(found, who)
    return kind(found)


def features_of_file(X: Any, who: str) -> Features:
    """Features as a reader of files found them.

    Parameters
    ----------
    X : (n, n_features) numbers, dense or SciPy sparse; (n, ...) uint8 pictures; list of n str; or Features
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
    stays float64 as a whole: :mod:`manylabel.models.inputs` takes the mean out before it narrows.
    """
    if isinstance(X, Features):
        return X
    if isinstance(X, list):
        return Texts.of_file(X, who)
    if not X.shape or X.shape[0] == 0:
        raise ManyLabelError(who, "at least one row", "none")
    if is_sparse_matrix(X):
        return SparseVectors.of_file(X, who)
    if X.dtype.kind not in "biuf":
        raise ManyLabelError(who, "numbers", f"entries of type {X.dtype}", "Encode them as numbers.")
    if X.ndim == 2:
        return Vectors.of_file(X, who)
    if X.ndim in (3, 4) and X.dtype == np.uint8:
        return Images.of_file(X, who)
    hint = "Pass vectors of shape (n_rows, n_features), or pictures as uint8 from 0 to 255."
    raise ManyLabelError(who, "vectors or uint8 pictures", f"{X.dtype} of shape {X.shape}", hint)


def is_sparse_matrix(X: Any) -> bool:
    """Whether a reader found a sparse matrix of SciPy."""
    return hasattr(X, "tocsr")


def stacked(first: Any, second: Any) -> Any:
    """Two parts that a reader found, one below the other: lists, arrays, or CSR where one of them is sparse.

    Raises
    ------
    ValueError
        If their columns do not fit.
    """
    if isinstance(first, list):
        return first + second
    if is_sparse_matrix(first) or is_sparse_matrix(second):
        import scipy.sparse as sp

        return sp.vstack([sp.csr_matrix(first), sp.csr_matrix(second)], format="csr")
    return np.concatenate([first, second])


def same_layout(first: Any, second: Any) -> tuple[Any, Any]:
    """Two parts that a reader found, both sparse where one is."""
    if is_sparse_matrix(first) == is_sparse_matrix(second):
        return first, second
    import scipy.sparse as sp

    return sp.csr_matrix(first), sp.csr_matrix(second)
