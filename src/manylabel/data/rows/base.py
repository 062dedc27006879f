"""The contract of features: rows of one kind that say themselves how they are taken, compared, digested and told."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np


@dataclass(frozen=True)
class Streamed:
    """A piece of content that is never in memory as a whole: how many bytes it has, and buffers that make it up."""

    nbytes: int
    buffers: Iterable[Any]


def add_piece(digest: Any, piece: Any) -> None:
    """Add a buffer, or one that is streamed, to a digest of hashlib.

    Each is preceded by its length: pieces cannot be taken for one another.
    """
    if not isinstance(piece, Streamed):
        view = memoryview(piece).cast("B") if len(piece) else memoryview(b"")
        piece = Streamed(view.nbytes, (view,))
    digest.update(piece.nbytes.to_bytes(8, "little"))
    for buffer in piece.buffers:
        digest.update(buffer)


class Features(ABC):
    """The features of n rows of one kind, read and checked where they were made.

    Parameters
    ----------
    values : tensor, CSR matrix or list
        What holds them; it may be shared with the caller and is never written to.

    Attributes
    ----------
    kind : str
        The name of the kind in recipes and records.
    overlays : tuple of str
        The kinds whose overlays in a recipe hold for these rows, the later ones above the earlier.
    is_sparse : bool
        Whether rows are lists of entries, which dense rows would fill up with zeros.
    holds_texts : bool
        Whether rows are texts, or have some beside other columns.
    """

    kind: ClassVar[str]
    overlays: ClassVar[tuple[str, ...]]
    is_sparse: ClassVar[bool] = False
    holds_texts: ClassVar[bool] = False

    def __init__(self, values: Any) -> None:
        self.values = values

    def __len__(self) -> int:
        return int(self.values.shape[0])

    @property
    def row_shape(self) -> tuple[int, ...] | None:
        """The shape of one row; None for rows that are no arrays."""
        return tuple(self.values.shape[1:])

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of rows, then the shape of one."""
        return (len(self), *(self.row_shape or ()))

    @property
    def counts_like(self) -> bool:
        """Whether rows are lists of entries of which none is negative, so that TF-IDF can weigh them."""
        return False

    @property
    def form(self) -> str:
        """What new rows have to agree with, for messages."""
        return f"shape {self.row_shape}"

    @property
    def dtype(self) -> Any:
        """The type of the numbers."""
        return self.values.dtype

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        """What ``np.asarray`` makes of them: (n, ...) numbers, dense, or n str."""
        return np.array(self._as_array(), dtype=dtype, copy=copy)

    def _as_array(self) -> Any:
        return self.values

    @abstractmethod
    def take(self, rows: slice | np.ndarray[Any, Any]) -> Self:
        """The rows of a slice, or at these positions in their order."""

    @abstractmethod
    def concat(self, other: Self) -> Self:
        """These rows and then those of another part of the same kind and form."""

    @abstractmethod
    def row_keys(self) -> Iterator[Hashable]:
        """A key for each row; equal rows have equal keys, in every process the same."""

    @abstractmethod
    def content(self) -> Iterator[Any]:
        """Shape and values as buffers or :class:`Streamed`, to digest.

        They are the same on every machine, whatever the rows were read from.
        """

    @abstractmethod
    def describe(self) -> str:
        """What a person wants to know of them, in a few words."""

    def warn_of_blurred(self, names: Any = None) -> None:  # noqa: B027  (few kinds can lose anything)
        """Warn of columns that lose what they tell where rows become float32 and nothing is subtracted before.

        Parameters
        ----------
        names : (n_features,) int tensor, optional
            The numbers of the columns, where some were left out.
        """
