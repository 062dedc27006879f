"""Which reader takes a table: files by their ending, frames in memory by what they are."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from manylabel.data.formats.arrow import PARQUET, ArrowTable
from manylabel.data.formats.delimited import DelimitedTable
from manylabel.data.formats.excel import ExcelSheet
from manylabel.data.formats.frames import FrameTable
from manylabel.data.formats.json_lines import JsonLines
from manylabel.data.formats.sqlite import SqliteTable
from manylabel.data.formats.table_source import TableSource
from manylabel.errors import ManyLabelError

DELIMITED = (".csv", ".tsv", ".tab", ".txt")
_PLAIN: dict[str, Callable[[Path], TableSource]] = {
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), JsonLines),
    **dict.fromkeys((*PARQUET, ".arrow", ".feather", ".ipc"), ArrowTable),
}
_OF_SEVERAL: dict[str, Callable[[Path, str | None], TableSource]] = {
    **dict.fromkeys((".xlsx", ".xlsm"), ExcelSheet),
    **dict.fromkeys((".db", ".sqlite", ".sqlite3"), SqliteTable),
}
TABLE_ENDINGS = (*DELIMITED, *_PLAIN, *_OF_SEVERAL)
"""Of files that hold tables; text and JSON lines may be packed (.gz)."""
TABLE_FORMATS = (
    ("delimited text", DELIMITED, "a table whose first line names the columns"),
    ("JSON lines", (".jsonl", ".ndjson", ".json"), "one object a line; labels may be lists"),
    (
        "Arrow",
        (*PARQUET, ".arrow", ".feather", ".ipc"),
        "a Parquet file or a folder of such (NAME.parquet), or an Arrow file or stream",
    ),
    ("Excel", (".xlsx", ".xlsm"), "a sheet, the first or FILE#SHEET"),
    ("SQLite", (".db", ".sqlite", ".sqlite3"), "a table, the only one or FILE#TABLE"),
)
"""Title, endings and contents of each, for people."""


def open_table(source: Any, *, delimiter: str | None = None, encoding: str | None = None) -> TableSource:
    """The table of a file or frame, to be read block by block.

    Parameters
    ----------
    source : str, Path, TableSource, frame or dict of columns
        A path may end in ``#NAME``: the sheet of a workbook, the table of a SQLite file.
    delimiter, encoding : str, optional
        Of text; found out where they are not given.

    Raises
    ------
    ManyLabelError
        If there is no such file, or no reader takes it.
    """
    if isinstance(source, TableSource):
        return source
    if not isinstance(source, str | os.PathLike):
        return FrameTable(source)
    path, part = _path_and_part(str(source))
    _check_file(path)
    ending = _ending(path)
    if ending in _OF_SEVERAL:
        return _OF_SEVERAL[ending](path, part)
    if part is not None:
        raise ManyLabelError(str(path), "a workbook or SQLite file, whose parts have names", f"#{part}")
    if ending in DELIMITED:
        return DelimitedTable(path, delimiter, encoding)
    if ending not in _PLAIN:
        hint = "Rename a table as text so that it ends in .csv."
        raise ManyLabelError(
            str(path), f"a file that ends in {', '.join(TABLE_ENDINGS)}", ending or "none", hint
        )
    return _PLAIN[ending](path)


def is_table(path: Path) -> bool:
    """Whether the ending of a file says that it holds a table, which ``.txt`` does not."""
    return may_be_table(path) and _ending(_path_and_part(str(path))[0]) != ".txt"


def may_be_table(path: Path) -> bool:
    """Whether the ending of a file is one that tables have."""
    return _ending(_path_and_part(str(path))[0]) in TABLE_ENDINGS


def is_readable(path: Path) -> bool:
    """Whether there is a file, or a folder that is read as one."""
    return path.is_file() or (path.is_dir() and _ending(path) in PARQUET)


def _path_and_part(text: str) -> tuple[Path, str | None]:
    """A path, and the name behind its last ``#`` unless the file has that in its own name."""
    before, sign, part = text.rpartition("#")
    if not sign or not before or Path(text).exists():
        return Path(text), None
    return Path(before), part


def _ending(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def _check_file(path: Path) -> None:
    if not path.exists():
        raise ManyLabelError(str(path), "an existing file", "nothing there")
    if not is_readable(path):
        got = "a folder" if path.is_dir() else "a device, socket or pipe"
        raise ManyLabelError(str(path), "a file", got, "Give the path of one table.")
