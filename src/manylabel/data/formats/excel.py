"""Tables of Excel workbooks: the values of one sheet, its first row the names of the columns."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from manylabel.data.column_storage import Cells
from manylabel.data.formats.border import UNFOLDED_BYTES, UNFOLDED_RATIO, border
from manylabel.data.formats.table_source import BLOCK_ROWS, TableSource, column_names
from manylabel.errors import ManyLabelError, did_you_mean, missing_extra


class ExcelSheet(TableSource):
    """A sheet of a workbook (.xlsx); formulas count as the values that were last computed.

    Parameters
    ----------
    path : Path
    sheet : str, optional
        May be left out where there is one.

    Raises
    ------
    ManyLabelError
        Without openpyxl, for a workbook that unfolds to more than 256 MiB and 100 times its size, and a sheet that it
        lacks.
    """

    def __init__(self, path: Path, sheet: str | None = None) -> None:
        self.path, self.where = path, str(path)
        try:
            import openpyxl  # noqa: F401
        except ImportError:
            raise missing_extra(self.where, "openpyxl", "data") from None
        with border(path, "a workbook of Excel (.xlsx)"):
            self._check_size()
            with self._book() as book:
                self.sheet = _chosen(sheet, [each.title for each in book.worksheets], path)
                self.where = f"{path}, sheet {self.sheet!r}"
                self.names, self.told = column_names(self._header(book), f"{self.where}, row 1")

    def blocks(self, columns: Sequence[int], rows: int = BLOCK_ROWS) -> Iterator[Sequence[Cells]]:
        with border(self.where, "a sheet that can be read"), self._book() as book:
            width = len(self.names)
            lines = (self._row(cells, width) for cells in islice(_values(book, self.sheet), 1, None))
            while block := list(
                islice((cells for cells in lines if any(c is not None for c in cells)), rows)
            ):
                cells = list(zip(*block, strict=True))
                yield [cells[i] for i in columns]

    def place(self, row: int) -> str:
        with self._book() as book:
            numbered = enumerate(islice(_values(book, self.sheet), 1, None), start=2)
            given = (number for number, cells in numbered if any(cell is not None for cell in cells))
            return f"row {next(islice(given, row, None))}"

    def _row(self, cells: Sequence[Any], width: int) -> list[Any]:
        if any(cell is not None for cell in cells[width:]):
            got = f"a cell in column {width + 1}, {cells[width]!r:.40}"
            raise ManyLabelError(
                self.where, f"{width} columns, as the first row has", got, "Name all columns."
            )
        return [*cells[:width], *[None] * (width - len(cells))]

    def _header(self, book: Any) -> list[Any]:
        header = list(next(_values(book, self.sheet), ()))
        while header and header[-1] is None:
            header.pop()
        return header

    def _check_size(self) -> None:
        packed = self.path.stat().st_size
        with zipfile.ZipFile(self.path) as archive:
            members = archive.infolist()
        if any(member.compress_size > packed for member in members):
            raise ManyLabelError(
                self.where, "a whole workbook", "parts longer than the file", "Fetch it again."
            )
        unfolded = sum(member.file_size for member in members)
        if unfolded > max(UNFOLDED_BYTES, UNFOLDED_RATIO * packed):
            expected = (
                f"a workbook of at most {UNFOLDED_BYTES >> 20} MiB or {UNFOLDED_RATIO} times its packed size"
            )
            raise ManyLabelError(
                self.where, expected, f"{unfolded >> 20} MiB when unpacked", "Save it as CSV."
            )

    @contextmanager
    def _book(self) -> Iterator[Any]:
        from openpyxl import load_workbook

        with warnings.catch_warnings(), self.path.open("rb") as file:
            warnings.simplefilter("ignore")  # of styles and validations, which are not looked at
            book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
            try:
                yield book
            finally:
                book.close()


def _values(book: Any, sheet: str) -> Iterator[tuple[Any, ...]]:
    chosen = book[sheet]
    chosen.reset_dimensions()  # a workbook may tell a wrong size of its sheets
    yield from chosen.iter_rows(values_only=True)


def _chosen(sheet: str | None, sheets: list[str], path: Path) -> str:
    if sheet is None and len(sheets) == 1:
        return sheets[0]
    if sheet is None or sheet not in sheets:
        got = f"{len(sheets)} sheets" if sheet is None else repr(sheet)
        hint = did_you_mean(
            sheet or "", sheets, f"Write {path.name}#{sheets[0]}, for example." if sheets else ""
        )
        raise ManyLabelError(str(path), f"the name of a sheet ({', '.join(sheets)})", got, hint)
    return sheet
