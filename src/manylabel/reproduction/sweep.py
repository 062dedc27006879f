"""Sweeps: metrics against a varied setting, as tables and figures."""

from __future__ import annotations

from manylabel.metrics import DISPLAY_NAMES
from manylabel.reproduction.experiment import Place, Reproduction, Show
from manylabel.study.analysis.figures.curves import Curve, curves
from manylabel.study.analysis.figures.drawing import Picture
from manylabel.study.analysis.results import Results
from manylabel.study.analysis.tables import Cell, Table, heading
from manylabel.study.report.sections import Section

METRICS = ("macro_f1", "map", "micro_f1")
PROTOCOL = "tuned"


def sweep(*pictured: str) -> Show:
    """Sections with a picture of each of these metrics and a table of all on each data set."""

    def sections(asked: Reproduction, found: Results[Place]) -> list[Section]:
        pictures = {metric.replace("_", "-"): picture(asked, found, metric) for metric in pictured}
        return [
            Section("Curves", pictures=pictures),
            Section("Numbers", tables=[_table(asked, found, data) for data in asked.sets]),
        ]

    return sections


def picture(asked: Reproduction, found: Results[Place], metric: str) -> Picture:
    """A panel per data set, a curve per line, against the axis of the reproduction."""
    axis = asked.axis
    assert axis is not None
    panels = {
        data: {line: curve for line in asked.lines if (curve := _curve(asked, found, data, line, metric))}
        for data in asked.sets
    }
    title = asked.heading(f"{DISPLAY_NAMES[metric]} on test rows, {PROTOCOL} protocol")
    return curves(panels, asked.lines, axis.label, title, axis.logarithmic, axis.names)


def _curve(asked: Reproduction, found: Results[Place], data: str, line: str, metric: str) -> Curve:
    curve: Curve = {}
    for point in asked.of(line):
        summary = found.summary((data, point), metric, PROTOCOL)
        if summary.n and point.x is not None:
            curve[point.x] = summary
    return curve


def _table(asked: Reproduction, found: Results[Place], data: str) -> Table:
    axis = asked.axis
    assert axis is not None
    rows = []
    for line in asked.lines:
        for point in asked.of(line):
            if found.of((data, point)):
                values = (Cell(str(found.summary((data, point), metric, PROTOCOL))) for metric in METRICS)
                rows.append((Cell(line), Cell(axis.name(point.x or 0.0)), *values))
    headings = ("method", axis.label, *(heading(metric, PROTOCOL) for metric in METRICS))
    return Table(asked.heading(f"{data}, {PROTOCOL} protocol"), headings, tuple(rows))
