"""A recipe beside itself without each of its parts."""

from __future__ import annotations

from manylabel.reproduction.experiment import Point, Section
from manylabel.reproduction.findings import Findings
from manylabel.study.analysis.statistics import Summary, lead
from manylabel.study.analysis.tables import Cell, Table, heading, signed

METRICS = ("example_f1", "micro_f1", "macro_f1", "hamming_accuracy", "map")


def ablation(found: Findings) -> list[Section]:
    """A table for each protocol and data set: the first line as it is, the others by how much they differ from it."""
    sentences = (
        "The first line is the whole recipe. The others say by how much they are above it (+) or below (-).",
    )
    sets = [data for data in found.sets if found.runs(data, found.reproduction.points[0])]
    return [
        Section(f"Under the {protocol} protocol", sentences, [_table(found, data, protocol) for data in sets])
        for protocol in ("oracle", "tuned")
    ]


def _table(found: Findings, data: str, protocol: str) -> Table:
    whole, *others = (point for point in found.reproduction.points if found.runs(data, point))
    rows = [(Cell(whole.line), *(Cell(str(_reached(found, data, whole, m, protocol))) for m in METRICS))]
    for point in others:
        leads = (
            lead(*(_reached(found, data, p, metric, protocol).mean for p in (point, whole)))
            for metric in METRICS
        )
        rows.append((Cell(point.line), *(Cell(signed(by), round(by, 3) > 0) for by in leads)))
    headings = ("recipe", *(heading(metric, protocol) for metric in METRICS))
    return Table(found.heading(f"{data}, {protocol} protocol"), headings, tuple(rows))


def _reached(found: Findings, data: str, point: Point, metric: str, protocol: str) -> Summary:
    return Summary.of(list(found.by_seed(data, point, metric, protocol).values()))
