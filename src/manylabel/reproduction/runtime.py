"""Cost of reproductions: number of runs, and hours estimated from the time of such runs on the same data."""

from __future__ import annotations

from functools import cache

from manylabel import methods
from manylabel.reproduction import catalogue
from manylabel.reproduction.experiment import Point, Reproduction
from manylabel.study.variants import Variant

HEADINGS = ("name", "what it shows", "data sets", "runs", "core hours, about")

MINUTES = {
    "yeast": 0.08,
    "scene": 0.08,
    "cal500": 0.03,
    "corel5k": 0.35,
    "corel16k001": 0.75,
    "stackex_cs": 0.55,
    "ohsumed": 0.9,
    "delicious": 1.8,
    "rcv1_subset1": 1.0,
    "miml_scenes": 1.0,
}
"""Of one run of bce on one core of a server, extrapolated from runs of a few epochs."""
USUAL_MINUTES = 2.0
TIMES_BCE = {
    "lamp": 80.0,
    "mpvae": 16.0,
    "best": 12.0,
    "cgmvae": 8.0,
    "rbcc": 2.5,
    "extra_trees": 0.3,
    "logistic_regression": 0.02,
}
"""Measured on yeast."""
USUAL_TIMES_BCE = 1.2
LONG = {("lamp", "delicious"): 8600.0, ("rbcc", "delicious"): 700.0}
"""Minutes of runs whose cost grows with the square of the labels, extrapolated from single steps."""


def rows() -> list[tuple[str, ...]]:
    """A row for each reproduction."""
    everything = [catalogue.get(name) for name in catalogue.ITEMS]
    return [(r.name, r.about, ", ".join(r.sets), str(runs(r)), _rounded(hours(r))) for r in everything]


def _rounded(number: float) -> str:
    return f"{number:.0f}" if number >= 10 else f"{number:.2g}"


def runs(reproduction: Reproduction) -> int:
    """How many trainings it takes."""
    return len(reproduction.sets) * len(reproduction.points) * len(reproduction.seeds)


def hours(reproduction: Reproduction) -> float:
    """Of training on one core, with the usual seeds; a rough estimate where a method or a set was not measured."""
    minutes = sum(_minutes(point, data) for data in reproduction.sets for point in reproduction.points)
    return len(reproduction.seeds) * minutes / 60


def _minutes(point: Point, data: str) -> float:
    """Of one run."""
    method = Variant.parse(point.method).method
    usual = MINUTES.get(data, USUAL_MINUTES) * TIMES_BCE.get(method, USUAL_TIMES_BCE)
    return _members(point.method) * LONG.get((method, data), usual)


@cache
def _members(method: str) -> int:
    variant = Variant.parse(method)
    return methods.get(variant.method, **variant.settings).recipe.members
