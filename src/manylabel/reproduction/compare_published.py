"""Comparison with published tables: ours beside the published figure, entry by entry."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from manylabel.metrics import DISPLAY_NAMES
from manylabel.reproduction import published
from manylabel.reproduction.experiment import Place, Reproduction, Show
from manylabel.study.analysis.results import Results
from manylabel.study.analysis.statistics import Summary, lead
from manylabel.study.analysis.tables import Cell, Table, signed
from manylabel.study.report.sections import Section
from manylabel.study.variants import Variant

TOLERANCE = 0.01
METRICS = ("example_f1", "micro_f1", "macro_f1", "hamming_accuracy")
PUBLISHED_AS = {
    "lamp": "LaMP",
    "lamp_narrow": "LaMP",
    "mpvae": "MPVAE",
    "mpvae-scene": "MPVAE",
    "mpvae-delicious": "MPVAE",
    "asl": "ASL",
    "rbcc": "RBCC",
    "cgmvae": "C-GMVAE",
    "mulsupcon": "MulSupCon",
}
ABOUT_PROTOCOL = {
    "oracle": "Ours and the published figures take each metric's best threshold on the test rows.",
    "tuned": "Our thresholds were learnt on validation rows; the published figures still take the best ones on the "
    "test rows, which no model in use can know.",
}


@dataclass(frozen=True)
class Entry:
    """One metric of one method on one data set."""

    data: str
    line: str
    metric: str
    ours: Summary
    published: float | None

    @property
    def difference(self) -> float:
        assert self.published is not None
        return lead(self.ours.mean, self.published)

    @property
    def is_within(self) -> bool:
        """Whether ours, in the three decimals that are printed, is within 0.01 of the published figure."""
        return abs(round(self.difference, 3)) <= TOLERANCE

    def cells(self) -> tuple[Cell, ...]:
        """As a row of a table; an entry at or above the published one is bold."""
        start = (Cell(self.line), Cell(DISPLAY_NAMES[self.metric]))
        if self.published is None:
            return (*start, Cell(str(self.ours)), Cell("-"), Cell(""), Cell(""))
        above = round(self.difference, 3) >= 0
        numbers = (
            Cell(str(self.ours), above),
            Cell(f"{self.published:.3f}"),
            Cell(signed(self.difference)),
        )
        return (*start, *numbers, Cell("yes" if self.is_within else "no"))


def compare_published(table: str) -> Show:
    """Sections that set every entry of a published table beside ours, under the papers' protocol and ours."""

    def sections(asked: Reproduction, found: Results[Place]) -> list[Section]:
        figures = published.figures(table)
        return [_under(protocol, asked, found, figures) for protocol in ("oracle", "tuned")]

    return sections


def published_name(method: str) -> str:
    """What the papers call a recipe, be it ours or the one named after the paper; "" where they have none."""
    return PUBLISHED_AS.get(Variant.parse(method).method.removeprefix("paper-"), "")


def _under(protocol: str, asked: Reproduction, found: Results[Place], figures: published.Figures) -> Section:
    entries = list(_entries(asked, found, figures, protocol))
    compared = [entry for entry in entries if entry.published is not None]
    within = sum(entry.is_within for entry in compared)
    reached = sum(round(entry.difference, 3) >= -TOLERANCE for entry in compared)
    sentences = (
        ABOUT_PROTOCOL[protocol],
        f"{within} of {len(compared)} entries are within {TOLERANCE} of the published figure; {reached} are within it "
        "or above. Bold: at or above the published figure.",
    )
    tables = [
        Table(
            asked.heading(f"{data}, {protocol} protocol"),
            ("method", "metric", "ours", "published", "difference", "within 0.01"),
            tuple(entry.cells() for entry in group),
            names=2,
        )
        for data, group in itertools.groupby(entries, key=lambda entry: entry.data)
    ]
    return Section(f"{protocol} protocol", sentences, [*tables, _highest(asked, entries, figures, protocol)])


def _entries(
    asked: Reproduction, found: Results[Place], figures: published.Figures, protocol: str
) -> Iterator[Entry]:
    for data in asked.sets:
        for point in asked.points:
            for metric in METRICS:
                ours = found.summary((data, point), metric, protocol)
                figure = figures.get(data, {}).get(published_name(point.method), {}).get(metric)
                if ours.n:
                    yield Entry(data, point.line, metric, ours, figure)


def _highest(
    asked: Reproduction,
    entries: list[Entry],
    figures: published.Figures,
    protocol: str,
) -> Table:
    """For each column of the published table its best entry, our best entry, and those of the recipe ``best``."""
    rows = []
    for data, metric in itertools.product(asked.sets, METRICS):
        ours = {e.line: e.ours.mean for e in entries if (e.data, e.metric) == (data, metric)}
        theirs = {method: values[metric] for method, values in figures.get(data, {}).items()}
        if ours and theirs:
            rows.append((Cell(data), Cell(DISPLAY_NAMES[metric]), *_compared(ours, theirs)))
    has_best = "best" in asked.lines
    headings = ("set", "metric", "highest published", "our highest", "difference")
    return Table(
        asked.heading(f"Highest entry of each column, {protocol} protocol"),
        (*headings, "best", "best less published") if has_best else headings,
        tuple(row if has_best else row[: len(headings)] for row in rows),
        names=2,
    )


def _compared(ours: Mapping[str, float], theirs: Mapping[str, float]) -> tuple[Cell, ...]:
    highest, our_highest = (max(values, key=lambda name: values[name]) for values in (theirs, ours))
    by = lead(ours[our_highest], theirs[highest])
    cells = (
        Cell(f"{theirs[highest]:.3f} ({highest})"),
        Cell(f"{ours[our_highest]:.3f} ({our_highest})", round(by, 3) >= 0),
        Cell(signed(by)),
    )
    best = ours.get("best")
    if best is None:
        return (*cells, Cell("-"), Cell(""))
    by = lead(best, theirs[highest])
    return (*cells, Cell(f"{best:.3f}", round(by, 3) >= 0), Cell(signed(by)))
