"""Ablation tables: a recipe beside itself without each of its parts."""

from __future__ import annotations

from manylabel.reproduction.experiment import Place, Reproduction
from manylabel.study.analysis.results import Results
from manylabel.study.analysis.statistics import lead
from manylabel.study.analysis.tables import Cell, Table, heading, signed
from manylabel.study.report.sections import Section

METRICS = ("example_f1", "micro_f1", "macro_f1", "hamming_accuracy", "map")


def ablation(asked: Reproduction, found: Results[Place]) -> list[Section]:
    """A table for each protocol and data set: the first line as it is, the others by how much they differ from it."""
    sentences = (
        "The first line is the whole recipe. The others say by how much they are above it (+) or below (-).",
    )
    sets = [data for data in asked.sets if found.of((data, asked.points[0]))]
    return [
        Section(
            f"Under the {protocol} protocol",
            sentences,
            [_table(asked, found, data, protocol) for data in sets],
        )
        for protocol in ("oracle", "tuned")
    ]


def _table(asked: Reproduction, found: Results[Place], data: str, protocol: str) -> Table:
    whole, *others = (point for point in asked.points if found.of((data, point)))
    rows = [(Cell(whole.line), *(Cell(str(found.summary((data, whole), m, protocol))) for m in METRICS))]
    for point in others:
        leads = (
            lead(*(found.summary((data, p), metric, protocol).mean for p in (point, whole)))
            for metric in METRICS
        )
        rows.append((Cell(point.line), *(Cell(signed(by), round(by, 3) > 0) for by in leads)))
    headings = ("recipe", *(heading(metric, protocol) for metric in METRICS))
    return Table(asked.heading(f"{data}, {protocol} protocol"), headings, tuple(rows))
