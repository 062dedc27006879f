"""Figures over several data sets: gains per label against its frequency, cost against quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from manylabel.study.analysis.figures.drawing import (
    INK,
    Picture,
    colours,
    legend,
    new_figure,
    short,
    styled,
    wrapped,
)
from manylabel.study.analysis.statistics import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_COLUMNS = 3
PANEL, AXES = 3.0, 2.4  # inches
BINS, FEWEST_IN_A_BIN = 6, 3
MARKERS = "osD^vPX*"
MOST_STEPS = 300.0  # beyond, only powers of ten have a number


@dataclass(frozen=True)
class Gains:
    """Gains of a method per label of some data sets.

    Attributes
    ----------
    shares : (C,) float64 array
        Share of the known test rows that carry the label.
    gains : (C,) float64 array
        F1 of the method less that of the baseline.
    """

    shares: Array
    gains: Array

    def means(self) -> tuple[Array, Array]:
        """Geometric mean share and mean gain of equally many labels each, rare ones first."""
        order = np.argsort(self.shares, kind="stable")
        number = max(1, min(BINS, len(order) // FEWEST_IN_A_BIN))
        bins = [part for part in np.array_split(order, number) if len(part)]
        at = np.array([np.exp(np.log(self.shares[part]).mean()) for part in bins])
        return at, np.array([self.gains[part].mean() for part in bins])


def label_gains(found: Mapping[str, Gains], baseline: str, ink: Mapping[str, str], title: str) -> Picture:
    """A panel per method: a dot per label, and the mean gain of rare to frequent labels as a line."""
    columns = min(len(found), MOST_COLUMNS)
    bands = -(-len(found) // columns)
    with styled():
        figure = new_figure(max(4.6, 0.6 + PANEL * columns), 0.8 + 2.7 * bands)
        grid = figure.subplots(bands, columns, squeeze=False, sharey=True)
        for i, (axes, (method, gains)) in enumerate(zip(grid.flat, found.items(), strict=False)):
            axes.axhline(0, color=INK, linewidth=0.8)
            axes.plot(
                gains.shares,
                gains.gains,
                "o",
                color=ink[method],
                markersize=3.5,
                alpha=0.4,
                markeredgewidth=0,
            )
            axes.plot(*gains.means(), color=ink[method], linewidth=2, marker="D", markersize=4)
            _log_scale(axes)
            axes.set_title(wrapped(method, AXES), color=ink[method], fontweight="bold")
            axes.grid(axis="y")
            if i + columns >= len(found):
                axes.set_xlabel("share of test rows with the label")
            if i % columns == 0:
                axes.set_ylabel(wrapped(f"F1 less that of {short(baseline)}", AXES))
        for axes in grid.flat[len(found) :]:
            axes.remove()
    number = sum(len(gains.shares) for gains in found.values())
    caption = (
        f"A dot is a label of a data set, mean over seeds; above the line it gains over {baseline}. Diamonds: the mean "
        "over equally many labels each, rare ones on the left."
    )
    return Picture(figure, title, caption, f"{title}: {number} dots, a panel for each of {', '.join(found)}.")


@dataclass(frozen=True)
class Cost:
    """What a method costs and reaches: seconds of training, and a mean metric."""

    seconds: float
    quality: float


def pareto(points: Mapping[str, Cost]) -> list[str]:
    """The methods that no other one beats in both, the cheapest first."""
    front: list[str] = []
    for name in sorted(points, key=lambda name: (points[name].seconds, -points[name].quality)):
        if not front or points[name].quality > points[front[-1]].quality:
            front.append(name)
    return front


def cost_against_quality(
    panels: Mapping[str, Mapping[str, Cost]], methods: Sequence[str], title: str
) -> Picture:
    """A panel per metric, a sign per method; a line joins those that no other method beats in both."""
    colour, drawn = colours(methods), {}
    columns = min(len(panels), MOST_COLUMNS)
    bands = -(-len(panels) // columns)
    with styled():
        figure = new_figure(max(4.6, 0.6 + PANEL * columns), 1.1 + 2.7 * bands)
        grid = figure.subplots(bands, columns, squeeze=False)
        for axes, (metric, points) in zip(grid.flat, panels.items(), strict=False):
            front = [points[name] for name in pareto(points)]
            axes.plot([c.seconds for c in front], [c.quality for c in front], color="#AAAAAA", zorder=1)
            for method, cost in points.items():
                sign = MARKERS[methods.index(method) % len(MARKERS)]
                drawn[method] = axes.plot(
                    cost.seconds, cost.quality, sign, color=colour[method], markersize=7
                )[0]
            _axes_of_cost(axes, metric)
        for axes in grid.flat[len(panels) :]:
            axes.remove()
        legend(figure, list(drawn.values()), list(drawn), "lower center", 4)
    caption = (
        "Training time of a run, geometric mean over data sets, against the mean over data sets. The line joins the "
        "methods that no other one beats in both."
    )
    return Picture(figure, title, caption, f"{title}: {', '.join(methods)} for {', '.join(panels)}.")


def _log_scale(axes: Axes) -> None:
    """Powers of ten as plain numbers: a dollar is a dollar in all figures, so formulas are off."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    wide = axes.dataLim.x1 > MOST_STEPS * axes.dataLim.minposx
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 3.0), numticks=6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _axes_of_cost(axes: Axes, metric: str) -> None:
    _log_scale(axes)
    axes.set_xlabel("seconds of training")
    axes.set_ylabel(metric)
    axes.margins(0.15)
    axes.grid()
    axes.set_axisbelow(True)
