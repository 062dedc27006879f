"""Benchmark commands: time, memory and error of the losses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from manylabel.cli.option_values import threads as thread_counts
from manylabel.cli.output import make_console, say

if TYPE_CHECKING:
    from manylabel.benchmarking.losses import Row

bench_app = typer.Typer(no_args_is_help=True, help="Benchmarks: what the losses cost on this machine.")


@bench_app.command("losses")
def bench_losses(
    cases: Annotated[
        list[str] | None,
        typer.Argument(help="Cases by name; all of them take some minutes.", show_default="all"),
    ] = None,
    threads: Annotated[
        str, typer.Option("--threads", help="Numbers of threads to measure with, comma-separated.")
    ] = "1",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")] = False,
) -> None:
    """Time, memory and error of the losses beside their goals, as ratios measured in one run.

    Times are compared with textbook forms and with bare matrix products of the same size, in turn.
    """
    from manylabel.benchmarking import losses, table

    rows = losses.rows(cases or (), thread_counts(threads))
    if markdown:
        for line in table.markdown(rows):
            say(line)
    else:
        _show(rows)


def _show(rows: Iterable[Row]) -> None:
    """Print rows as they are measured."""
    from rich.live import Live

    from manylabel.benchmarking import table
    from manylabel.study.analysis.table_layout import layout
    from manylabel.study.analysis.tables import Cell, Table

    say(table.machine())
    console = make_console()
    shown: list[tuple[Cell, ...]] = []
    with Live(console=console, auto_refresh=False, vertical_overflow="visible") as live:
        for row in rows:
            shown.append(tuple(Cell(text, not row.met) for text in table.cells(row)))
            drawn = Table("", table.HEADINGS, tuple(shown), numbers=False, names=3)
            live.update(layout(drawn, console.width), refresh=True)
    if not console.is_terminal:
        console.line()
