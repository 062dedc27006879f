"""Tables on a terminal of any width: whole numbers and whole names, in a table, in several, or row by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from manylabel.printable import printable
from manylabel.study.analysis.tables import Cell, Table

GAP = 2
INDENT = 2
PROSE = 24  # columns from which on a text goes over several lines
LEAST_PROSE = 20
MOST_TABLES = 3


@dataclass(frozen=True)
class Column:
    """One column as text.

    Attributes
    ----------
    heading : str
    cells : tuple of str
    styles : tuple of str
        Of the cells, as a terminal shows them.
    is_name, is_number : bool
    """

    heading: str
    cells: tuple[str, ...]
    styles: tuple[str, ...]
    is_name: bool
    is_number: bool

    @property
    def stacked(self) -> Column:
        """With every spread below its mean."""
        cells = tuple(text.replace(" ± ", " ±\n") for text in self.cells)
        return Column(self.heading, cells, self.styles, self.is_name, self.is_number)

    @property
    def shown_heading(self) -> str:
        """Over numbers, which are narrow, a word a line."""
        return self.heading.replace(" ", "\n") if self.is_number else self.heading

    @property
    def width(self) -> int:
        """Of the widest line."""
        lines = [line for text in (self.shown_heading, *self.cells) for line in text.split("\n")]
        return max(map(cell_len, lines))

    @property
    def least(self) -> int:
        """The width below which a number or a name would break; prose breaks between words."""
        if self.is_name or self.width <= PROSE:
            return self.width
        words = [word for text in (self.shown_heading, *self.cells) for word in text.split()]
        return min(max(map(cell_len, words), default=0), LEAST_PROSE) if not self.is_number else self.width


def layout(table: Table, width: int) -> Group:
    """The first of these that fits: one table; spreads below means; narrow prose; several tables; row by row.

    Parameters
    ----------
    table : Table
    width : int
        Columns of the terminal.
    """
    columns = _columns(table)
    stacked = [column.stacked for column in columns]
    least = [column.least for column in stacked]
    for choice in (columns, stacked):
        if _sum(column.width for column in choice) <= width:
            return _tables(table, [choice], width)
    if _sum(least) <= width:
        return _tables(table, [stacked], width)
    n = table.names
    widest = sorted(least[n:])[-2:]
    if _sum([*least[:n], *widest]) <= width:
        bands = list(_bands(stacked, n, width))
        if len(bands) <= MOST_TABLES:
            return _tables(table, bands, width)
    return _row_by_row(table, columns, width)


def _columns(table: Table) -> list[Column]:
    return [
        Column(
            printable(heading),
            tuple(printable(row[i].text) for row in table.rows),
            tuple(_style(row[i]) for row in table.rows),
            i < table.names,
            table.numbers and i >= table.names,
        )
        for i, heading in enumerate(table.headings)
    ]


def _sum(widths: Iterator[int] | Sequence[int]) -> int:
    """Columns of a terminal that these take with the gaps between them."""
    listed = list(widths)
    return sum(listed) + GAP * (len(listed) - 1)


def _bands(columns: Sequence[Column], n_names: int, width: int) -> Iterator[list[Column]]:
    """The columns in order, as many at a time as fit beside the names of the rows."""
    names = list(columns[:n_names])
    band: list[Column] = []
    for column in columns[n_names:]:
        if band and _sum([c.least for c in (*names, *band, column)]) > width:
            yield [*names, *band]
            band = []
        band.append(column)
    yield [*names, *band]


def _tables(table: Table, bands: Sequence[Sequence[Column]], width: int) -> Group:
    return Group(
        *_title(table), *(Padding(_table(band, width), (1, 0, 0, 0), expand=False) for band in bands)
    )


def _title(table: Table) -> list[RenderableType]:
    return [Text(printable(table.title), style="italic", overflow="fold")] if table.title else []


def _table(columns: Sequence[Column], width: int) -> RichTable:
    drawn = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0))
    for column, wide in zip(columns, _shrunk(columns, width), strict=True):
        drawn.add_column(
            Text(column.shown_heading, overflow="fold"),
            justify="right" if column.is_number else "left",
            width=wide,
            overflow="fold",
        )
    for i in range(len(columns[0].cells)):
        drawn.add_row(*(_cell(column.cells[i], column.styles[i]) for column in columns))
    return drawn


def _style(cell: Cell) -> str:
    if cell.best:
        return "bold"
    return "underline" if cell.level else ""


def _cell(text: str, style: str) -> Text:
    return Text(text, style=style, overflow="fold")


def _shrunk(columns: Sequence[Column], width: int) -> list[int]:
    """Widths that fit: columns of prose give way, the widest first."""
    widths = [column.width for column in columns]
    while (too_many := _sum(widths) - width) > 0:
        room = [wide - column.least for wide, column in zip(widths, columns, strict=True)]
        giving = max(range(len(widths)), key=lambda i: (room[i] > 0, widths[i]))
        if room[giving] <= 0:
            break
        others = max([wide for i, wide in enumerate(widths) if i != giving and room[i] > 0], default=0)
        step = max(1, widths[giving] - others)
        widths[giving] -= min(too_many, room[giving], step)
    return widths


def _row_by_row(table: Table, columns: Sequence[Column], width: int) -> Group:
    """Every row under its names, a line a value; where that is too wide too, a value below its heading."""
    shown = _title(table)
    others = [column for column in columns if not column.is_name]
    headings = max((cell_len(column.heading) for column in others), default=0)
    room = width - INDENT - headings - GAP
    for i in range(len(table.rows)):
        names = " ".join(column.cells[i] for column in columns if column.is_name)
        shown.append(Text(f"\n{names}", style="bold", overflow="fold"))
        for column in others:
            value = _cell(column.cells[i], column.styles[i])
            if len(others) == 1:
                shown.append(_indented(value, INDENT))
            elif room >= min(LEAST_PROSE, column.width):
                shown.append(_beside(column.heading, value, headings, room))
            else:
                shown += [_indented(Text(column.heading), INDENT), _indented(value, 2 * INDENT)]
    return Group(*shown)


def _indented(text: Text, by: int) -> Padding:
    return Padding(text, (0, 0, 0, by), expand=False)


def _beside(heading: str, value: Text, headings: int, room: int) -> Padding:
    grid = RichTable.grid(padding=(0, GAP, 0, 0), pad_edge=False)
    grid.add_column(width=headings)
    grid.add_column(max_width=room, overflow="fold")
    grid.add_row(Text(heading), value)
    return Padding(grid, (0, 0, 0, INDENT), expand=False)
