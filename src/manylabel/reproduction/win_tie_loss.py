"""Wins, ties and losses of methods against a baseline over many data sets, with the signed-rank test."""

from __future__ import annotations

import math
from collections.abc import Sequence

from manylabel.metrics import DISPLAY_NAMES
from manylabel.printable import count
from manylabel.reproduction.experiment import Place, Point, Reproduction
from manylabel.study.analysis.figures.curves import Pair, paired_dots
from manylabel.study.analysis.results import Results
from manylabel.study.analysis.statistics import WinTieLoss, lead
from manylabel.study.analysis.tables import Cell, Table, heading, signed
from manylabel.study.folder_names import file_name
from manylabel.study.report.sections import Section

METRICS = ("macro_f1", "map")
PROTOCOL = "tuned"
FEWEST_SETS = 6  # with fewer, no signed-rank test can reach a p-value below 0.05


def win_tie_loss(asked: Reproduction, found: Results[Place]) -> list[Section]:
    """A section per method, each against the first."""
    baseline, *challengers = asked.points
    sections: list[Section] = []
    for challenger in challengers:
        taken = [name for section in sections for name in section.pictures]
        sections.append(_against(asked, found, baseline, challenger, taken))
    return sections


def _against(
    asked: Reproduction, found: Results[Place], baseline: Point, challenger: Point, taken: Sequence[str]
) -> Section:
    pairs = {metric: _pairs(asked.sets, found, baseline, challenger, metric) for metric in METRICS}
    sentences = [_sentence(baseline, challenger, metric, pairs[metric]) for metric in METRICS]
    title = asked.heading(f"{challenger.line} against {baseline.line}, {PROTOCOL} protocol")
    name = file_name(f"{challenger.line} against {baseline.line}", taken)
    picture = paired_dots(
        {DISPLAY_NAMES[metric]: of for metric, of in pairs.items()}, (challenger.line, baseline.line), title
    )
    table = _table(title, baseline, challenger, pairs)
    return Section(f"{challenger.line} against {baseline.line}", sentences, [table], {name: picture})


def _pairs(
    sets: Sequence[str], found: Results[Place], baseline: Point, challenger: Point, metric: str
) -> dict[str, Pair]:
    """Data set -> both summaries, where both have runs and the metric is defined."""
    pairs = {}
    for data in sets:
        ours, theirs = (found.summary((data, point), metric, PROTOCOL) for point in (challenger, baseline))
        if not math.isnan(ours.mean + theirs.mean):
            pairs[data] = (ours, theirs)
    return pairs


def _sentence(baseline: Point, challenger: Point, metric: str, pairs: dict[str, Pair]) -> str:
    if not pairs:
        return f"{DISPLAY_NAMES[metric]}: no data set has runs of both methods yet."
    result = WinTieLoss.of([o.mean for o, _ in pairs.values()], [t.mean for _, t in pairs.values()])
    few = " (too few sets for any significance)" if len(pairs) < FEWEST_SETS else ""
    counts = f"{result.wins} won, {result.ties} tied, {result.losses} lost"
    return (
        f"{DISPLAY_NAMES[metric]}: {challenger.line} against {baseline.line} over {count(len(pairs), 'data set')}: "
        f"{counts}; mean difference {signed(result.mean, 4)}; two-sided Wilcoxon signed-rank "
        f"p = {result.p_value:.3g}{few}."
    )


def _table(title: str, baseline: Point, challenger: Point, pairs: dict[str, dict[str, Pair]]) -> Table:
    rows = []
    for data in dict.fromkeys(data for of in pairs.values() for data in of):
        cells = [Cell(data)]
        for metric in METRICS:
            if data not in pairs[metric]:
                cells += [Cell("n/a")] * 3
                continue
            ours, theirs = pairs[metric][data]
            by = lead(ours.mean, theirs.mean)
            cells += [Cell(str(theirs), by < 0), Cell(str(ours), by > 0), Cell(signed(by))]
        rows.append(tuple(cells))
    headings = ["set"]
    for metric in METRICS:
        name = heading(metric, PROTOCOL)
        headings += [f"{name}, {baseline.line}", f"{name}, {challenger.line}", f"{name}, difference"]
    return Table(title, tuple(headings), tuple(rows))
