"""Pictures in files on disk, memory-mapped: rows are chosen without being read, and read where they are used."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from manylabel.data.rows.images import Images


class MappedImages(Images):
    """Pictures whose pixels stay on the disk; :meth:`batch` reads some of them, :attr:`values` may read all.

    Parameters
    ----------
    parts : sequence of tensors (n_i, channels, height, width) uint8
        Views of mapped files, never written to.
    rows : (n,) int64 array, optional
        Which of the rows, numbered through all parts. Default: all.
    """

    def __init__(self, parts: tuple[Tensor, ...], rows: np.ndarray[Any, Any] | None = None) -> None:
        self.parts = parts
        self._starts = np.cumsum([0, *(len(part) for part in parts)])
        self.rows = np.arange(self._starts[-1]) if rows is None else rows

    @property
    def values(self) -> Tensor:  # type: ignore[override]
        """All of the pictures, (n, channels, height, width) uint8: where rows follow each other, a view of the file."""
        return self._block(0, len(self)) if len(self) else self.batch(slice(None))

    def batch(self, rows: slice | np.ndarray[Any, Any]) -> Tensor:
        """Read the pictures of a slice, or at these positions, (B, channels, height, width) uint8."""
        wanted = self.rows[rows]
        made = np.empty((len(wanted), *self.row_shape), np.uint8)
        owner = self._owner(wanted)
        for number in np.unique(owner).tolist():
            at = owner == number
            made[at] = self.parts[number].numpy()[wanted[at] - self._starts[number]]
        return torch.from_numpy(made)

    def _owner(self, wanted: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The part that each of some rows is in."""
        return np.searchsorted(self._starts, wanted, side="right") - 1

    def _block(self, start: int, stop: int) -> Tensor:
        """A view of the file where rows follow each other there, else a copy."""
        wanted = self.rows[start:stop]
        first, last = int(wanted[0]), int(wanted[-1])
        number, number_of_last = self._owner(wanted[[0, -1]]).tolist()
        if number != number_of_last or last - first != len(wanted) - 1 or (np.diff(wanted) != 1).any():
            return self.batch(slice(start, stop))
        shift = int(self._starts[number])
        view: Tensor = self.parts[number][first - shift : last - shift + 1]
        return view

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def row_shape(self) -> tuple[int, ...]:
        return tuple(self.parts[0].shape[1:])

    @property
    def dtype(self) -> Any:
        return torch.uint8

    def take(self, rows: slice | np.ndarray[Any, Any]) -> Self:
        return type(self)(self.parts, self.rows[rows])

    def concat(self, other: Any) -> Any:
        if isinstance(other, MappedImages):
            return type(self)(
                self.parts + other.parts, np.concatenate([self.rows, other.rows + self._starts[-1]])
            )
        return Images(self.values).concat(other)
