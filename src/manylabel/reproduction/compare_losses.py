"""Comparison of losses with each other, beside the same comparison as published for other data."""

from __future__ import annotations

from collections.abc import Mapping

from manylabel.reproduction import published
from manylabel.reproduction.experiment import Place, Point, Reproduction, Show
from manylabel.study.analysis.results import Results
from manylabel.study.analysis.statistics import lead
from manylabel.study.analysis.tables import Cell, Table, heading, signed
from manylabel.study.report.sections import Section

METRICS = ("map", "hamming_accuracy", "example_f1", "macro_f1", "micro_f1", "precision_at_1")


def compare_losses(table: str) -> Show:
    """Sections with the values of all lines and with the last line's lead over each other one."""

    def sections(asked: Reproduction, found: Results[Place]) -> list[Section]:
        figures = published.figures(table)
        sentences = (
            f"The paper's own data ({', '.join(figures)}) are not at hand: what can be compared is the order of the "
            "losses and by how much they differ.",
        )
        reached = [_reached(asked, found, data) for data in asked.sets]
        differences = [_leads(asked, found, other, figures) for other in asked.points[:-1]]
        return [Section("Reached", sentences, reached), Section("Differences", (), differences)]

    return sections


def _reached(asked: Reproduction, found: Results[Place], data: str) -> Table:
    points = [point for point in asked.points if found.of((data, point))]
    rows = [(Cell(point.line), *_values(found, data, point)) for point in points]
    return Table(asked.heading(f"{data}, oracle protocol"), ("loss", *_headings()), tuple(rows))


def _values(found: Results[Place], data: str, point: Point) -> tuple[Cell, ...]:
    return tuple(Cell(str(found.summary((data, point), metric, "oracle"))) for metric in METRICS)


def _leads(asked: Reproduction, found: Results[Place], other: Point, figures: published.Figures) -> Table:
    """What the last line is ahead of another, on our data sets and as published; bold where it is ahead."""
    first = asked.points[-1]
    means = {f"{data}, ours": _means(asked, found, data) for data in asked.sets}
    means |= {f"{data}, published": figures[data] for data in figures}
    rows = [
        (Cell(name), *(_lead(lead(of[first.line][m], of[other.line][m])) for m in METRICS))
        for name, of in means.items()
        if {first.line, other.line} <= of.keys()
    ]
    title = asked.heading(f"{first.line} less {other.line}, oracle protocol")
    return Table(title, ("set", *_headings()), tuple(rows))


def _lead(by: float) -> Cell:
    return Cell(signed(by), round(by, 3) > 0)


def _means(asked: Reproduction, found: Results[Place], data: str) -> Mapping[str, Mapping[str, float]]:
    """Line -> metric -> mean, of the lines that have runs."""
    found_means: dict[str, dict[str, float]] = {}
    for point in asked.points:
        summaries = {metric: found.summary((data, point), metric, "oracle") for metric in METRICS}
        if found.of((data, point)):
            found_means[point.line] = {m: s.mean for m, s in summaries.items()}
    return found_means


def _headings() -> tuple[str, ...]:
    return tuple(heading(metric, "oracle") for metric in METRICS)
