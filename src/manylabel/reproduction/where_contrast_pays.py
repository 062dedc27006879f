"""Where contrast pays: pairs with and without the contrastive term by regime, with tests, curves and a verdict."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from manylabel.metrics import DISPLAY_NAMES
from manylabel.printable import count
from manylabel.reproduction.experiment import Place, Reproduction
from manylabel.reproduction.regimes import (
    LEVEL,
    METRICS,
    PROTOCOL,
    SUFFIX,
    Tested,
    n_labels,
    pairs,
    regimes_of,
)
from manylabel.reproduction.sweep import picture
from manylabel.study.analysis.figures.curves import Curve, curves
from manylabel.study.analysis.figures.difference_dots import DotRow, difference_dots
from manylabel.study.analysis.figures.drawing import Picture
from manylabel.study.analysis.results import Results
from manylabel.study.analysis.statistics import Summary
from manylabel.study.analysis.tables import Cell, Table, signed
from manylabel.study.folder_names import file_name
from manylabel.study.report.sections import Section

IN_SHORT = "In short"
TAKE = {
    (True, False): "with contrast",
    (False, True): "without",
    (True, True): "it depends on the metric",
    (False, False): "either, none is shown to be better",
}
ABOUT_TESTS = (
    "Two-sided Wilcoxon signed-rank tests of the paired differences. p (seeds) takes every seed of every data set "
    "as one difference, p (sets) the mean of every data set; both are corrected by Holm's method for all lines "
    "of the pair. Seeds of one data set are not independent of each other: a line that is significant over sets and "
    "seeds alone holds for these data sets, one that is significant over their means, too, is likelier to hold for "
    "others."
)


def where_contrast_pays(asked: Reproduction, found: Results[Place]) -> list[Section]:
    """The verdict of all pairs, then the numbers of each, then curves of all."""
    found_by = {line: regimes_of(asked, found, line) for line in pairs(asked)}
    found_by = {line: rows for line, rows in found_by.items() if rows}
    if not found_by:
        return [Section(IN_SHORT, ("No pair has runs of both halves yet.",))]
    in_short = Section(
        IN_SHORT,
        [_sentence(line, rows) for line, rows in found_by.items()],
        [_verdicts(asked, line, rows) for line, rows in found_by.items()],
    )
    numbers = [_numbers(asked, found, line, rows) for line, rows in found_by.items()]
    return [in_short, *numbers, Section("Curves", pictures=_pictures(asked, found))]


def _sentence(line: str, rows: Sequence[Tested]) -> str:
    told = []
    for sign, verb in ((1, "wins"), (-1, "loses")):
        named = dict.fromkeys(f"{row.regime.name} ({row.regime.metric})" for row in rows if row.sign == sign)
        told.append(
            f"it {verb} significantly in {', '.join(named)}" if named else f"it {verb} significantly nowhere"
        )
    sets = count(len({data for row in rows for data in row.regime.values}), "data set")
    few = " Too few for any significance." if min(row.least for row in rows) >= LEVEL else ""
    return f"The contrastive term of {line}, over {sets}: {'; '.join(told)}.{few}"


def _verdicts(asked: Reproduction, line: str, rows: Sequence[Tested]) -> Table:
    """What to take in each regime, and the evidence."""
    shown = []
    for (_, name), group in itertools.groupby(rows, key=lambda row: (row.regime.group, row.regime.name)):
        of_name = list(group)
        signs = {row.sign for row in of_name}
        evidence = "; ".join(_evidence(row) for row in of_name)
        sets = len(of_name[0].regime.values)
        take = TAKE[1 in signs, -1 in signs]
        shown.append((Cell(name), Cell(take, signs != {0}), Cell(evidence), Cell(str(sets))))
    headings = ("your data", f"take {line}", "with contrast less without (corrected p)", "sets")
    return Table(asked.heading(f"{line}, {PROTOCOL} protocol"), headings, tuple(shown), numbers=False)


def _evidence(row: Tested) -> str:
    return f"{row.regime.metric} {signed(row.regime.over_sets.mean)} ({row.over_seeds:.2g})"


def _numbers(asked: Reproduction, found: Results[Place], line: str, rows: Sequence[Tested]) -> Section:
    tables = [
        _group(asked, line, group, list(of_group))
        for group, of_group in itertools.groupby(rows, key=lambda row: row.regime.group)
    ]
    tables.append(_by_labels(asked, found, line, rows))
    pictures = {file_name(f"{line} by regime"): _dots(asked, line, rows)}
    return Section(f"{line}: with contrast less without", (ABOUT_TESTS,), tables, pictures)


def _group(asked: Reproduction, line: str, group: str, rows: Sequence[Tested]) -> Table:
    shown = [(Cell(row.regime.name), Cell(row.regime.metric), *_means(row), *_tests(row)) for row in rows]
    headings = ("regime", "metric", "without", "with", "difference")
    tests = ("won / tied / lost", "p (seeds)", "p (sets)")
    return Table(asked.heading(f"{line}, by {group}"), (*headings, *tests), tuple(shown), names=2)


def _means(row: Tested) -> tuple[Cell, ...]:
    """Means over data sets without contrast and with it, and the difference, bold where it is significant."""
    means = row.regime.means.values()
    ours, theirs = (sum(pair[i] for pair in means) / len(means) for i in (0, 1))
    by = signed(row.regime.over_sets.mean)
    return Cell(f"{theirs:.3f}"), Cell(f"{ours:.3f}"), Cell(by, row.sign != 0)


def _tests(row: Tested) -> tuple[Cell, ...]:
    over = row.regime.over_sets
    wins = f"{over.wins} / {over.ties} / {over.losses}"
    return Cell(wins), Cell(f"{row.over_seeds:.3g}"), Cell(f"{row.over_sets:.3g}")


def _by_labels(asked: Reproduction, found: Results[Place], line: str, rows: Sequence[Tested]) -> Table:
    """All data sets by their number of labels."""
    first = {row.regime.metric: row.regime.values for row in reversed(rows) if row.regime.group == "all rows"}
    names = [DISPLAY_NAMES[metric] for metric in METRICS if DISPLAY_NAMES[metric] in first]
    shown = []
    for data in sorted(asked.sets, key=lambda data: n_labels(found, data)):
        of_data = [first[name].get(data, ()) for name in names]
        if any(of_data):
            differences = (Summary.of([ours - theirs for ours, theirs in pairs]) for pairs in of_data)
            cells = (Cell(_with_spread(difference)) for difference in differences)
            shown.append((Cell(data), Cell(str(n_labels(found, data))), *cells))
    headings = ("set", "labels", *(f"difference in {name}" for name in names))
    return Table(asked.heading(f"{line}, data sets by number of labels"), headings, tuple(shown))


def _with_spread(difference: Summary) -> str:
    spread = "" if difference.n < 2 else f" ± {difference.spread:.3f}"
    return f"{signed(difference.mean)}{spread}"


def _dots(asked: Reproduction, line: str, rows: Sequence[Tested]) -> Picture:
    dots = [
        DotRow(
            row.regime.group,
            f"{row.regime.name}, {row.regime.metric}",
            [ours - theirs for ours, theirs in row.regime.means.values()],
            row.sign != 0,
        )
        for row in rows
    ]
    title = asked.heading(f"What the contrastive term of {line} adds on test rows, {PROTOCOL} protocol")
    return difference_dots(dots, title, f"{line} less {line}{SUFFIX}")


def _pictures(asked: Reproduction, found: Results[Place]) -> dict[str, Picture]:
    pictures = {}
    for metric in METRICS:
        name = metric.replace("_", "-")
        pictures[f"{name}-by-share"] = picture(asked, found, metric)
        pictures[f"{name}-by-wrong-labels"] = _wrong_labels(asked, found, metric)
    return pictures


def _wrong_labels(asked: Reproduction, found: Results[Place], metric: str) -> Picture:
    panels = {
        data: {
            line: curve for line in asked.lines if len(curve := _curve(asked, found, data, line, metric)) > 1
        }
        for data in asked.sets
    }
    title = asked.heading(f"{DISPLAY_NAMES[metric]} on test rows, {PROTOCOL} protocol")
    return curves(panels, asked.lines, "% wrong training labels", title)


def _curve(asked: Reproduction, found: Results[Place], data: str, line: str, metric: str) -> Curve:
    """Of all rows, by their share of wrong labels."""
    points = [point for point in asked.points if point.line == line and point.fraction == 1]
    summaries = {100 * p.wrong_labels: found.summary((data, p), metric, PROTOCOL) for p in points}
    return {x: summary for x, summary in summaries.items() if summary.n}
