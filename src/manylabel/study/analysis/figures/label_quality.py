"""Figure of the labels of a model: F1 against how frequent a label is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from manylabel.study.analysis.figures.drawing import PALETTE, Picture, new_figure, short, styled

_MOST_NAMES = 12
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
    shown = np.flatnonzero(~np.isnan(f1))
    named = shown[np.argsort(f1[shown], kind="stable")][:_MOST_NAMES]
    with styled():
        figure = new_figure(5.2, 3.4)
        axes = figure.subplots()
        axes.plot(positives[shown], f1[shown], "o", color=PALETTE[0], markersize=4, alpha=0.7)
        for label in named.tolist():
            place = (float(positives[label]), float(f1[label]))
            axes.annotate(
                short(names[label], 20), place, xytext=(4, 3), textcoords="offset points", fontsize=7
            )
        counts = positives[shown]
        if len(counts) and counts.max() > _WIDE * max(1, counts.min()):
            axes.set_xscale("symlog", linthresh=1)
        axes.margins(x=0.15)
        axes.xaxis.set_major_formatter(lambda count, _: f"{count:.0f}")
        axes.set_ylim(-0.03, 1.05)
        axes.set_xlabel("rows that carry the label")
        axes.set_ylabel("F1")
        axes.grid(axis="y")
    which = "" if len(shown) <= _MOST_NAMES else f" The {_MOST_NAMES} labels of the lowest F1 are named."
    caption = f"A point a label, of the rows that were evaluated.{which}"
    return Picture(figure, "F1 of labels by frequency", caption, f"F1 of {len(shown)} labels by frequency.")
