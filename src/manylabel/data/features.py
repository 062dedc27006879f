"""The front door for features: vectors, pictures and texts from Python, whatever holds them, read and checked once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from manylabel.arrays import as_array, as_tensor
from manylabel.errors import ManyLabelError

if TYPE_CHECKING:
    import scipy.sparse as sp

Features: TypeAlias = "Tensor | sp.csr_matrix | list[str]"
Kind: TypeAlias = Literal["vectors", "images", "text"]

LARGEST = float(torch.finfo(torch.float32).max)
_SHAPES = (
    "Pass vectors of shape (n_rows, n_features), or pictures of shape (n_rows, channels, height, width)."
)


def as_features(X: Any, who: str = "X") -> Features:
    """Features in the layout that :class:`~manylabel.data.dataset.Rows` promises; the caller's arrays stay as they are.

    Parameters
    ----------
    X : (n, n_features) numbers, (n, channels, height, width) pictures, or n str
        A tensor, array, frame or nested list; a sparse matrix of SciPy or torch; texts as a list, tuple or array.
    who : str
        The argument, for messages.

    Returns
    -------
    tensor, CSR matrix or list of str
        Numbers keep their type. They are shared with ``X`` where that is possible, and no part of a graph.

    Raises
    ------
    ManyLabelError
        For other shapes, entries that are no finite number of float32, masked entries, and sparse matrices whose
        indices lie out of range.
    """
    texts = _as_texts(X, who)
    if texts is not None:
        return texts
    if isinstance(X, Tensor) and X.layout != torch.strided:
        return _from_sparse_tensor(X, who)
    if hasattr(X, "tocsr"):
        return as_csr(X, who)
    found = as_tensor(X, who, "features").detach()
    if found.ndim not in (2, 4):
        raise ManyLabelError(who, "vectors or pictures", f"shape {tuple(found.shape)}", _SHAPES)
    if 0 in found.shape[1:]:
        raise ManyLabelError(who, "at least one feature", f"shape {tuple(found.shape)}")
    _check_finite(found, who)
    return found


def count_rows(X: Features) -> int:
    """Rows of features in the layout of :func:`as_features`."""
    return len(X) if isinstance(X, list) else int(X.shape[0])


def row_shape(X: Features) -> tuple[int, ...] | None:
    """The shape of one row; None for texts."""
    return None if isinstance(X, list) else tuple(X.shape[1:])


def as_csr(X: Any, who: str) -> sp.csr_matrix:
    """A SciPy sparse matrix as CSR with sorted columns, each once, of float32 or, for wide types, float64.

    Raises
    ------
    ManyLabelError
        If its indices lie out of range, or an entry is no finite number of float32.
    """
    import scipy.sparse as sp

    check_indices(X, who)
    if X.ndim != 2 or X.shape[1] == 0:
        raise ManyLabelError(who, "a matrix (n_rows, n_features)", f"shape {X.shape}", _SHAPES)
    # The type first: SciPy converts neither float16, long double nor swapped bytes between layouts.
    values = X.tocoo() if X.format not in ("csr", "csc", "coo") else X
    data = as_array(values.data, who, "features")
    wide = is_wide(data.dtype)
    csr = sp.csr_matrix(_with_data(values, data.astype(np.float64 if wide else np.float32, copy=False)))
    spare = len(csr.data) > csr.indptr[-1]
    if spare or not csr.has_canonical_format:
        csr = csr.copy()
        csr.sum_duplicates()
        csr.prune()
    _check_finite(torch.from_numpy(csr.data), who)
    return csr


def check_indices(X: Any, who: str) -> None:
    """Refuse a SciPy sparse matrix whose indices lie out of range: compiled code would read and write past its arrays.

    Raises
    ------
    ManyLabelError
        Names the part of the matrix that is wrong.
    """
    if X.format == "coo":
        for axis, numbers in enumerate(X.coords):
            _check_range(numbers, X.shape[axis], "row" if axis == 0 else "column", who)
        if any(len(numbers) != len(X.data) for numbers in X.coords):
            raise _broken(who, "as many positions as values")
    elif X.format in ("csr", "csc", "bsr"):
        block = getattr(X, "blocksize", (1, 1))
        major, minor = (1, 0) if X.format == "csc" else (0, 1)
        n = X.shape[major] // block[major]
        offsets = X.indptr
        if len(offsets) != n + 1 or offsets[0] != 0 or (np.diff(offsets) < 0).any():
            raise _broken(who, "offsets that start at 0 and ascend, one for each row and one more")
        if offsets[-1] > min(len(X.indices), len(X.data)):
            raise _broken(who, "offsets that end at the number of values")
        what = "row" if X.format == "csc" else "column"
        _check_range(X.indices[: offsets[-1]], X.shape[minor] // block[minor], what, who)


def is_wide(dtype: np.dtype[Any] | torch.dtype) -> bool:
    """Whether float32 may not hold all numbers of a type: float64, and integers of more than two bytes."""
    if isinstance(dtype, torch.dtype):
        return dtype in (torch.float64, torch.int32, torch.int64)
    return dtype.kind in "fiu" and dtype.itemsize > (4 if dtype.kind == "f" else 2)


def blurred_columns(X: Any) -> Any:
    """The columns that float32 blurs: rounding moves their values by more than a thousandth of their deviation.

    Parameters
    ----------
    X : (n, n_features) float64 array or CSR matrix
        Of the CSR matrix, only the stored entries are compared with each other.

    Returns
    -------
    (k,) int64 array
        Such as times in seconds since 1970 that differ by minutes.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        if hasattr(X, "tocsr"):
            n, width = np.bincount(X.indices, minlength=X.shape[1]), X.shape[1]
            mean = np.bincount(X.indices, X.data, width) / n
            apart = np.square(X.data - mean[X.indices])
            deviation = np.sqrt(np.bincount(X.indices, apart, width) / n)
            size = np.abs(mean)
        else:
            deviation, size = X.std(axis=0), np.abs(X.mean(axis=0))
        blurred = (deviation > 0) & (size * 2.0**-24 > 1e-3 * deviation) & (deviation > size * 2.0**-49)
    return np.flatnonzero(blurred)


def narrowed(X: Any) -> Any:
    """Float64 features as float32, or as they are where that might blur a column.

    Parameters
    ----------
    X : (n, n_features) float64 array or CSR matrix
        All rows, or some of them: a number that float32 cannot hold may differ from that of another row.
    """
    with np.errstate(over="ignore"):
        narrow = X.astype(np.float32)
    wide, short = (M.data if hasattr(M, "tocsr") else M for M in (X, narrow))
    if len(blurred_columns(X)) or bool(((np.abs(wide) >= 2**24) & (short != wide)).any()):
        return X
    return narrow


def _as_texts(X: Any, who: str) -> list[str] | None:
    """Texts as a list; None for numbers."""
    if isinstance(X, np.ndarray) and X.ndim == 1 and X.dtype.kind in "UO" and len(X):
        X = X.tolist()
    if not isinstance(X, list | tuple) or (len(X) and not isinstance(X[0], str)):
        return None
    other = next((i for i, text in enumerate(X) if not isinstance(text, str)), None)
    if other is not None:
        got = f"{type(X[other]).__name__} in row {other} (counted from 0)"
        raise ManyLabelError(who, "texts in every row", got, 'Replace a missing text by "".')
    return list(X)


def _from_sparse_tensor(X: Tensor, who: str) -> sp.csr_matrix:
    import scipy.sparse as sp

    if X.ndim != 2:
        raise ManyLabelError(who, "a matrix (n_rows, n_features)", f"shape {tuple(X.shape)}", _SHAPES)
    X = X.detach().cpu()
    if X.layout == torch.sparse_csr:
        parts = [as_array(part, who, "features") for part in (X.values(), X.col_indices(), X.crow_indices())]
        try:
            return as_csr(sp.csr_matrix(tuple(parts), shape=tuple(X.shape)), who)
        except ManyLabelError:
            raise
        except ValueError as error:
            raise _broken(who, "offsets and columns that fit each other", str(error)) from None
    if X.layout != torch.sparse_coo:
        raise ManyLabelError(who, "features", f"a tensor of layout {X.layout}", "Call .to_dense() on it.")
    rows, columns = X._indices().numpy()
    values = as_array(X._values(), who, "features")
    for what, numbers, n in (("row", rows, X.shape[0]), ("column", columns, X.shape[1])):
        _check_range(numbers, n, what, who)
    return as_csr(sp.coo_matrix((values, (rows, columns)), shape=tuple(X.shape)), who)


def _with_data(X: Any, data: Any) -> Any:
    """The same sparse matrix with these values; it shares its other arrays."""
    if X.format == "coo":
        return type(X)((data, X.coords), shape=X.shape)
    return type(X)((data, X.indices, X.indptr), shape=X.shape)


def _check_finite(X: Tensor, who: str) -> None:
    if not X.is_floating_point() or not X.numel():
        return
    X = X.float() if X.dtype.itemsize == 1 else X  # torch does not compare the numbers of 8 bits
    low, high = (float(bound) for bound in X.aminmax())  # NaN comes through both
    if low >= -LARGEST and high <= LARGEST:
        return
    hint = "Fill missing values in, or drop those rows or columns; rescale numbers beyond 3e38."
    got = "NaN" if low != low else f"values from {low:g} to {high:g}"
    if X.ndim == 2:
        row, column = (~(X.abs() <= LARGEST)).nonzero()[0].tolist()
        got = f"{float(X[row, column]):g} in row {row}, column {column} (counted from 0)"
    raise ManyLabelError(who, "finite numbers", got, hint)


def _check_range(numbers: Any, n: int, what: str, who: str) -> None:
    if len(numbers) and (numbers.min() < 0 or numbers.max() >= n):
        raise _broken(who, f"{what} numbers from 0 to {n - 1}", f"{numbers.min()} to {numbers.max()}")


def _broken(who: str, expected: str, got: str = "others") -> ManyLabelError:
    return ManyLabelError(who, f"a sparse matrix with {expected}", got, "Build the matrix anew.")
