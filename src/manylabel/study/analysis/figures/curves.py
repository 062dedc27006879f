"""Figures that compare methods over settings and data sets: curves with spreads, paired dots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

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
from manylabel.study.analysis.statistics import Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

Curve: TypeAlias = dict[float, Summary]
Pair: TypeAlias = tuple[Summary, Summary]

MOST_COLUMNS = 3
PANEL, AXES = 3.0, 2.4  # inches
MOST_TICKS = 12
MARKERS = "osD^vPX*"


def curves(
    panels: Mapping[str, Mapping[str, Curve]],
    lines: Sequence[str],
    x_label: str,
    title: str,
    logarithmic: bool = False,
    names: Mapping[float, str] | None = None,
) -> Picture:
    """A panel per data set, a curve per line: mean over seeds, and its spread as a band.

    Parameters
    ----------
    panels : data set -> line -> x -> Summary
    lines : sequence of str
        In the order of the legend; colours and markers belong to them in every panel.
    x_label : str
    title : str
    logarithmic : bool, default False
        Of the horizontal axis.
    names : mapping of x to text, optional
        What stands at a tick in place of its number.
    """
    colour = colours(lines)
    columns = min(len(panels), MOST_COLUMNS)
    drawn: dict[str, Line2D] = {}
    with styled():
        figure = new_figure(max(4.6, 0.6 + PANEL * columns), 0.8 + 2.8 * -(-len(panels) // columns))
        grid = figure.subplots(-(-len(panels) // columns), columns, squeeze=False)
        for i, (axes, (data, panel)) in enumerate(zip(grid.flat, panels.items(), strict=False)):
            for line, curve in panel.items():
                drawn[line] = _draw(axes, curve, colour[line], MARKERS[lines.index(line) % len(MARKERS)])
            axes.set_title(wrapped(data, AXES), fontweight="bold")
            axes.grid(axis="y")
            _ticks(axes, sorted({x for curve in panel.values() for x in curve}), logarithmic, names or {})
            if i + columns >= len(panels):
                axes.set_xlabel(x_label)
        for axes in grid.flat[len(panels) :]:
            axes.remove()
        _title(figure, title)
        shown = [line for line in lines if line in drawn]
        if shown:
            legend(figure, [drawn[line] for line in shown], shown, "lower center", 4)
    caption = "Markers are means over seeds, bands one standard deviation to each side."
    return Picture(figure, title, caption, f"{title}: {', '.join(lines)} against {x_label}.")


def _title(figure: Figure, title: str) -> None:
    """On the left, in as many lines as the width takes."""
    figure.suptitle(wrapped(title, figure.get_figwidth()), fontsize=10, x=0.01, ha="left")


def _draw(axes: Axes, curve: Curve, colour: str, marker: str) -> Line2D:
    x = sorted(curve)
    mean = np.array([curve[at].mean for at in x])
    spread = np.nan_to_num([curve[at].spread for at in x])
    size = 4 if len(x) <= MOST_TICKS else 0
    (line,) = axes.plot(x, mean, color=colour, marker=marker, markersize=size, linewidth=1.4)
    axes.fill_between(x, mean - spread, mean + spread, color=colour, alpha=0.13, linewidth=0)
    return line


def _ticks(axes: Axes, x: list[float], logarithmic: bool, names: Mapping[float, str]) -> None:
    from matplotlib.ticker import NullLocator

    if logarithmic:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    if names or len(x) <= MOST_TICKS:
        axes.set_xticks(x, [names.get(at, f"{at:g}") for at in x])


def paired_dots(panels: Mapping[str, Mapping[str, Pair]], methods: tuple[str, str], title: str) -> Picture:
    """Two dots per data set joined by a line, and their difference; two panels per metric.

    Parameters
    ----------
    panels : metric -> data set -> (Summary of the first method, Summary of the second)
    methods : pair of str
    title : str
    """
    colour = colours(methods)
    first = next(iter(panels.values()))
    drawn = (data for data in first if all(data in pairs for pairs in panels.values()))
    order = sorted(drawn, key=lambda data: first[data][0].mean - first[data][1].mean)
    with styled():
        figure = new_figure(1.6 + 4.4 * len(panels), 1.5 + 0.27 * len(order))
        grid = figure.subplots(1, 2 * len(panels), sharey=True, width_ratios=[1.7, 1] * len(panels))
        for i, (metric, pairs) in enumerate(panels.items()):
            handles = _draw_dots(grid[2 * i], [pairs[data] for data in order], colour)
            _draw_differences(grid[2 * i + 1], [pairs[data] for data in order], [*colour.values()])
            grid[2 * i].set_xlabel(metric)
            grid[2 * i + 1].set_xlabel(f"difference in {metric}")
        grid[0].set_yticks(range(len(order)), [short(data) for data in order])
        grid[0].set_ylim(-0.6, len(order) - 0.4)
        _title(figure, title)
        legend(figure, handles, methods, "lower center")
    caption = (
        f"Dots: both methods on each data set, whiskers one standard deviation over seeds. Bars: {methods[0]} less "
        f"{methods[1]}, in the colour of the better. On top the set where {methods[0]} is furthest ahead."
    )
    return Picture(figure, title, caption, f"{title}: two dots for each of {len(order)} data sets.")


def _draw_dots(axes: Axes, pairs: Sequence[Pair], colour: Mapping[str, str]) -> list[Line2D]:
    """The first method as filled dots, the second as rings: both show where they meet."""
    drawn = []
    axes.hlines(
        range(len(pairs)), [a.mean for a, _ in pairs], [b.mean for _, b in pairs], color="#BBBBBB", zorder=1
    )
    for i, (ink, size) in enumerate(zip(colour.values(), (4.5, 8), strict=True)):
        means = [pair[i].mean for pair in pairs]
        spreads = np.nan_to_num([pair[i].spread for pair in pairs])
        axes.errorbar(
            means, range(len(pairs)), xerr=spreads, fmt="none", ecolor=INK, elinewidth=0.7, alpha=0.5
        )
        fill = ink if i == 0 else "none"
        drawn += axes.plot(means, range(len(pairs)), "o", color=ink, markersize=size, markerfacecolor=fill)
    _rows(axes)
    return drawn


def _draw_differences(axes: Axes, pairs: Sequence[Pair], ink: Sequence[str]) -> None:
    differences = [ours.mean - theirs.mean for ours, theirs in pairs]
    axes.barh(range(len(pairs)), differences, 0.55, color=[ink[by < 0] for by in differences])
    axes.axvline(0, color=INK, linewidth=0.8)
    _rows(axes)


def _rows(axes: Axes) -> None:
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
