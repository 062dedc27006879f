"""Reproductions as data: trainings, data sets, seeds, and the sections that show the results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from manylabel.printable import count
from manylabel.study.analysis.results import Results
from manylabel.study.report.sections import Section


@dataclass(frozen=True)
class Point:
    """One training of a reproduction, made on every data set with every seed.

    Attributes
    ----------
    method : str
        A recipe or a variant of one.
    line : str
        What it is called in tables and pictures; the points of a curve share it.
    x : float or None
        Its place on the axis of a curve.
    fraction : float, default 1
        Share of the training rows.
    wrong_labels : float, default 0
        Share of the training labels on wrong rows.
    """

    method: str
    line: str
    x: float | None = None
    fraction: float = 1.0
    wrong_labels: float = 0.0


@dataclass(frozen=True)
class Axis:
    """The horizontal axis of curves.

    Attributes
    ----------
    label : str
    logarithmic : bool, default False
    names : mapping of value to what stands in its place
    """

    label: str
    logarithmic: bool = False
    names: Mapping[float, str] = field(default_factory=dict)

    def name(self, x: float) -> str:
        """The text of a value."""
        return self.names.get(x, f"{x:g}")


Place: TypeAlias = tuple[str, Point]
"""A data set, as folders call it, and what was trained on it."""

Show: TypeAlias = "Callable[[Reproduction, Results[Place]], list[Section]]"


@dataclass(frozen=True)
class Reproduction:
    """A published table or figure, or a question, as data.

    Attributes
    ----------
    name : str
    about : str
        One sentence.
    protocol : str
        How the numbers come about, in a few sentences.
    sets : tuple of str
        Data sets by name.
    seeds : sequence of int
    points : tuple of Point
    show : callable (Reproduction, Results by Place) -> list of Section
    axis : Axis or None
        Where the points form curves.
    budget : str, default ""
        What headings say of training that was cut short.
    paper : str or None, default None
        The key in :mod:`manylabel.reproduction.published` of the paper whose figures stand beside ours.
    protocols : tuple of str, default tuned and oracle
        Those that the sections show.
    random_splits : bool, default False
        Whether every seed draws test rows of its own from all rows.
    fewest_rows : int, default 0
        A point whose share of a data set holds fewer training rows is left out there.
    measures : bool, default False
        Whether slices of labels and rows, and retrieval by the embedding, are measured as well.
    scales_variants : bool, default False
        Whether the epochs that a variant names are scaled like those of a recipe.
    held_out : bool, default False
        Whether a quarter of the training rows stands in for the test rows, which are not looked at.
    """

    name: str
    about: str
    protocol: str
    sets: tuple[str, ...]
    seeds: Sequence[int]
    points: tuple[Point, ...]
    show: Show
    axis: Axis | None = None
    budget: str = ""
    paper: str | None = None
    protocols: tuple[str, ...] = ("tuned", "oracle")
    random_splits: bool = False
    fewest_rows: int = 0
    measures: bool = False
    scales_variants: bool = False
    held_out: bool = False

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(point.line for point in self.points))

    def heading(self, text: str) -> str:
        """A heading with the number of seeds and the budget."""
        budget = f", {self.budget}" if self.budget else ""
        return f"{text}, {count(len(self.seeds), 'seed')}{budget}"

    def of(self, line: str) -> list[Point]:
        """The points of a line, in the order of the axis."""
        points = [point for point in self.points if point.line == line]
        return sorted(points, key=lambda point: point.x or 0.0)
