"""What commands print: tables, the result of a study, and the runs that failed.

All goes through :func:`say` or a console of :func:`make_console`: names from outside cannot command the terminal.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from manylabel.cli.commandline import in_options
from manylabel.cli.streams import silence
from manylabel.errors import ManyLabelError
from manylabel.printable import printable

if TYPE_CHECKING:
    from rich.console import Console

    from manylabel.study.analysis.tables import Table
    from manylabel.study.executors.base import Failed
    from manylabel.study.report.sections import Report

WIDE = 160  # columns where nobody's window limits it


def say(text: str, err: bool = False) -> None:
    """Print a text, line by line as it is; what a terminal would obey is shown instead."""
    print(printable(text, keep="\n\t"), file=sys.stderr if err else sys.stdout, flush=True)


def say_path(what: str, path: Path) -> None:
    """Print where something is, on one line."""
    say(printable(f"{what}: {path}"))


def show_report(written: Report) -> None:
    print_table(written.table)
    say_path("report", written.path)
    say(written.verdict)


def report_failures(failed: Sequence[Failed]) -> NoReturn:
    """Say each distinct error once; exit code 2 if the input or the machine is to blame, else 1."""
    by_message: dict[str, list[str]] = {}
    for failure in failed:
        by_message.setdefault(failure.message, []).append(str(failure.key))
    for message, keys in by_message.items():
        say(f"failed: {', '.join(keys)}\n  {in_options(message)}", err=True)
    raise typer.Exit(2 if all(failure.by_input for failure in failed) else 1)


def make_console(stderr: bool = False) -> Console:
    """A console as wide as the window or as COLUMNS says, else wide; silent once its reader is gone."""
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.segment import Segment

    class ShowingConsole(Console):
        """Shows control characters of what it prints, progress bars too, but not those that it makes itself."""

        def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> RenderResult:  # type: ignore[override]
            for segment in super().render(renderable, options):
                text, style, control = segment
                yield segment if control else Segment(printable(text, keep="\n"), style)

        def on_broken_pipe(self) -> None:
            silence(self.file)

    console = ShowingConsole(stderr=stderr)
    wanted = os.environ.get("COLUMNS", "")
    if console.is_terminal or (wanted.isdecimal() and int(wanted) > 0):
        return console
    return ShowingConsole(stderr=stderr, width=WIDE)


def print_table(table: Table) -> None:
    from manylabel.study.analysis.table_layout import layout

    console = make_console()
    console.print(layout(table, console.width))


def print_rows(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from manylabel.study.analysis.tables import Cell, Table

    cells = tuple(tuple(Cell(text) for text in row) for row in rows)
    print_table(Table("", tuple(headings), cells, numbers=False))


@contextmanager
def no_empty_folders(*folders: Path) -> Iterator[None]:
    """Remove folders in which an error left nothing."""
    try:
        yield
    except ManyLabelError:
        for folder in folders:
            for place in (*sorted(folder.rglob("*"), reverse=True), folder):  # the inner ones first
                with suppress(OSError):
                    place.rmdir()
        raise
