"""Tables of SQLite files, read only: no view is computed, no extension is loaded, nothing is written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from manylabel.data.column_storage import Cells
from manylabel.data.formats.border import border
from manylabel.data.formats.table_source import BLOCK_ROWS, TableSource, column_names
from manylabel.errors import ManyLabelError, did_you_mean


class SqliteTable(TableSource):
    """A table of a SQLite file.

    Parameters
    ----------
    path : Path
    table : str, optional
        May be left out where there is one.

    Raises
    ------
    ManyLabelError
        For a file of another kind, and a table that it lacks.
    """

    def __init__(self, path: Path, table: str | None = None) -> None:
        self.path, self.where = path, str(path)
        with border(path, "a SQLite file"):
            with closing(self._open()) as base:
                self.table = _chosen(table, base, path)
                self.where = f"{path}, table {self.table!r}"
                columns = base.execute(f"SELECT * FROM {_quoted(self.table)} LIMIT 0").description
            self.names, self.told = column_names([column[0] for column in columns], self.where)

    def blocks(self, columns: Sequence[int], rows: int = BLOCK_ROWS) -> Iterator[Sequence[Cells]]:
        with border(self.where, "a SQLite table that can be read"), closing(self._open()) as base:
            found = base.execute(f"SELECT * FROM {_quoted(self.table)}")
            while block := found.fetchmany(rows):
                cells = list(zip(*block, strict=True))
                yield [cells[i] for i in columns]

    def _open(self) -> sqlite3.Connection:
        base = sqlite3.connect(f"{self.path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)
        base.execute("PRAGMA query_only = ON")
        base.execute("PRAGMA trusted_schema = OFF")
        return base


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _chosen(table: str | None, base: sqlite3.Connection, path: Path) -> str:
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name"
    tables = [name for (name,) in base.execute(query)]
    if table is None and len(tables) == 1:
        return str(tables[0])
    if table is None or table not in tables:
        got = f"{len(tables)} tables" if table is None else repr(table)
        hint = did_you_mean(
            table or "", tables, f"Write {path.name}#{tables[0]}, for example." if tables else ""
        )
        raise ManyLabelError(
            str(path), f"the name of a table ({', '.join(tables) or 'there is none'})", got, hint
        )
    return table
