"""Tables as text: CSV, TSV and their relatives, with delimiter and encoding found out."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from manylabel.data.column_storage import Cells
from manylabel.data.formats.border import border, shown
from manylabel.data.formats.table_source import BLOCK_ROWS, TableSource, column_names
from manylabel.data.formats.text_encoding import find_encoding, open_decoded
from manylabel.errors import ManyLabelError

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_SAMPLE = 1 << 17  # characters that the delimiter is found out from
_MOST_RECORDS = 500
_LONGEST_CELL = 1 << 24
_QUOTES = 'Close the quotes, and double a quote within a quoted cell ("").'


class DelimitedTable(TableSource):
    """A text file with one row a record, its cells between delimiters, quoted where they hold one.

    Parameters
    ----------
    path : Path
        Packed with gzip if it ends in ``.gz``.
    delimiter, encoding : str, optional
        Found out where they are not given.

    Notes
    -----
    Lines without a character are no rows. A cell may hold 16 million characters.
    """

    def __init__(self, path: Path, delimiter: str | None = None, encoding: str | None = None) -> None:
        self.path, self.where = path, str(path)
        with border(path, "a table as text"):
            self.encoding, told = find_encoding(path, encoding)
            self.delimiter = delimiter or _found_delimiter(path, self.encoding)
            _check_delimiter(self.delimiter)
            with self._records() as records:
                header: list[str] = next((record for record in records if record), [])
            self.names, nameless = column_names(header, f"{path}, line {self._line(-1)}")
        name = DELIMITERS.get(self.delimiter, repr(self.delimiter))
        separated = (
            (f"The delimiter was taken for the {name}.",) if delimiter is None and self.names[1:] else ()
        )
        self.told = (*separated, *filter(None, [told]), *nameless)

    def blocks(self, columns: Sequence[int], rows: int = BLOCK_ROWS) -> Iterator[Sequence[Cells]]:
        done, width = 0, len(self.names)
        with border(self.path, "a table as text"), self._records() as records:
            _skip_header(records)
            while True:
                block = self._next(records, rows, done)
                if not block:
                    return
                if set(map(len, block)) != {width}:
                    block = [record for record in block if record]  # an empty line
                    self._check_widths(block, done)
                done += len(block)
                if block:
                    cells = list(zip(*block, strict=True))
                    del block
                    yield [cells[i] for i in columns]

    def place(self, row: int) -> str:
        return f"line {self._line(row)}"

    @contextmanager
    def _records(self) -> Iterator[Any]:
        with open_decoded(self.path, self.encoding) as file:
            yield csv.reader(file, delimiter=self.delimiter, strict=True)

    def _next(self, records: Any, rows: int, done: int) -> list[list[str]]:
        try:
            with _long_cells():
                return list(itertools.islice(records, rows))
        except csv.Error as error:
            raise self._unreadable(done, error) from None

    def _unreadable(self, done: int, error: csv.Error) -> ManyLabelError:
        line = self._line(done, until_error=True)
        expected, got = "cells that are quoted as a whole or not at all", str(error)
        if "field larger" in got:
            return ManyLabelError(
                f"{self.where}, line {line}", "cells up to 16 million characters", "a longer one", _QUOTES
            )
        if "unexpected end" in got:
            got = "a quote that is never closed"
        return ManyLabelError(f"{self.where}, line {line}", expected, got, _QUOTES)

    def _check_widths(self, block: Sequence[Sequence[str]], done: int) -> None:
        width = len(self.names)
        wrong = next((i for i, record in enumerate(block) if len(record) != width), None)
        if wrong is not None:
            line, got = (
                self._line(done + wrong),
                f"{len(block[wrong])} ({shown(self.delimiter.join(block[wrong]))})",
            )
            hint = (
                f"Quote cells that hold the delimiter {self.delimiter!r}, or name another with `delimiter`."
            )
            raise ManyLabelError(f"{self.where}, line {line}", f"{width} cells", got, hint)

    def _line(self, row: int, until_error: bool = False) -> int:
        """The physical line where a row begins, the header being row -1, or the first record that cannot be read."""
        with self._records() as records, _long_cells():
            seen = -2
            while True:
                line: int = records.line_num + 1
                try:
                    record = next(records)
                except (csv.Error, StopIteration):
                    return line
                seen += bool(record)
                if record and seen == row and not until_error:
                    return line


def _skip_header(records: Any) -> None:
    with _long_cells():
        next(record for record in records if record)


@contextmanager
def _long_cells() -> Iterator[None]:
    """Let the csv module read long cells; its own limit is one of the whole process, and is put back."""
    before = csv.field_size_limit(_LONGEST_CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _check_delimiter(delimiter: str) -> None:
    if len(delimiter) != 1 or delimiter in '"\r\n\0':
        hint = "Give a comma, a semicolon, a tab or a bar."
        raise ManyLabelError("`delimiter`", "one character that is no quote", repr(delimiter), hint)


def _found_delimiter(path: Path, encoding: str) -> str:
    """The delimiter by which the most records have as many cells as the first one; of several, that of most cells."""
    with open_decoded(path, encoding) as file:
        sample = file.read(_SAMPLE)
    whole = len(sample) < _SAMPLE
    found = {delimiter: _fit(sample, delimiter, whole) for delimiter in DELIMITERS}
    best = max(found, key=lambda delimiter: found[delimiter])
    return best if found[best] > (0.0, 0) else ","


def _fit(sample: str, delimiter: str, whole: bool) -> tuple[float, int]:
    """The share of records with as many cells as the first, to 5 per cent, and that number; zeros for single cells."""
    lines = sample.splitlines(keepends=True)
    records, widths = csv.reader(lines, delimiter=delimiter, strict=True), []
    try:
        with _long_cells():
            for record in itertools.islice(records, _MOST_RECORDS):
                widths += [len(record)] if record else []
    except csv.Error:
        whole = True  # what stands before can be read
    if not whole and len(widths) > 1 and len(widths) < _MOST_RECORDS:
        widths.pop()  # cut off in the middle
    if not widths or widths[0] == 1:
        return (0.0, 0)
    return (round(20 * widths.count(widths[0]) / len(widths)) / 20, widths[0])
