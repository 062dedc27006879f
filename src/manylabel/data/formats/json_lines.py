"""Tables as JSON lines: one object a line, its keys the columns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from manylabel.data.column_storage import Cells
from manylabel.data.formats.border import border, open_text, reason, shown
from manylabel.data.formats.table_source import BLOCK_ROWS, TableSource, column_names
from manylabel.errors import ManyLabelError

_FORM = 'a JSON object such as {"title": "...", "tags": ["...", ...]}'


class JsonLines(TableSource):
    """A file with one JSON object a line; a key that a line lacks is a missing cell, and empty lines are no rows.

    Parameters
    ----------
    path : Path
        In UTF-8; packed with gzip if it ends in ``.gz``.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.where = path, str(path)
        keys: dict[str, None] = {}
        for _, row in self._rows():
            keys.update(dict.fromkeys(row))
        self.keys = tuple(keys)
        if not keys:
            raise ManyLabelError(self.where, f"at least one line with {_FORM}", "none")
        self.names, self.told = column_names(self.keys, self.where)

    def blocks(self, columns: Sequence[int], rows: int = BLOCK_ROWS) -> Iterator[Sequence[Cells]]:
        keys = [self.keys[i] for i in columns]
        lines = (row for _, row in self._rows())
        while block := list(islice(lines, rows)):
            yield [[row.get(key) for row in block] for key in keys]

    def place(self, row: int) -> str:
        return f"line {next(islice(self._rows(), row, None))[0]}"

    def _rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Numbered lines as objects."""
        with border(self.path, "JSON lines in UTF-8"), open_text(self.path) as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, self._object(number, line)

    def _object(self, number: int, line: bytes) -> dict[str, Any]:
        where = f"{self.where}, line {number}"
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            row = json.loads(text)
            if "\\ud" in text or "\\uD" in text:
                json.dumps(row, ensure_ascii=False).encode()  # refuses half a character
        except (ValueError, RecursionError) as error:
            hint = "Write one object a line, in UTF-8." if line.lstrip()[:1] != b"[" else _hint_for_arrays()
            raise ManyLabelError(where, _FORM, f"{shown(line)} ({reason(error)})", hint) from None
        if not isinstance(row, dict):
            raise ManyLabelError(
                where, _FORM, shown(line), _hint_for_arrays() if isinstance(row, list) else ""
            )
        return row


def _hint_for_arrays() -> str:
    return "Write each object of the list on a line of its own (jq -c '.[]')."
