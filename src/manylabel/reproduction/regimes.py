"""Regimes: circumstances under which a method is compared with itself without its contrastive term, and the tests."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from manylabel.metrics import DISPLAY_NAMES
from manylabel.metrics.slices import THIRDS
from manylabel.reproduction.experiment import Place, Point, Reproduction
from manylabel.study.analysis.results import Results
from manylabel.study.analysis.statistics import WinTieLoss, holm
from manylabel.study.measures import RETRIEVAL, measure_name

SUFFIX = " without contrast"
PROTOCOL = "tuned"
LEVEL = 0.05
METRICS = ("map", "macro_f1")
LABEL_SETS = ("seen label sets", "unseen label sets")
BY_LABELS = {
    "fewer than 20 labels": (0, 20),
    "20 to 99 labels": (20, 100),
    "100 labels and more": (100, math.inf),
}
OF_NEIGHBOURS = dict(zip(RETRIEVAL, ("mAP of neighbours", "precision@10", "Jaccard@10"), strict=True))
Values: TypeAlias = Mapping[str, Sequence[tuple[float, float]]]
"""Data set -> (with contrast, without) of each seed."""


@dataclass(frozen=True)
class Regime:
    """A circumstance and a metric, with the values of both halves of a pair.

    Attributes
    ----------
    group, name : str
        What varies, and where in it this is.
    metric : str
        As tables call it.
    values : mapping of data set to (with contrast, without) of each seed
    """

    group: str
    name: str
    metric: str
    values: Values

    @cached_property
    def means(self) -> dict[str, tuple[float, float]]:
        """Data set -> means over seeds with contrast and without."""
        means = {data: np.mean(pairs, axis=0) for data, pairs in self.values.items()}
        return {data: (float(ours), float(theirs)) for data, (ours, theirs) in means.items()}

    @cached_property
    def over_seeds(self) -> WinTieLoss:
        """Every seed of every data set as one difference."""
        return _against(pair for pairs in self.values.values() for pair in pairs)

    @property
    def lowest_p_value(self) -> float:
        """What the test over sets and seeds gives where every difference is a gain."""
        return float(min(1.0, 0.5 ** (sum(map(len, self.values.values())) - 1)))

    @cached_property
    def over_sets(self) -> WinTieLoss:
        """The mean over seeds of every data set as one difference."""
        return _against(self.means.values())


@dataclass(frozen=True)
class Tested:
    """A regime with its p-values after Holm's correction for all regimes of the pair.

    Attributes
    ----------
    regime : Regime
    over_seeds, over_sets : float
        Corrected p-values, of every seed of every data set, and of the means of the data sets.
    least : float
        The lowest corrected p-value that so many differences can reach, all of one sign.
    """

    regime: Regime
    over_seeds: float
    over_sets: float
    least: float

    @property
    def sign(self) -> int:
        """1 where contrast wins significantly over sets and seeds, -1 where it loses, 0 where neither is shown."""
        by = self.regime.over_sets.mean
        return int(np.sign(by)) if self.over_seeds < LEVEL else 0


def pairs(asked: Reproduction) -> tuple[str, ...]:
    """The lines that stand beside themselves without contrast."""
    return tuple(line for line in asked.lines if f"{line}{SUFFIX}" in asked.lines)


def regimes_of(asked: Reproduction, found: Results[Place], line: str) -> list[Tested]:
    """All regimes of a pair in which both halves have runs."""
    regimes = [regime for regime in _regimes(asked, found, line) if regime.values]
    over_seeds = holm([regime.over_seeds.p_value for regime in regimes])
    over_sets = holm([regime.over_sets.p_value for regime in regimes])
    least = (min(1.0, len(regimes) * regime.lowest_p_value) for regime in regimes)
    return [Tested(*each) for each in zip(regimes, over_seeds, over_sets, least, strict=True)]


def n_labels(found: Results[Place], data: str) -> int:
    """Labels of a data set, 0 before it has runs."""
    runs = (run for place in found.groups if place[0] == data for run in found.of(place))
    return next((len(run.evaluations[PROTOCOL]["per_label"]["ap"]) for run in runs), 0)


def _regimes(asked: Reproduction, found: Results[Place], line: str) -> Iterator[Regime]:
    def regime(group: str, name: str, metric: str, measure: str = "", **where: Any) -> Regime:
        shown = OF_NEIGHBOURS[metric] if group == "retrieval" else DISPLAY_NAMES[metric]
        return Regime(group, name, shown, _values(asked, found, line, measure or metric, **where))

    for metric in ("map", "macro_f1", "micro_f1", "example_f1"):
        yield regime("all rows", "all rows, labels as they are", metric)
    for part, metric in itertools.product(THIRDS, METRICS):
        yield regime("label frequency", part, metric, measure_name(part, metric))
    for part in LABEL_SETS:
        yield regime("label sets", part, "example_f1", measure_name(part, "example_f1"))
    for metric in RETRIEVAL:
        yield regime("retrieval", "neighbours in the embedding", metric, measure_name("retrieval", metric))
    for name, metric in itertools.product(BY_LABELS, METRICS):
        yield regime("number of labels", name, metric, labels=BY_LABELS[name])
    for fraction, metric in itertools.product(sorted({p.fraction for p in asked.points} - {1.0}), METRICS):
        name = f"{100 * fraction:g} % of the training rows"
        yield regime("share of the training rows", name, metric, fraction=fraction)
    for wrong, metric in itertools.product(sorted({p.wrong_labels for p in asked.points} - {0.0}), METRICS):
        yield regime("wrong labels", f"{100 * wrong:g} % wrong labels", metric, wrong=wrong)


def _values(
    asked: Reproduction,
    found: Results[Place],
    line: str,
    metric: str,
    fraction: float = 1.0,
    wrong: float = 0.0,
    labels: tuple[float, float] = (0, math.inf),
) -> Values:
    """What both halves of a pair reached on the data sets with so many labels, where both have runs."""
    both = tuple(_point(asked, name, fraction, wrong) for name in (line, f"{line}{SUFFIX}"))
    low, high = labels
    sized = [data for data in asked.sets if low <= n_labels(found, data) < high]
    read = {data: _read(found, data, both, metric) for data in sized}
    return {data: pairs for data, pairs in read.items() if pairs}


def _point(asked: Reproduction, line: str, fraction: float, wrong: float) -> Point | None:
    key = line, fraction, wrong
    return next((p for p in asked.points if (p.line, p.fraction, p.wrong_labels) == key), None)


def _read(
    found: Results[Place], data: str, both: Sequence[Point | None], metric: str
) -> list[tuple[float, float]]:
    """Values of both halves for the seeds for which both are defined."""
    ours, theirs = ({} if point is None else found.by_seed((data, point), metric, PROTOCOL) for point in both)
    seeds = sorted(ours.keys() & theirs.keys())
    return [(ours[seed], theirs[seed]) for seed in seeds if not math.isnan(ours[seed] + theirs[seed])]


def _against(pairs: Iterable[tuple[float, float]]) -> WinTieLoss:
    ours, theirs = np.array(list(pairs), dtype=np.float64).T
    return WinTieLoss.of(ours, theirs)
