"""Rows of a table: named columns of numbers, booleans, dates, categories, tags and texts."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any, ClassVar, Self

import numpy as np

from manylabel.data.column_storage import Stored, concat
from manylabel.data.columns import Column
from manylabel.data.rows.base import Features


class TableRows(Features):
    """Rows of a table; ``values`` is a dict of column name -> its cells.

    Parameters
    ----------
    values : dict of str -> Numbers, Codes or Strings
        Of one length, at least one.
    columns : dict of str -> Column
        What they mean.
    """

    kind: ClassVar[str] = "table"
    overlays: ClassVar[tuple[str, ...]] = ("vectors", "table")  # they become vectors
    values: dict[str, Stored]

    def __init__(self, values: Mapping[str, Stored], columns: Mapping[str, Column]) -> None:
        super().__init__(dict(values))
        self.columns = {name: columns[name] for name in values}

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    @property
    def is_sparse(self) -> bool:  # type: ignore[override]
        """Whether they become vectors of mostly zeros, as categories and texts do."""
        return any(column.role in ("category", "tags", "text") for column in self.columns.values())

    @property
    def holds_texts(self) -> bool:  # type: ignore[override]
        """Whether a column is one of texts."""
        return any(column.role == "text" for column in self.columns.values())

    @property
    def row_shape(self) -> tuple[int, ...]:
        return (len(self.values),)

    @property
    def form(self) -> str:
        told = ", ".join(f"{name} ({column.role})" for name, column in self.columns.items())
        return f"a table of {told}"

    @property
    def dtype(self) -> str:
        return "table"

    def _as_array(self) -> Any:
        return np.array([[*column.cells()] for column in self.values.values()], dtype=object).T

    def take(self, rows: slice | np.ndarray[Any, Any]) -> Self:
        return type(self)({name: stored.take(rows) for name, stored in self.values.items()}, self.columns)

    def concat(self, other: Self) -> Self:
        joined = {name: concat(stored, other.values[name]) for name, stored in self.values.items()}
        return type(self)(joined, self.columns)

    def row_keys(self) -> Iterator[Hashable]:
        mixed = np.zeros(len(self), np.uint64)
        for stored in self.values.values():
            mixed = (mixed ^ stored.hashes()) * np.uint64(0x9E3779B97F4A7C15)  # wraps round
            mixed ^= mixed >> np.uint64(29)
        yield from mixed.tolist()

    def content(self) -> Iterator[Any]:
        for name, stored in self.values.items():
            yield f"{name}\0{self.columns[name].role}\0{len(self)}".encode("utf-8", "surrogatepass")
            yield from stored.content()

    def describe(self) -> str:
        roles = [column.role for column in self.columns.values()]
        counted = {role: roles.count(role) for role in dict.fromkeys(roles)}
        names = {"category": ("category", "categories"), "tags": ("column of tags", "columns of tags")}
        return ", ".join(f"{n} {names.get(role, (role, role + 's'))[n > 1]}" for role, n in counted.items())
