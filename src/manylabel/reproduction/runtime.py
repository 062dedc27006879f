"""Cost of reproductions: number of runs, and hours estimated from the time of such runs on the same data."""

from __future__ import annotations

from manylabel import methods
from manylabel.reproduction import catalogue
from manylabel.reproduction.experiment import Point, Reproduction
from manylabel.study.variants import Variant

HEADINGS = ("name", "what it shows", "data sets", "runs", "core hours, about")

MINUTES = {
    "yeast": 0.4,
    "scene": 0.4,
    "cal500": 0.2,
    "corel5k": 2.5,
    "corel16k001": 5.0,
    "stackex_cs": 4.0,
    "ohsumed": 5.0,
    "delicious": 9.0,
    "rcv1_subset1": 28.0,
    "miml_scenes": 2.8,
}
"""Of one run of bce on one core of a server, extrapolated from short runs but for yeast."""
USUAL_MINUTES = 10.0
TIMES_BCE = {"lamp": 20.0, "mpvae": 5.0, "cgmvae": 2.5}
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
    variant = Variant.parse(point.method)
    members = methods.get(variant.method, **variant.settings).recipe.members
    usual = MINUTES.get(data, USUAL_MINUTES) * TIMES_BCE.get(variant.method, USUAL_TIMES_BCE)
    return members * LONG.get((variant.method, data), usual)
