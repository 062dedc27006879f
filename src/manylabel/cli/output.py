"""What commands print: tables, the result of a study, and the runs that failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

import typer

from manylabel.cli.streams import silence

if TYPE_CHECKING:
    from rich.console import Console

    from manylabel.study.processes import Failed
    from manylabel.study.report import Report


def show_report(written: Report) -> None:
    console = make_console()
    console.print(written.table.rich(console.width))
    console.print(f"report: {written.path}", highlight=False, soft_wrap=True, markup=False)
    console.print(written.verdict, highlight=False, soft_wrap=True, markup=False)


def report_failures(failed: Sequence[Failed]) -> NoReturn:
    """Say each distinct error once; exit code 2 if the input or the machine is to blame, else 1."""
    by_message: dict[str, list[str]] = {}
    for failure in failed:
        by_message.setdefault(failure.message, []).append(str(failure.key))
    for message, keys in by_message.items():
        typer.echo(f"failed: {', '.join(keys)}\n  {message}", err=True)
    raise typer.Exit(2 if all(failure.by_input for failure in failed) else 1)


def make_console(stderr: bool = False) -> Console:
    """A console; wide where nobody's window limits it, silent once its reader is gone."""
    from rich.console import Console

    class Output(Console):
        def on_broken_pipe(self) -> None:
            silence(self.file)

    console = Output(stderr=stderr)
    return console if console.is_terminal else Output(stderr=stderr, width=160)


def print_rows(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from manylabel.study.tables import Cell, Table

    cells = tuple(tuple(Cell(text) for text in row) for row in rows)
    console = make_console()
    console.print(Table("", tuple(headings), cells, numbers=False).rich(console.width))
