"""Metrics against what is varied: a table and a picture for each."""

from __future__ import annotations

from manylabel.metrics import DISPLAY_NAMES
from manylabel.reproduction.experiment import Section, Show
from manylabel.reproduction.findings import Findings
from manylabel.study.analysis.figures.curves import Curve, curves
from manylabel.study.analysis.figures.drawing import Picture
from manylabel.study.analysis.tables import Cell, Table, heading

METRICS = ("macro_f1", "map", "micro_f1")
PROTOCOL = "tuned"


def sweep(*pictured: str) -> Show:
    """Sections with a picture of each of these metrics and a table of all on each data set."""

    def sections(found: Findings) -> list[Section]:
        pictures = {metric.replace("_", "-"): _picture(found, metric) for metric in pictured}
        return [
            Section("Curves", pictures=pictures),
            Section("Numbers", tables=[_table(found, data) for data in found.sets]),
        ]

    return sections


def _picture(found: Findings, metric: str) -> Picture:
    axis = found.reproduction.axis
    assert axis is not None
    panels = {
        data: {
            line: curve for line in found.reproduction.lines if (curve := _curve(found, data, line, metric))
        }
        for data in found.sets
    }
    title = found.heading(f"{DISPLAY_NAMES[metric]} on test rows, {PROTOCOL} protocol")
    return curves(panels, found.reproduction.lines, axis.label, title, axis.logarithmic, axis.names)


def _curve(found: Findings, data: str, line: str, metric: str) -> Curve:
    curve: Curve = {}
    for point in found.reproduction.of(line):
        summary = found.summary(data, point, metric, PROTOCOL)
        if summary is not None and point.x is not None:
            curve[point.x] = summary
    return curve


def _table(found: Findings, data: str) -> Table:
    axis = found.reproduction.axis
    assert axis is not None
    rows = []
    for line in found.reproduction.lines:
        for point in found.reproduction.of(line):
            if found.runs(data, point):
                values = (Cell(str(found.summary(data, point, metric, PROTOCOL))) for metric in METRICS)
                rows.append((Cell(line), Cell(axis.name(point.x or 0.0)), *values))
    headings = ("method", axis.label, *(heading(metric, PROTOCOL) for metric in METRICS))
    return Table(found.heading(f"{data}, {PROTOCOL} protocol"), headings, tuple(rows))
