"""Comparison with the AutoML study of 2025: means over random splits beside the best tool of each column."""

from __future__ import annotations

from collections.abc import Iterator

from manylabel.metrics import DISPLAY_NAMES
from manylabel.reproduction import published
from manylabel.reproduction.experiment import Place, Reproduction
from manylabel.study.analysis.results import Results
from manylabel.study.analysis.statistics import lead
from manylabel.study.analysis.tables import MEANING, Cell, Table, signed
from manylabel.study.report.sections import Section

FIGURES, TOOL = "automl 2025", "best tool"
NONE = "-"  # no published figure
PROTOCOLS = ("tuned", "fixed")
METRICS = ("micro_f1", "macro_f1")


def compare_automl(asked: Reproduction, found: Results[Place]) -> list[Section]:
    """A section per protocol: every method beside the published mean of the best tool."""
    return [_under(protocol, asked, found) for protocol in PROTOCOLS]


def _under(protocol: str, asked: Reproduction, found: Results[Place]) -> Section:
    rows = list(_rows(protocol, asked, found))
    compared = [row for row in rows if row[4].text != NONE]
    sentences = (
        f"{protocol}: {MEANING[protocol]}.",
        f"{sum(row[3].best for row in compared)} of {len(compared)} means are at or above that of the best tool of "
        "the column (bold).",
    )
    headings = ("set", "metric", "method", "ours", "best tool", "difference")
    table = Table(asked.heading(f"Random splits, {protocol} protocol"), headings, tuple(rows), names=3)
    return Section(f"{protocol} protocol", sentences, [table])


def _rows(protocol: str, asked: Reproduction, found: Results[Place]) -> Iterator[tuple[Cell, ...]]:
    figures = published.figures(FIGURES)
    for data in asked.sets:
        theirs = figures.get(data, {}).get(TOOL, {})
        for metric in METRICS:
            for point in asked.points:
                ours = found.summary((data, point), metric, protocol)
                if not ours.n:
                    continue
                start = Cell(data), Cell(DISPLAY_NAMES[metric]), Cell(point.line)
                if metric not in theirs:
                    yield (*start, Cell(str(ours)), Cell(NONE), Cell(""))
                    continue
                by = lead(ours.mean, theirs[metric])
                reached = Cell(str(ours), by >= 0)
                yield (*start, reached, Cell(f"{theirs[metric]:.3f}"), Cell(signed(by)))
