"""Encoded rows: rows as they are beside the vectors that a frozen encoder made of them, so that they are made once."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any, Self

import numpy as np

from manylabel.data.rows.base import Features
from manylabel.data.rows.vectors import Vectors


class EncodedRows(Features):
    """Rows and their vectors; everything but the vectors is that of the rows.

    Parameters
    ----------
    raw : Features of n rows
    vectors : Vectors (n, n_features)
    encoder : str
        Digest of what made the vectors.
    """

    def __init__(self, raw: Features, vectors: Vectors, encoder: str) -> None:
        assert len(raw) == len(vectors), "a vector for each row"
        super().__init__(raw.values)
        self.raw, self.vectors, self.encoder = raw, vectors, encoder

    @property
    def kind(self) -> str:  # type: ignore[override]
        return self.raw.kind

    @property
    def overlays(self) -> tuple[str, ...]:  # type: ignore[override]
        return self.raw.overlays

    @property
    def is_sparse(self) -> bool:  # type: ignore[override]
        return self.raw.is_sparse

    def __len__(self) -> int:
        return len(self.raw)

    @property
    def row_shape(self) -> tuple[int, ...] | None:
        return self.raw.row_shape

    @property
    def form(self) -> str:
        return self.raw.form

    @property
    def dtype(self) -> Any:
        return self.raw.dtype

    def _as_array(self) -> Any:
        return np.asarray(self.raw)

    def take(self, rows: slice | np.ndarray[Any, Any]) -> Self:
        return type(self)(self.raw.take(rows), self.vectors.take(rows), self.encoder)

    def concat(self, other: Self) -> Self:
        assert self.encoder == other.encoder, "rows of one encoder"
        return type(self)(self.raw.concat(other.raw), self.vectors.concat(other.vectors), self.encoder)

    def row_keys(self) -> Iterator[Hashable]:
        return self.raw.row_keys()

    def content(self) -> Iterator[Any]:
        yield self.encoder.encode()
        yield from self.raw.content()

    def describe(self) -> str:
        return f"{self.raw.describe()}, encoded as {self.vectors.describe()}"


def raw_rows(X: Features) -> Features:
    """Rows as they are, without what an encoder made of them."""
    return X.raw if isinstance(X, EncodedRows) else X
