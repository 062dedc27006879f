"""Frames in memory as tables: pandas, polars, Arrow, and whatever else narwhals reads; and dicts of columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from manylabel.data.column_storage import Cells
from manylabel.data.formats.border import border
from manylabel.data.formats.table_source import TableSource, column_names
from manylabel.errors import ManyLabelError

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
    import narwhals as nw

    try:
        found = nw.from_native(frame, eager_only=True)
    except TypeError:
        expected = "the path of a table, a frame of pandas, polars or Arrow, or a dict of columns"
        hint = "Collect a frame that is computed later; give arrays a name for each column in a dict."
        raise ManyLabelError(where, expected, type(frame).__name__, hint) from None
    except ValueError as error:
        raise ManyLabelError(where, "every column name once", str(error).splitlines()[0]) from None
    return [*found.iter_columns()], list(found.columns)  # names of pandas may be numbers


def _cells(cells: Any) -> Cells:
    if hasattr(cells, "to_list"):
        with border("a column of the frame", "cells that Python can hold"):
            if cells.dtype.is_numeric() and not cells.is_null().any() and str(cells.dtype) != "Decimal":
                return cells.to_numpy()  # type: ignore[no-any-return]
            return cells.to_list()  # type: ignore[no-any-return]
    return cells if isinstance(cells, list | tuple) or hasattr(cells, "dtype") else list(cells)
