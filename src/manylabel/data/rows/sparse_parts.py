"""Sparse vectors that stay on disk: rows of text files of which a block is decoded at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol, Self

import numpy as np
import torch
from torch import Tensor

from manylabel.data.rows import parts as dense_parts
from manylabel.data.rows.base import Streamed
from manylabel.data.rows.parts import of_parts, pieces_of
from manylabel.data.rows.sparse import SparseVectors
from manylabel.errors import ManyLabelError

Array = np.ndarray[Any, Any]


class SparsePart(Protocol):
    """Rows of sparse numbers in a file."""

    @property
    def path(self) -> Path: ...

    @property
    def shape(self) -> tuple[int, int]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    @property
    def ends(self) -> Array:
        """How many entries all rows before each have, and all rows, (n + 1,) int64."""
        ...

    def read(self, start: int, stop: int) -> Any:
        """Consecutive rows, a CSR matrix (stop - start, n_features) with ascending columns, without stored zeros."""
        ...


class _Sums(NamedTuple):
    """What one reading tells of each column: rows with an entry, and the sum of squares."""

    counts: Array
    squares: Array


class SparseParts(SparseVectors):
    """Sparse vectors in files that are read a block of rows at a time; :attr:`values` reads all of them.

    Parameters
    ----------
    parts : sequence of SparsePart
        One below the other, of one width.
    rows : (n,) int64 array, optional
        Which of the rows, numbered through all parts. Default: all.
    columns : (n_features,) int64 array, optional
        Which of the columns. Default: all.

    Raises
    ------
    ManyLabelError
        For no part, and one of another width than the first.
    """

    def __init__(
        self, parts: Sequence[SparsePart], rows: Array | None = None, columns: Array | None = None
    ) -> None:
        self.parts, self.columns = tuple(parts), columns
        if not self.parts:
            raise ManyLabelError("SparseParts", "at least one file", "none")
        first = self.parts[0]
        for part in self.parts[1:]:
            if part.shape[1] != first.shape[1]:
                expected = f"{first.shape[1]} columns, as in {first.path}"
                raise ManyLabelError(str(part.path), expected, str(part.shape[1]))
        self._starts = np.cumsum([0, *(part.shape[0] for part in self.parts)])
        self.rows = np.arange(self._starts[-1]) if rows is None else rows

    @property
    def values(self) -> Any:
        """All rows as a CSR matrix, in memory."""
        return self.csr_of(slice(None))

    @property
    def block(self) -> int:
        """How many rows are decoded at once."""
        entries, n = sum(int(part.ends[-1]) for part in self.parts), int(self._starts[-1])
        each = (4 + self.dtype.itemsize) * max(1, entries // n)
        return int(max(1, dense_parts.BLOCK_BYTES // each))

    def csr_of(self, rows: slice | Array) -> Any:
        """Decode the rows of a slice, or at these positions, as a CSR matrix: what lies between them is decoded too."""
        import scipy.sparse as sp

        wanted = self.rows[rows]
        found, places = [sp.csr_matrix((0, self._width), dtype=self.dtype)], []
        for part, own, at in of_parts(self.parts, self._starts, wanted):
            for some, read in pieces_of(part, own, self.block):
                found.append(read.astype(self.dtype, copy=False))
                places.append(at[some])
        made = sp.vstack(found, format="csr")
        order = np.concatenate(places) if places else np.arange(0)
        if (np.diff(order) < 0).any():
            made = made[np.argsort(order)]
        return made if self.columns is None else made[:, self.columns]

    def blocks(self) -> Iterator[Any]:
        """All rows in their order as CSR matrices, a block at a time."""
        for start in range(0, len(self), self.block):
            yield self.csr_of(slice(start, start + self.block))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def _width(self) -> int:
        return int(self.parts[0].shape[1])

    @property
    def row_shape(self) -> tuple[int, ...]:
        return (self._width if self.columns is None else len(self.columns),)

    @property
    def dtype(self) -> Any:
        return np.result_type(*(part.dtype for part in self.parts))

    def take(self, rows: slice | Array) -> Self:
        return type(self)(self.parts, self.rows[rows], self.columns)

    def concat(self, other: SparseVectors) -> Any:
        same = isinstance(other, SparseParts) and self.columns is other.columns is None
        if not same:
            return SparseVectors(self.values).concat(SparseVectors(other.values))
        assert isinstance(other, SparseParts)
        return type(self)(
            self.parts + other.parts, np.concatenate([self.rows, other.rows + self._starts[-1]])
        )

    def select(self, columns: Tensor) -> Self:
        """Some of the columns, still on disk."""
        chosen = columns.cpu().numpy()
        made = type(self)(self.parts, self.rows, chosen if self.columns is None else self.columns[chosen])
        if "_sums" in self.__dict__:
            made.__dict__["_sums"] = _Sums(*(of_column[chosen] for of_column in self._sums))
        return made

    def row_keys(self) -> Iterator[bytes]:
        for block in self.blocks():
            yield from SparseVectors(block).row_keys()

    def content(self) -> Iterator[Any]:
        lengths = self._lengths()
        yield repr(self.shape).encode()
        yield np.concatenate([[0], np.cumsum(lengths)]).astype("<i8")
        n = int(lengths.sum())
        yield Streamed(8 * n, (block.indices.astype("<i8") for block in self.blocks()))
        yield Streamed(self.dtype.itemsize * n, (block.data for block in self.blocks()))

    def describe(self) -> str:
        n, width = self.shape
        share = self._lengths().sum() / (n * width)
        return f"{width} sparse numbers, {share:.2%} of them not zero, read by blocks"

    def column_counts(self) -> Array:
        return self._sums.counts

    def square_sum(self, dtype: torch.dtype) -> float:
        return float(self._sums.squares.sum())

    def moments(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Standard deviation and mean of every column, in a type, from one reading.

        Notes
        -----
        As those of :class:`~manylabel.data.VectorParts`; of a block only the entries are looked at.
        """
        n, mean, apart = 0, np.zeros(self.row_shape), np.zeros(self.row_shape)
        for block in self.blocks():
            b, of_columns = block.shape[0], _per_column(block)
            counts = of_columns(np.ones(block.nnz))
            own_mean = of_columns(block.data) / b
            shift = own_mean - mean
            off = of_columns(np.square(block.data - own_mean[block.indices]))
            apart += off + (b - counts) * np.square(own_mean) + np.square(shift) * (n * b / (n + b))
            mean, n = mean + shift * (b / (n + b)), n + b
        return tuple(torch.from_numpy(values).to(dtype) for values in (np.sqrt(apart / n), mean))  # type: ignore[return-value]

    @cached_property
    def _sums(self) -> _Sums:
        counts, squares = np.zeros(self.row_shape, np.int64), np.zeros(self.row_shape)
        for block in self.blocks():
            counts += block.getnnz(axis=0)
            squares += _per_column(block)(np.square(block.data, dtype=np.float64))
        return _Sums(counts, squares)

    def _lengths(self) -> Array:
        """How many entries each row has, (n,) int64."""
        if self.columns is None:
            return np.concatenate([np.diff(part.ends) for part in self.parts])[self.rows]
        return np.concatenate([np.diff(block.indptr) for block in self.blocks()]).astype(np.int64)


def _per_column(block: Any) -> Callable[[Array], Array]:
    """Sums of one number for each entry over the columns of a CSR matrix, in float64."""
    return lambda of_entries: np.bincount(block.indices, of_entries, block.shape[1])
