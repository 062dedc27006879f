"""Methods compared over the data sets of a study: what finished there, the tables, and what the tests say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from manylabel.errors import ManyLabelError
from manylabel.metrics import DISPLAY_NAMES
from manylabel.printable import clock, count
from manylabel.study.analysis.ranks import Ranks, pairs
from manylabel.study.analysis.results import Results, read_study
from manylabel.study.analysis.statistics import LEVEL, Array, score
from manylabel.study.analysis.tables import Cell, Table, heading, signed, value_cell
from manylabel.study.analysis.verdict import HEADLINE
from manylabel.study.folder import StudyFolder


@dataclass(frozen=True)
class Comparison:
    """Methods on several data sets, of each of which they saw the same share of the training rows.

    Attributes
    ----------
    part : str
        What they saw of the training rows, "" for all of them.
    fraction : float
    folders : mapping of data set to StudyFolder
    sets : mapping of data set to Results
        Each with at least one finished run.
    protocol : str
    """

    part: str
    fraction: float
    folders: Mapping[str, StudyFolder]
    sets: Mapping[str, Results[str]]
    protocol: str

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """Those with a finished run on some data set."""
        return tuple(dict.fromkeys(method for results in self.sets.values() for method in results.groups))

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Headline metrics that were recorded on all data sets."""
        return tuple(m for m in HEADLINE if all(m in results.metrics for results in self.sets.values()))

    def complete(self, metric: str) -> tuple[list[str], Array]:
        """Data sets on which every method has a value, and the means over seeds, (N, k)."""
        means = {
            name: [results.summary(method, metric).mean for method in self.methods]
            for name, results in self.sets.items()
        }
        names = [name for name, values in means.items() if not np.isnan(values).any()]
        return names, np.array([means[name] for name in names]).reshape(len(names), len(self.methods))

    def ranks(self, metric: str) -> Ranks | None:
        """None for a single method, and for fewer than two data sets on which every method has a value."""
        names, values = self.complete(metric)
        return Ranks.of(values) if len(names) > 1 and len(self.methods) > 1 else None

    def seconds(self, method: str) -> float:
        """Geometric mean over data sets of the mean training time, so that no large set decides alone."""
        found = [results.seconds(method).mean for results in self.sets.values() if method in results.groups]
        return math.exp(float(np.mean(np.log(np.maximum(found, 1e-3)))))


def read_comparisons(folder: Path, protocol: str | None = None) -> list[Comparison]:
    """What the studies inside a folder found, a comparison for each share of the training rows, the largest first.

    Raises
    ------
    ManyLabelError
        If none of them has a finished run, or a record is damaged or lacks the protocol.
    """
    by_part: dict[tuple[float, float], dict[str, StudyFolder]] = {}
    for study in studies_in(folder):
        record = study.record()
        of_part = by_part.setdefault((-record.fraction, record.wrong_labels), {})
        name = record.card.name
        of_part[study.path.name if name in of_part else name] = study
    found = [_compared(folders, protocol) for _, folders in sorted(by_part.items())]
    if not any(comparison.sets for comparison in found):
        raise ManyLabelError(str(folder), "a study with finished runs", "none", "Run it to its end.")
    return [comparison for comparison in found if comparison.sets]


def studies_in(folder: Path) -> list[StudyFolder]:
    """The studies of single data sets inside the folder of a study, by name."""
    return [StudyFolder(path.parent) for path in sorted(folder.glob("*/study.json"))]


def _compared(folders: Mapping[str, StudyFolder], protocol: str | None) -> Comparison:
    record = next(iter(folders.values())).record()
    asked = protocol or record.protocol
    sets = {name: read_study(study, asked) for name, study in folders.items()}
    for name, results in sets.items():
        results.check_protocol(str(folders[name].path))
    part = record.title.removeprefix(record.card.name).strip()
    finished = {name: results for name, results in sets.items() if not results.is_empty}
    return Comparison(part, record.fraction, folders, finished, asked)


def overall_table(compared: Comparison) -> Table:
    """A row per method: its mean over data sets and its average rank for each metric, and its training time."""
    metrics, ranks = compared.metrics, {m: compared.ranks(m) for m in compared.metrics}
    headings = ["method"]
    for metric in metrics:
        headings += [f"mean {heading(metric, compared.protocol)}", f"rank in {DISPLAY_NAMES[metric]}"]
    columns = [_overall_columns(compared, metric, ranks[metric]) for metric in metrics]
    rows = []
    for i, method in enumerate(compared.methods):
        values = [cell for of_metric in columns for cell in of_metric[i]]
        rows.append((Cell(method), *values, Cell(clock(compared.seconds(method)))))
    title = f"{count(len(compared.sets), 'data set')}{_with(compared)}, {compared.protocol} protocol"
    return Table(title, (*headings, "training time"), tuple(rows))


def _with(compared: Comparison) -> str:
    return f" {compared.part}" if compared.part else ""


def _overall_columns(compared: Comparison, metric: str, ranks: Ranks | None) -> list[tuple[Cell, Cell]]:
    """Mean and average rank of each method."""
    _, values = compared.complete(metric)
    means = (
        [score(float(mean)) for mean in values.mean(axis=0)]
        if len(values)
        else ["n/a"] * len(compared.methods)
    )
    several = len(compared.methods) > 1 and len(values) > 0
    best = score(float(values.mean(axis=0).max())) if several else ""
    ranked = rank_cells(ranks) if ranks is not None else [Cell("n/a")] * len(means)
    return [(Cell(text, several and text == best), rank) for text, rank in zip(means, ranked, strict=True)]


def rank_cells(ranks: Ranks) -> list[Cell]:
    """Average ranks; the best is bold, underlined what lies within the critical difference of it."""
    first, best = ranks.first(), f"{ranks.average.min():.2f}"
    texts = [f"{rank:.2f}" for rank in ranks.average]
    return [Cell(t, t == best, t != best and ranks.is_level(first, i)) for i, t in enumerate(texts)]


def quality_table(compared: Comparison, metric: str) -> Table:
    """A row per data set, a column per method, and below them the average ranks."""
    rows = [
        (Cell(name), *_of_set(results, compared.methods, metric)) for name, results in compared.sets.items()
    ]
    ranks = compared.ranks(metric)
    if ranks is not None:
        rows.append((Cell("average rank"), *rank_cells(ranks)))
    title = f"{heading(metric, compared.protocol)}{_with(compared)}, mean ± spread over seeds"
    return Table(title, ("data set", *compared.methods), tuple(rows), foot=int(ranks is not None))


def _of_set(results: Results[str], methods: Sequence[str], metric: str) -> list[Cell]:
    return [value_cell(results, m, metric) if m in results.groups else Cell("-") for m in methods]


def pairs_table(compared: Comparison, metric: str) -> Table | None:
    """Every two methods over the data sets; None without two of each."""
    names, values = compared.complete(metric)
    if len(names) < 2 or len(compared.methods) < 2:
        return None
    rows = []
    for pair in pairs(values, compared.methods):
        found = pair.found
        counts = f"{found.wins} / {found.ties} / {found.losses}"
        numbers = signed(found.mean), f"{found.p_value:.3g}", f"{pair.p_value:.3g}"
        rows.append(tuple(map(Cell, (f"{pair.ours} minus {pair.theirs}", counts, *numbers))))
    title = f"{heading(metric, compared.protocol)}{_with(compared)}, two methods at a time"
    headings = ("methods", "data sets won / tied / lost", "mean difference", "Wilcoxon p", "p after Holm")
    return Table(title, headings, tuple(rows))


def rank_sentence(compared: Comparison, metric: str) -> str:
    """What ranks and the Friedman test say of a metric."""
    name, (sets, _) = DISPLAY_NAMES[metric], compared.complete(metric)
    ranks = compared.ranks(metric)
    if ranks is None:
        return f"On {name}, ranks take two methods with values on two data sets; there are {_there(compared, sets)}."
    first = ranks.first()
    start = (
        f"On {name} over {count(ranks.n_sets, 'data set')}, {compared.methods[first]} has the best average rank "
        f"({ranks.average[first]:.2f})"
    )
    if math.isnan(ranks.p_value):
        return f"{start}; the Friedman test takes three methods."
    k, n = ranks.n_methods, ranks.n_sets
    told = "the methods differ" if ranks.p_value < LEVEL else "no difference between the methods is shown"
    davenport = f"Iman-Davenport F({k - 1}, {(k - 1) * (n - 1)}) = {ranks.f:.2f}"
    tested = "every data set ranks them alike" if math.isinf(ranks.f) else davenport
    return (
        f"{start}; {told}: Friedman χ²({k - 1}) = {ranks.chi_square:.2f}, {tested}, p = {ranks.p_value:.3g}. "
        f"{_told_apart(compared, ranks)}"
    )


def _there(compared: Comparison, sets: Sequence[str]) -> str:
    return f"{count(len(compared.methods), 'method')} and {count(len(sets), 'such data set')}"


def _told_apart(compared: Comparison, ranks: Ranks) -> str:
    """From which methods Nemenyi's test tells the first one apart."""
    first = ranks.first()
    apart = [m for i, m in enumerate(compared.methods) if not ranks.is_level(first, i)]
    whom = ", ".join(apart) if apart else "no other method"
    return f"Nemenyi's critical difference of {ranks.critical_difference:.2f} tells it apart from {whom}."
