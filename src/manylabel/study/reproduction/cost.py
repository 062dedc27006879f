"""What reproductions cost, by the time that runs took when they were measured."""

from __future__ import annotations

from manylabel.study.reproduction import catalogue
from manylabel.study.reproduction.definition import Point, Reproduction
from manylabel.study.variants import Variant

HEADINGS = ("name", "what it shows", "data sets", "runs", "hours of one core")

# Minutes of one run of bce on one core of an AMD EPYC; others scale it.
MINUTES = {"yeast": 0.3, "scene": 0.3}
USUAL_MINUTES = 1.0
TIMES_BCE = {"lamp": 4.0, "mpvae": 2.0, "cgmvae": 3.0}
USUAL_TIMES_BCE = 1.3


def rows() -> list[tuple[str, ...]]:
    """A row for each reproduction."""
    everything = [catalogue.get(name) for name in catalogue.ITEMS]
    return [(r.name, r.about, ", ".join(r.sets), str(runs(r)), f"{hours(r):.1f}") for r in everything]


def runs(reproduction: Reproduction) -> int:
    """How many trainings it takes."""
    return len(reproduction.sets) * len(reproduction.points) * reproduction.seeds


def hours(reproduction: Reproduction) -> float:
    """Of training on one core, with the usual seeds."""
    minutes = sum(
        MINUTES.get(data, USUAL_MINUTES) * _times_bce(point)
        for data in reproduction.sets
        for point in reproduction.points
    )
    return reproduction.seeds * minutes / 60


def _times_bce(point: Point) -> float:
    return TIMES_BCE.get(Variant.parse(point.method).method, USUAL_TIMES_BCE)
