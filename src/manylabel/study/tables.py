"""The table of a study: methods by metrics, for the terminal and for the report."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from manylabel.metrics import DISPLAY_NAMES
from manylabel.study.display import clock
from manylabel.study.statistics import HIGHER_IS_BETTER_BY, Difference, Results, Summary

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from manylabel.methods.recipe import Expected

MEANING = {
    "tuned": "each metric's threshold was learnt on validation rows and applied to the test rows unchanged",
    "fixed": "every threshold is 0.5",
    "oracle": "each metric takes its best threshold of 0.1 ... 0.9 on the test rows themselves, as published "
    "tables do; no model in use can know it, so compare these numbers with such tables only",
}
WITHOUT_THRESHOLD = ("map", "precision_at_1")


@dataclass(frozen=True)
class Cell:
    """A text, and whether it is the best of its column."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells under headings; the first columns, ``names`` of them, name the rows."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numbers: bool = True
    names: int = 1

    def rich(self, width: int) -> RichTable:
        """For a terminal of so many columns; where it is narrow, spreads go below their means."""
        from rich import box
        from rich.table import Table as RichTable
        from rich.text import Text

        stacked = self.numbers and self._width() > width
        table = RichTable(
            title=Text(self.title, style="table.title") if self.title else None,
            title_justify="left",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            padding=(0, 0) if stacked else (0, 1, 0, 0),
        )
        for i, heading in enumerate(self.headings):
            number = self.numbers and i >= self.names
            text = heading.replace(" ", "\n") if number else heading
            table.add_column(
                Text(text), justify="right" if number else "left", no_wrap=i < self.names or number
            )
        for row in self.rows:
            texts = [cell.text.replace(" ± ", " ±\n") if stacked else cell.text for cell in row]
            styles = ["bold" if cell.best else "" for cell in row]
            table.add_row(*map(Text, texts, styles))
        return table

    def markdown(self) -> str:
        """For a README; the best cells are bold."""
        rule = ["---:" if self.numbers and i >= self.names else "---" for i in range(len(self.headings))]
        bold = [[f"**{cell.text}**" if cell.best else cell.text for cell in row] for row in self.rows]
        lines = [[text.replace("|", "\\|") for text in row] for row in ([*self.headings], rule, *bold)]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def _width(self) -> int:
        """Columns of a terminal that the table needs where no cell is broken."""
        columns = zip(self.headings, *([cell.text for cell in row] for row in self.rows), strict=True)
        return sum(2 + max(map(len, (*texts[0].split(), *texts[1:])), default=0) for texts in columns)


def results_table(results: Results, data: str) -> Table:
    """Mean ± spread of every metric, and training time, per method."""
    headings = ("method", *(heading(metric, results.protocol) for metric in results.metrics), "training time")
    seeds = sorted({run.seed for run in results.runs})
    title = f"{data}, {len(seeds)} seed{'s' * (len(seeds) != 1)}, {results.protocol} protocol"
    rows = tuple(_row(results, method) for method in results.methods)
    return Table(title, headings, rows)


def comparison_table(results: Results) -> Table | None:
    """The best method by the first metric against each other, seed by seed; None for a single method."""
    if len(results.methods) < 2:
        return None
    best, *others = results.ranking(results.metrics[0])
    rows = []
    for other in others:
        for metric in results.metrics:
            difference = results.difference(best, other, metric)
            if difference is not None:
                rows.append(
                    _difference_row(f"{best} over {other}", heading(metric, results.protocol), difference)
                )
    return Table(
        "Differences, seed by seed",
        ("methods", "metric", "mean difference", "95 % interval", "seeds won / tied / lost"),
        tuple(rows),
    )


def heading(metric: str, protocol: str) -> str:
    """The display name of a metric, marked where its threshold comes from the test rows."""
    oracle = protocol == "oracle" and metric not in WITHOUT_THRESHOLD
    return f"{DISPLAY_NAMES[metric]} (oracle)" if oracle else DISPLAY_NAMES[metric]


def signed(difference: float) -> str:
    """A difference in three decimals; one that rounds to 0 is +0.000."""
    return f"{round(difference, 3) + 0.0:+.3f}"


def _row(results: Results, method: str) -> tuple[Cell, ...]:
    cells = [Cell(method)]
    for metric in results.metrics:
        summary = results.summary(method, metric)
        highest = max(results.summary(other, metric).mean for other in results.methods)
        best = len(results.methods) > 1 and summary.mean >= highest - HIGHER_IS_BETTER_BY
        cells.append(Cell(str(summary), best))
    return (*cells, Cell(_time(results.seconds(method))))


def _time(seconds: Summary) -> str:
    if math.isnan(seconds.spread):
        return clock(seconds.mean)
    return f"{clock(seconds.mean)} ± {clock(seconds.spread)}"


def _difference_row(methods: str, metric: str, d: Difference) -> tuple[Cell, ...]:
    interval = "one seed" if d.low != d.low else f"{signed(d.low)} to {signed(d.high)}"
    return tuple(map(Cell, (methods, metric, signed(d.mean), interval, f"{d.wins} / {d.ties} / {d.losses}")))


def expectation(expected: Expected) -> str:
    """One line: what a recipe reached when it was last measured."""
    scores = ", ".join(
        f"{heading(m, expected.protocol)} {mean:.3f} ± {sd:.3f}" for m, (mean, sd) in expected.values.items()
    )
    minutes = f"{expected.minutes:g} minutes a seed on one core"
    return f"{expected.data}, {expected.seeds} seeds, {expected.protocol} protocol: {scores} ({minutes})"
