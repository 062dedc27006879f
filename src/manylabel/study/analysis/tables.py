"""Tables of results: methods by metrics, differences, expectations; for terminals, reports and Markdown."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from manylabel.methods.stacking.evidence import HEADINGS
from manylabel.metrics import DISPLAY_NAMES
from manylabel.printable import clock, count, printable
from manylabel.study.analysis.results import Results
from manylabel.study.analysis.statistics import Difference, Summary, lead

if TYPE_CHECKING:
    from manylabel.methods.recipe import Expected
    from manylabel.methods.stacking.evidence import StackEvidence
    from manylabel.study.folder import StudyFolder

MEANING = {
    "learnt": "each metric's threshold was learnt on held-out training rows, among 109, and applied to the test rows "
    "unchanged; the macro-F1 has one a label, drawn towards what the scores of rare labels expect",
    "tuned": "each metric's threshold was learnt on held-out training rows, among 0.1 ... 0.9, and applied to the test "
    "rows unchanged",
    "fixed": "every threshold is 0.5",
    "oracle": "each metric takes its best threshold of 0.1 ... 0.9 on the test rows themselves, as published "
    "tables do; no model in use can know it, so compare these numbers with such tables only",
}
# What begins code, emphasis, a formula, an element, a cell, an entity, a heading, a link or a link by itself; the
# brackets of a variant and the underscores within a word stay as they are read
_SIGNS = re.compile(
    r"[\\|<*`$~]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)|(?<!\S)#|\](?=[(\[:])|:(?=//)|(?<=www)\.", re.IGNORECASE
)
_SIGNS_AND_BRACKETS = re.compile(rf"{_SIGNS.pattern}|[\[\]]", re.IGNORECASE)
WITHOUT_THRESHOLD = ("map", "precision_at_1")


@dataclass(frozen=True)
class Cell:
    """A text, whether it is the best of those that it is compared with, and whether it is not significantly worse."""

    text: str
    best: bool = False
    level: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of cells under headings; the first ``names`` columns name the rows, the last ``foot`` rows sum up."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numbers: bool = True
    names: int = 1
    foot: int = 0

    @property
    def body(self) -> tuple[tuple[Cell, ...], ...]:
        """The rows that can be sorted."""
        return self.rows[: len(self.rows) - self.foot]

    @property
    def feet(self) -> tuple[tuple[Cell, ...], ...]:
        """The rows that stay below."""
        return self.rows[len(self.rows) - self.foot :]

    def markdown(self) -> str:
        """For a README; the best cells are bold, those that are not significantly worse underlined."""
        rule = ["---:" if self.numbers and i >= self.names else "---" for i in range(len(self.headings))]
        headings = [in_markdown(text) for text in self.headings]
        rows = [list(map(_in_markdown, row)) for row in self.rows]
        return "\n".join(f"| {' | '.join(line)} |" for line in (headings, rule, *rows))


def in_markdown(text: str, between_brackets: bool = False) -> str:
    """A text of one line whose characters mean nothing to Markdown; ``between_brackets``, its own brackets neither."""
    signs = _SIGNS_AND_BRACKETS if between_brackets else _SIGNS
    return signs.sub(r"\\\g<0>", printable(text))


def _in_markdown(cell: Cell) -> str:
    text = in_markdown(cell.text)
    if cell.best:
        return f"**{text}**"
    return f"<u>{text}</u>" if cell.level else text


def results_table(results: Results[str], data: str) -> Table:
    """Mean ± spread of every metric, and training time, per method."""
    headings = ("method", *(heading(metric, results.protocol) for metric in results.metrics), "training time")
    seeds = sorted({run.seed for run in results.runs})
    title = f"{data}, {count(len(seeds), 'seed')}, {results.protocol} protocol"
    rows = tuple(_row(results, method) for method in results.groups)
    return Table(title, headings, rows)


def comparison_table(results: Results[str]) -> Table | None:
    """The best method by the first metric against each other, seed by seed; None for a single method."""
    if len(results.groups) < 2:
        return None
    best, *others = results.ranking(results.metrics[0])
    rows = []
    for other in others:
        for metric in results.metrics:
            difference = results.difference(best, other, metric)
            if difference is not None:
                rows.append(
                    _difference_row(f"{best} minus {other}", heading(metric, results.protocol), difference)
                )
    return Table(
        "Differences, seed by seed",
        ("methods", "metric", "mean difference", "95 % interval", "seeds won / tied / lost"),
        tuple(rows),
    )


def data_table(folders: Sequence[StudyFolder]) -> Table:
    """The data sets of studies: rows, labels, how many runs are finished."""
    rows = []
    for folder in folders:
        record = folder.record()
        card, runs = record.card, len(folder.finished_runs())
        asked = len(record.methods) * len(record.seeds)
        numbers = card.rows["train"], card.rows["test"], len(card.label_names), f"{card.labels_per_row:.2f}"
        row = (
            folder.path.resolve().name,
            record.title,
            *map(str, numbers),
            f"{runs} of {asked}",
            card.digest[:12],
        )
        rows.append(tuple(map(Cell, row)))
    headings = (
        "folder",
        "data set",
        "training rows",
        "test rows",
        "labels",
        "labels a row",
        "runs",
        "digest",
    )
    return Table("Data sets", headings, tuple(rows), names=2)


def evidence_table(evidence: StackEvidence) -> Table:
    """What held-out rows say of the learners of a stack."""
    rows = tuple(tuple(map(Cell, row)) for row in evidence.rows())
    return Table(evidence.name, HEADINGS, rows, names=2)


def heading(metric: str, protocol: str) -> str:
    """The display name of a metric, marked where its threshold comes from the test rows."""
    oracle = protocol == "oracle" and metric not in WITHOUT_THRESHOLD
    return f"{DISPLAY_NAMES[metric]} (oracle)" if oracle else DISPLAY_NAMES[metric]


def signed(difference: float, decimals: int = 3) -> str:
    """A difference in so many decimals; one that rounds to 0 is +0.000, one that is not defined n/a."""
    return "n/a" if math.isnan(difference) else f"{round(difference, decimals) + 0.0:+.{decimals}f}"


def _row(results: Results[str], method: str) -> tuple[Cell, ...]:
    cells = [value_cell(results, method, metric) for metric in results.metrics]
    return (Cell(method), *cells, Cell(_time(results.seconds(method))))


def value_cell(results: Results[str], method: str, metric: str) -> Cell:
    """Mean ± spread of a metric, marked where no method is higher, or none significantly so."""
    summary = results.summary(method, metric)
    if len(results.groups) < 2 or not summary.n:
        return Cell(str(summary))
    highest = results.summary(results.ranking(metric)[0], metric).mean
    best = lead(summary.mean, highest) == 0 and not math.isnan(highest)
    return Cell(str(summary), best, not best and method in results.level_with_best(metric))


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
