"""Figure of the labels of a model: F1 against how frequent a label is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from manylabel.study.analysis.figures.drawing import PALETTE, Picture, new_figure, short, styled

_MOST_NAMES = 12
_SIDES = (((4, 3), "left"), ((4, -8), "left"), ((-4, 3), "right"), ((-4, -8), "right"))
_WIDE = 20  # times as many rows as the rarest label: an axis of logarithms


def f1_by_frequency(positives: Any, f1: Any, names: Sequence[str]) -> Picture:
    """F1 of each label against the rows that carry it; few labels are named, of many the worst.

    Parameters
    ----------
    positives : (C,) int array
    f1 : (C,) array
        NaN for a label that is neither carried nor predicted, which is left out.
    names : sequence of C str
    """
    from matplotlib.ticker import MaxNLocator

    shown = np.flatnonzero(~np.isnan(f1))
    named = shown[np.argsort(f1[shown], kind="stable")][:_MOST_NAMES]
    with styled():
        figure = new_figure(5.2, 3.4)
        axes = figure.subplots()
        axes.plot(positives[shown], f1[shown], "o", color=PALETTE[0], markersize=4, alpha=0.7)
        counts = positives[shown]
        if len(counts) and counts.max() > _WIDE * max(1, counts.min()):
            axes.set_xscale("symlog", linthresh=1)
        else:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.margins(x=0.15)
        axes.xaxis.set_major_formatter(lambda count, _: f"{count:.0f}")
        axes.set_ylim(-0.03, 1.05)
        axes.set_xlabel("rows that carry the label")
        axes.set_ylabel("F1")
        axes.grid(axis="y")
        _name_points(axes, positives, f1, names, named.tolist())
    caption = (
        "A point a label, of the rows that were evaluated. "
        "Labels of the lowest F1 are named where there is room for the name."
    )
    return Picture(figure, "F1 of labels by frequency", caption, f"F1 of {len(shown)} labels by frequency.")


def _name_points(axes: Any, positives: Any, f1: Any, names: Sequence[str], labels: Sequence[int]) -> None:
    """Write names beside their points, each only where it covers no point and no other name."""
    axes.figure.draw_without_rendering()  # sets the limits, by which places on the page are found
    points = axes.transData.transform(axes.lines[0].get_xydata())  # (n, 2) pixels
    taken: list[Any] = []
    for label in labels:
        place = (float(positives[label]), float(f1[label]))
        for beside, side in _SIDES:
            name = axes.annotate(
                short(names[label], 20), place, beside, textcoords="offset points", fontsize=7, ha=side
            )
            room = name.get_window_extent()
            if not room.count_contains(points) and not room.count_overlaps(taken):
                taken.append(room)
                break
            name.remove()
