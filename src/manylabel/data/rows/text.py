"""Texts, one a row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Self

import numpy as np

from manylabel.data.rows.base import Features
from manylabel.errors import ManyLabelError


class Texts(Features):
    """Texts; ``values`` is a list of n str."""

    kind: ClassVar[str] = "text"
    overlays: ClassVar[tuple[str, ...]] = ("vectors", "text")  # they become vectors
    is_sparse: ClassVar[bool] = True
    holds_texts: ClassVar[bool] = True
    values: list[str]

    @classmethod
    def read(cls, X: Any, who: str) -> Self | None:
        """Texts of a list, a tuple or an array; None for numbers.

        Raises
        ------
        ManyLabelError
            For one text alone, and naming the first row that is no text.
        """
        if isinstance(X, str | bytes) or (isinstance(X, np.ndarray) and X.ndim == 0 and X.dtype.kind in "US"):
            got = f"one text, {str(X)!r:.60}"
            raise ManyLabelError(who, "a list of texts, one a row", got, "Put it in a list.")
        if isinstance(X, np.ndarray) and X.ndim == 1 and X.dtype.kind in "UO" and len(X):
            X = X.tolist()
        if not isinstance(X, list | tuple) or (len(X) and not isinstance(X[0], str)):
            return None
        other = next((i for i, text in enumerate(X) if not isinstance(text, str)), None)
        if other is not None:
            got = f"{type(X[other]).__name__} in row {other} (counted from 0)"
            raise ManyLabelError(who, "texts in every row", got, 'Replace a missing text by "".')
        return cls(list(X))

    @classmethod
    def of_file(cls, X: list[Any], who: str) -> Self:
        """The texts of a file.

        Raises
        ------
        ManyLabelError
            If there are none, or one of them is something else.
        """
        if not X:
            raise ManyLabelError(who, "at least one text", "none")
        other = next((i for i, text in enumerate(X) if not isinstance(text, str)), None)
        if other is not None:
            raise ManyLabelError(who, "texts", f"{type(X[other]).__name__} in row {other}")
        return cls(X)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def row_shape(self) -> None:
        return None

    @property
    def form(self) -> str:
        return "texts"

    @property
    def dtype(self) -> str:
        return "str"

    def take(self, rows: slice | np.ndarray[Any, Any]) -> Self:
        if isinstance(rows, slice):
            return type(self)(self.values[rows])
        return type(self)([self.values[i] for i in rows.tolist()])

    def concat(self, other: Self) -> Self:
        return type(self)(self.values + other.values)

    def row_keys(self) -> Iterator[str]:
        yield from self.values

    def content(self) -> Iterator[bytes]:
        for text in self.values:
            yield text.encode("utf-8", "surrogatepass")

    def describe(self) -> str:
        return "texts"
