"""Feature vectors as sparse matrices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from manylabel.arrays import as_array
from manylabel.data.rows.base import Features
from manylabel.data.rows.dense import check_finite
from manylabel.data.rows.precision import (
    blurred_columns,
    is_wide,
    may_narrow,
    narrowest,
    not_finite,
    warn_of_blurred,
)
from manylabel.errors import ManyLabelError

if TYPE_CHECKING:
    import scipy.sparse as sp

SHAPES = "Pass vectors of shape (n_rows, n_features), or pictures of shape (n_rows, channels, height, width)."
_CHUNK = 2**26  # entries of a dense block


class SparseVectors(Features):
    """Vectors that are mostly zero; ``values`` is a CSR matrix (n, n_features) of float32 or float64."""

    kind: ClassVar[str] = "vectors"
    overlays: ClassVar[tuple[str, ...]] = ("vectors",)
    is_sparse: ClassVar[bool] = True

    @property
    def counts_like(self) -> bool:
        return not (self.values.data < 0).any()

    @classmethod
    def read(cls, X: Any, who: str) -> Self | None:
        """Sparse matrices of SciPy and torch; None for anything else."""
        if isinstance(X, Tensor) and X.layout != torch.strided:
            return cls(_from_sparse_tensor(X, who))
        return cls(as_csr(X, who)) if hasattr(X, "tocsr") else None

    @classmethod
    def of_file(cls, X: Any, who: str) -> Self:
        """The matrix of a file, as float32, or float64 where that would blur a column.

        Raises
        ------
        ManyLabelError
            If indices lie out of range, or naming the first number that is not finite.
        """
        import scipy.sparse as sp

        check_indices(X, who)
        vectors = sp.csr_matrix(X, copy=True)
        dtype = narrowest(
            vectors.dtype, vectors.data, lambda: _blurred(vectors.astype(np.float64, copy=False))
        )
        return cls(canonical(vectors, dtype, who))

    def _as_array(self) -> Any:
        return self.values.toarray()

    def take(self, rows: slice | np.ndarray[Any, Any]) -> Self:
        return type(self)(self.values[rows])

    def concat(self, other: Self) -> Self:
        import scipy.sparse as sp

        return type(self)(sp.vstack([self.values, other.values], format="csr"))

    def row_keys(self) -> Iterator[bytes]:
        X = self.values
        for start, stop in zip(X.indptr[:-1], X.indptr[1:], strict=True):
            numbers = X.indices[start:stop].astype(np.int64), X.data[start:stop].astype(np.float64)
            entries = b"".join(part.tobytes() for part in numbers)
            yield blake2b(entries, digest_size=8).digest()

    def content(self) -> Iterator[Any]:
        yield repr(self.shape).encode()
        yield self.values.indptr.astype("<i8")
        yield self.values.indices.astype("<i8")
        yield self.values.data

    def describe(self) -> str:
        n, width = self.values.shape
        return f"{width} sparse numbers, {self.values.nnz / (n * width):.2%} of them not zero"

    def select(self, columns: Tensor) -> Self:
        """Some of the columns."""
        return type(self)(self.values[:, columns.cpu().numpy()])

    def dense(self, dtype: torch.dtype) -> Tensor:
        """The rows as a tensor of a type, (n, n_features)."""
        return torch.from_numpy(self.values.toarray()).to(dtype)

    def csr(self, dtype: torch.dtype) -> sp.csr_matrix:
        """The matrix, whose own type stays."""
        return self.values

    def column_counts(self) -> np.ndarray[Any, Any]:
        """How many rows have an entry in each column, (n_features,) int64."""
        return self.values.getnnz(axis=0)  # type: ignore[no-any-return]

    def square_sum(self, dtype: torch.dtype) -> float:
        """The sum of the squares of all entries."""
        return float(np.square(self.csr(dtype).data, dtype=np.float64).sum())

    def moments(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Standard deviation and mean of every column, in a type; large matrices a block of columns at a time."""
        n, n_features = self.values.shape
        if n * n_features <= _CHUNK:
            return torch.std_mean(self.dense(dtype), dim=0, correction=0)
        columns, width = self.values.tocsc(), max(1, _CHUNK // n)
        blocks = (columns[:, start : start + width].toarray() for start in range(0, n_features, width))
        moments = [torch.std_mean(torch.from_numpy(block), dim=0, correction=0) for block in blocks]
        return torch.cat([std for std, _ in moments]), torch.cat([mean for _, mean in moments])

    def warn_of_blurred(self, names: Any = None) -> None:
        if is_wide(self.dtype):
            warn_of_blurred(_blurred(self.values), lambda j: self.values[:, [j]].data, names)


def canonical(X: Any, dtype: Any, who: str) -> Any:
    """A CSR matrix of a type with ascending columns and without stored zeros; ``X`` itself may be changed.

    Raises
    ------
    ManyLabelError
        Naming the first number that is not finite.
    """
    with np.errstate(over="ignore"):
        vectors = X.astype(dtype, copy=False)
    vectors.sum_duplicates()
    vectors.eliminate_zeros()
    if not np.isfinite(vectors.data).all():
        entries = vectors.tocoo()
        first = np.flatnonzero(~np.isfinite(entries.data))[0]
        raise not_finite(who, entries.data[first], entries.row[first], entries.col[first])
    return vectors


def narrowed(X: Any) -> Any:
    """A float64 matrix of a file as float32, or as it is where that might blur a column."""
    return X.astype(np.float32) if may_narrow(X.data, _blurred(X)) else X


def _blurred(X: Any) -> Any:
    """The columns of a float64 matrix that float32 blurs; only the stored entries are compared with each other."""
    return ColumnSpread.of(X).blurred()


@dataclass(frozen=True)
class ColumnSpread:
    """Number, mean and squared deviations of the stored entries of columns; blocks of rows can be put together.

    Attributes
    ----------
    columns : (k,) int64 array
        In ascending order; those without an entry may be left out.
    n, mean, apart : (k,) float64 arrays
        Entries of each, their mean, and the sum of their squared deviations from it.
    """

    columns: np.ndarray[Any, Any]
    n: np.ndarray[Any, Any]
    mean: np.ndarray[Any, Any]
    apart: np.ndarray[Any, Any]

    @classmethod
    def of(cls, X: Any) -> Self:
        """Of the entries of a float64 CSR matrix."""
        width = X.shape[1]
        if width > len(X.indices):  # hashed features: billions of columns, of which few hold anything
            stored, at = np.unique(X.indices, return_inverse=True)
        else:
            stored, at = np.arange(width), X.indices
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            n = np.bincount(at, minlength=len(stored))
            mean = np.bincount(at, X.data, len(stored)) / n
            apart = np.bincount(at, np.square(X.data - mean[at]), len(stored))
        return cls(stored, n, mean, apart)

    def with_others(self, other: Self) -> Self:
        """Of the entries of both."""
        columns = np.union1d(self.columns, other.columns)
        (n, mean, apart), (m, others, apart_others) = (part._at(columns) for part in (self, other))
        with np.errstate(over="ignore", invalid="ignore"):
            share = m / np.maximum(n + m, 1)
            shift = others - mean
            apart = apart + apart_others + np.square(shift) * n * share
            return type(self)(columns, n + m, mean + shift * share, apart)

    def blurred(self) -> Any:
        """The columns that float32 blurs."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return self.columns[blurred_columns(self.mean, np.sqrt(self.apart / self.n))]

    def _at(self, columns: np.ndarray[Any, Any]) -> Iterator[np.ndarray[Any, Any]]:
        """Number, mean and deviations of these columns, 0 where there is no entry."""
        place = np.searchsorted(columns, self.columns)
        for of_column in (self.n, np.where(self.n > 0, self.mean, 0), self.apart):
            made = np.zeros(len(columns))
            made[place] = of_column
            yield made


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
        raise ManyLabelError(who, "a matrix (n_rows, n_features)", f"shape {X.shape}", SHAPES)
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
    check_finite(torch.from_numpy(csr.data), who)
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


def _from_sparse_tensor(X: Tensor, who: str) -> sp.csr_matrix:
    import scipy.sparse as sp

    if X.ndim != 2:
        raise ManyLabelError(who, "a matrix (n_rows, n_features)", f"shape {tuple(X.shape)}", SHAPES)
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


def _check_range(numbers: Any, n: int, what: str, who: str) -> None:
    if len(numbers) and (numbers.min() < 0 or numbers.max() >= n):
        raise _broken(who, f"{what} numbers from 0 to {n - 1}", f"{numbers.min()} to {numbers.max()}")


def _broken(who: str, expected: str, got: str = "others") -> ManyLabelError:
    return ManyLabelError(who, f"a sparse matrix with {expected}", got, "Build the matrix anew.")
