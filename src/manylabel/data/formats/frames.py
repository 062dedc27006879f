"""Frames in memory as tables: pandas, polars, Arrow, and whatever else narwhals reads; and dicts of columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from manylabel.data.column_storage import Cells
from manylabel.data.formats.border import border
from manylabel.data.formats.table_source import TableSource, column_names
from manylabel.errors import ManyLabelError

if TYPE_CHECKING:
    import narwhals as nw

_BLOCK = 16_384


class FrameTable(TableSource):
    """A frame in memory; the frame itself is never changed.

    Parameters
    ----------
    frame : DataFrame of pandas or polars, Arrow table, or dict of name -> cells

    Raises
    ------
    ManyLabelError
        For anything else, for frames that are computed later (LazyFrame), and columns of unlike lengths.
    """

    def __init__(self, frame: Any, where: str = "table") -> None:
        self.where = where
        self._columns, names = _columns(frame, where)
        self.names, self.told = column_names(names, where)
        lengths = set(map(len, self._columns))
        if len(lengths) > 1:
            raise ManyLabelError(where, "columns of one length", f"lengths {sorted(lengths)[:5]}")

    def blocks(self, columns: Sequence[int], rows: int = _BLOCK) -> Iterator[Sequence[Cells]]:
        n = len(self._columns[0]) if self._columns else 0
        for start in range(0, n, rows):
            yield [_cells(self._columns[i][start : start + rows]) for i in columns]

    def place(self, row: int) -> str:
        return f"row {row} (counted from 0)"


def _columns(frame: Any, where: str) -> tuple[list[Any], list[Any]]:
    if isinstance(frame, Mapping):
        return [*frame.values()], [*frame]
    found = frame_in_memory(frame, where)
    if found is None:
        expected = "the path of a table, a frame of pandas, polars or Arrow, or a dict of columns"
        hint = "Give arrays a name for each column in a dict."
        raise ManyLabelError(where, expected, type(frame).__name__, hint)
    return [*found.iter_columns()], list(found.columns)  # names of pandas may be numbers


def frame_in_memory(values: Any, who: str) -> nw.DataFrame[Any] | None:
    """A frame of pandas, polars, Arrow or whatever else narwhals reads; None for what is no frame.

    Raises
    ------
    ManyLabelError
        For a frame that is computed later, and for one of which two columns have one name.
    """
    import narwhals as nw

    try:
        found = nw.from_native(values, pass_through=True)
    except nw.exceptions.DuplicateError:
        names = [*getattr(values, "column_names", values.columns)]
        twice = next(name for name in names if names.count(name) > 1)
        hint = "Rename or drop one of them."
        raise ManyLabelError(who, "every column name once", f"{twice!r:.60} more than once", hint) from None
    if isinstance(found, nw.LazyFrame):
        hint = "Call .collect() on it."
        raise ManyLabelError(who, "a frame in memory", f"{type(values).__name__}, computed later", hint)
    return found if isinstance(found, nw.DataFrame) else None


def _cells(cells: Any) -> Cells:
    if hasattr(cells, "to_list"):
        with border("a column of the frame", "cells that Python can hold"):
            if cells.dtype.is_numeric() and not cells.is_null().any() and str(cells.dtype) != "Decimal":
                return cells.to_numpy()  # type: ignore[no-any-return]
            return cells.to_list()  # type: ignore[no-any-return]
    return cells if isinstance(cells, list | tuple) or hasattr(cells, "dtype") else list(cells)
