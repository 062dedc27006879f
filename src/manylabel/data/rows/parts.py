"""Vectors that stay on disk: arrays in files of which a block of rows is read at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import torch
from torch import Tensor

from manylabel.data.rows.dense import check_finite
from manylabel.data.rows.vectors import Vectors
from manylabel.errors import ManyLabelError

BLOCK_BYTES = 1 << 23  # of the rows that are read at once


class RowPart(Protocol):
    """Rows of numbers in a file; see :func:`manylabel.data.open_parts` for what there is."""

    @property
    def path(self) -> Path: ...

    @property
    def shape(self) -> tuple[int, int]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def read(self, start: int, stop: int) -> np.ndarray[Any, Any]:
        """Consecutive rows, (stop - start, n_features)."""
        ...


def of_parts(
    parts: Sequence[Any], starts: np.ndarray[Any, Any], wanted: np.ndarray[Any, Any]
) -> Iterator[tuple[Any, np.ndarray[Any, Any], np.ndarray[Any, Any]]]:
    """Each part that holds some of the rows, their numbers in it, and where they stand among those wanted."""
    owner = np.searchsorted(starts, wanted, side="right") - 1
    for number in np.unique(owner).tolist():
        at = np.flatnonzero(owner == number)
        yield parts[number], wanted[at] - starts[number], at


def pieces_of(part: Any, own: np.ndarray[Any, Any], block: int) -> Iterator[tuple[slice, Any]]:
    """Rows of a part, with what lies between them read too, or one by one where they are far from each other."""
    first, last = int(own.min()), int(own.max())
    if last - first <= 2 * len(own) + block:
        yield slice(None), part.read(first, last + 1)[own - first]
        return
    for place, row in enumerate(own.tolist()):
        yield slice(place, place + 1), part.read(row, row + 1)


def is_number(dtype: np.dtype[Any]) -> bool:
    """Whether a tensor can hold such numbers as they are: of up to 64 bits, in the byte order of this machine."""
    return dtype.kind in "iuf" and dtype.itemsize <= 8 and dtype.isnative


@dataclass(frozen=True)
class NpyPart:
    """An array (n, n_features) in a file of ``numpy.save``; build it with :meth:`open`.

    Attributes
    ----------
    path : Path
    shape : (n, n_features)
    dtype : NumPy type
    start : int
        Bytes before the first number.
    """

    path: Path
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    start: int

    @classmethod
    def open(cls, path: str | Path) -> Self:
        """Read the header of a file.

        Raises
        ------
        ManyLabelError
            If it holds no plain rows of numbers, or fewer or more bytes than its header declares.
        """
        place = Path(path)
        expected = "an npy file of rows of numbers, (n_rows, n_features)"
        hint = "Write it with numpy.save, row by row (C order), as float32 for example."
        try:
            with place.open("rb") as file:
                version = np.lib.format.read_magic(file)
                read = {
                    (1, 0): np.lib.format.read_array_header_1_0,
                    (2, 0): np.lib.format.read_array_header_2_0,
                }
                shape, in_columns, dtype = read[version](file)
                start = file.tell()
            size = place.stat().st_size
        except (OSError, ValueError, KeyError) as error:
            raise ManyLabelError(str(path), expected, str(error).splitlines()[0][:200], hint) from None
        if len(shape) != 2 or 0 in shape or in_columns or not is_number(dtype):
            got = f"{dtype} of shape {shape}" + (", column by column" if in_columns else "")
            raise ManyLabelError(str(path), expected, got, hint)
        declared = math.prod(shape) * dtype.itemsize
        if size - start != declared:
            got = f"{size - start} after it"
            raise ManyLabelError(str(path), f"{declared} bytes, as its header says", got, hint)
        return cls(place, (int(shape[0]), int(shape[1])), dtype, start)

    def read(self, start: int, stop: int) -> np.ndarray[Any, Any]:
        """Consecutive rows, (stop - start, n_features).

        Raises
        ------
        ManyLabelError
            If the file has shrunk since it was opened.
        """
        width = self.shape[1]
        offset, count = self.start + start * width * self.dtype.itemsize, (stop - start) * width
        found = np.fromfile(self.path, self.dtype, count, offset=offset)
        if len(found) < count:
            got = f"an end after {len(found)} of {count} numbers"
            raise ManyLabelError(str(self.path), f"rows {start} to {stop - 1}", got, "It was cut meanwhile.")
        return found.reshape(-1, width)


class VectorParts(Vectors):
    """Vectors in files that are read a block of rows at a time; :attr:`values` reads all of them.

    Parameters
    ----------
    parts : sequence of RowPart
        One below the other, of one width and type.
    rows : (n,) int64 array, optional
        Which of the rows, numbered through all parts. Default: all.

    Raises
    ------
    ManyLabelError
        For no part, and one of another width or type than the first.

    Notes
    -----
    Files are read and not mapped: what was read can be given back, and a file that is cut meanwhile gives an error.
    They must not change while the rows are in use.
    """

    def __init__(self, parts: Sequence[RowPart], rows: np.ndarray[Any, Any] | None = None) -> None:
        self.parts = tuple(parts)
        if not self.parts:
            raise ManyLabelError("VectorParts", "at least one file", "none")
        for part in self.parts[1:]:
            first = self.parts[0]
            if (part.shape[1], part.dtype) != (first.shape[1], first.dtype):
                expected = f"{first.shape[1]} columns of {first.dtype}, as in {first.path}"
                raise ManyLabelError(str(part.path), expected, f"{part.shape[1]} of {part.dtype}")
        self._starts = np.cumsum([0, *(part.shape[0] for part in self.parts)])
        self.rows = np.arange(self._starts[-1]) if rows is None else rows

    @property
    def values(self) -> Tensor:  # type: ignore[override]
        """All rows, (n, n_features), in memory."""
        return self.batch(slice(None))

    @property
    def block(self) -> int:
        """How many rows are read at once."""
        return max(1, BLOCK_BYTES // (self.row_shape[0] * self.parts[0].dtype.itemsize))

    def batch(self, rows: slice | np.ndarray[Any, Any]) -> Tensor:
        """Read the rows of a slice, or at these positions, (B, n_features): what lies between them is read too.

        Raises
        ------
        ManyLabelError
            For a number that is not finite.
        """
        wanted = self.rows[rows]
        made, places = np.empty((len(wanted), *self.row_shape), self.parts[0].dtype), []
        for part, own, at in of_parts(self.parts, self._starts, wanted):
            places.append(str(part.path))
            for some, read in pieces_of(part, own, self.block):
                made[at[some]] = read
        found = torch.from_numpy(made)
        check_finite(found, ", ".join(places))
        return found

    def blocks(self) -> Iterator[Tensor]:
        """All rows in their order, a block at a time."""
        for start in range(0, len(self), self.block):
            yield self.batch(slice(start, start + self.block))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def row_shape(self) -> tuple[int, ...]:
        return (self.parts[0].shape[1],)

    @property
    def dtype(self) -> Any:
        return torch.from_numpy(np.empty(0, self.parts[0].dtype)).dtype

    def take(self, rows: slice | np.ndarray[Any, Any]) -> Self:
        return type(self)(self.parts, self.rows[rows])

    def concat(self, other: Any) -> Any:
        if isinstance(other, VectorParts):
            rows = np.concatenate([self.rows, other.rows + self._starts[-1]])
            return type(self)(self.parts + other.parts, rows)
        return Vectors(self.values).concat(other)

    def row_keys(self) -> Iterator[bytes]:
        for block in self.blocks():
            for row in block.numpy().astype(np.float64):
                yield blake2b(row.tobytes(), digest_size=8).digest()

    def content(self) -> Iterator[Any]:
        yield repr(self.shape).encode()
        for block in self.blocks():
            yield block.reshape(-1).view(torch.uint8).numpy()

    def moments(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Standard deviation and mean of every column, in a type, from one reading.

        Notes
        -----
        Means and sums of squared differences of blocks are joined in float64: nothing large is subtracted from
        something large.
        """
        n, mean, apart = 0, torch.zeros(()), torch.zeros(())
        for block in self.blocks():
            b, own = len(block), block.double()
            own_mean = own.mean(0)
            shift = own_mean - mean
            apart = apart + (own - own_mean).square().sum(0) + shift.square() * (n * b / (n + b))
            mean = mean + shift * (b / (n + b))
            n += b
        return (apart / n).sqrt().to(dtype), mean.to(dtype)
