"""Critical-difference diagrams: average ranks on a line, and bars over methods that are not told apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from manylabel.study.analysis.figures.drawing import INK, Picture, colours, new_figure, short, styled
from manylabel.study.analysis.ranks import Ranks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, BAR, LINE = 7.6, 0.28, 0.45  # inches, and steps of the drawing


def critical_difference_diagram(ranks: Ranks, methods: Sequence[str], title: str) -> Picture:
    """Average ranks, the best on the left, and a thick bar over each largest group within the critical difference.

    Parameters
    ----------
    ranks : Ranks
    methods : sequence of k str
    title : str
    """
    groups, rows = ranks.level_groups(), -(-len(methods) // 2)
    depth = BAR * (len(groups) + 1) + LINE * rows
    with styled():
        figure = new_figure(WIDTH, 1.1 + 0.62 * depth)
        axes = figure.subplots()
        axes.set_axis_off()
        _scale(axes, ranks)
        for i, (low, high) in enumerate(groups):
            at = -BAR * (i + 1)
            axes.plot([low - 0.02, high + 0.02], [at, at], color=INK, linewidth=4, solid_capstyle="butt")
        _names(axes, ranks, methods, -BAR * (len(groups) + 1))
        half = (ranks.n_methods - 1) / 2  # of the axis: names stand beside it
        axes.set_xlim(1 - 0.75 * half, ranks.n_methods + 0.75 * half)
        axes.set_ylim(-depth - 0.1, 1.3)
    caption = (
        f"Average rank over {ranks.n_sets} data sets; 1 is the best. A bar joins methods that Nemenyi's test does not "
        f"tell apart at 0.05: their ranks differ by less than the critical difference of "
        f"{ranks.critical_difference:.2f}."
    )
    told = ", ".join(f"{methods[i]} {ranks.average[i]:.2f}" for i in np.argsort(ranks.average, kind="stable"))
    return Picture(figure, title, caption, f"Critical-difference diagram. Average ranks: {told}.")


def _scale(axes: Axes, ranks: Ranks) -> None:
    """The line of ranks, and the critical difference above its left end."""
    k = ranks.n_methods
    axes.plot([1, k], [0, 0], color=INK, linewidth=1)
    for rank in range(1, k + 1):
        axes.plot([rank, rank], [0, 0.12], color=INK, linewidth=1)
        axes.text(rank, 0.2, str(rank), ha="center", va="bottom")
    end = 1 + ranks.critical_difference
    axes.plot([1, end], [0.85, 0.85], color=INK, linewidth=1)
    for x in (1, end):
        axes.plot([x, x], [0.77, 0.93], color=INK, linewidth=1)
    axes.text((1 + end) / 2, 0.95, f"CD = {ranks.critical_difference:.2f}", ha="center", va="bottom")


def _names(axes: Axes, ranks: Ranks, methods: Sequence[str], top: float) -> None:
    """The better half on the left, the best on top; the other half on the right, the worst on top."""
    k, colour = ranks.n_methods, colours(methods)
    order = np.argsort(ranks.average, kind="stable").tolist()
    left, right = order[: -(-k // 2)], order[-(-k // 2) :][::-1]
    margin = 0.04 * max(k - 1, 1)
    for side, edge, align in ((left, 1 - margin, "right"), (right, k + margin, "left")):
        for row, i in enumerate(side):
            rank, at = ranks.average[i], top - LINE * (row + 0.5)
            axes.plot([rank, rank, edge], [0, at, at], color=colour[methods[i]], linewidth=1.2)
            text = f"{short(methods[i])} ({rank:.2f})"
            pad = -0.3 * margin if align == "right" else 0.3 * margin
            axes.text(edge + pad, at, text, ha=align, va="center", color=colour[methods[i]])
