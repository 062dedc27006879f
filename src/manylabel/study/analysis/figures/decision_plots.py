"""Figures of probabilities and decisions: reliability diagrams, F1 against the threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from manylabel.metrics import F1Curve, Reliability
from manylabel.metrics.learnt_thresholds import LabelThreshold
from manylabel.study.analysis.figures.drawing import (
    INK,
    PALETTE,
    Picture,
    colours,
    legend,
    new_figure,
    room_for,
    styled,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_COLUMNS = 3
PANEL, AXES = 2.5, 2.0  # inches


def reliability_diagram(found: Mapping[str, Reliability], title: str = "Reliability") -> Picture:
    """Share of true entries against the mean score, a line per name, over a count of entries per bin.

    Parameters
    ----------
    found : mapping of name to Reliability
        Such as scores before and after calibration; all labels of each are pooled.
    title : str, default "Reliability"
    """
    colour, pooled = colours(list(found)), {name: of.pooled() for name, of in found.items()}
    with styled():
        figure = new_figure(4.2, 4.9)
        top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        top.plot([0, 1], [0, 1], ":", color=INK, linewidth=1)
        handles = []
        for name, of in pooled.items():
            filled = of.counts[0] > 0
            line = top.plot(
                of.score[0, filled], of.share[0, filled], "o-", color=colour[name], markersize=3.5
            )
            handles += line
            bottom.stairs(of.counts[0], of.edges, color=colour[name], linewidth=1.4)
        top.set_xlim(0, 1)
        top.set_ylim(0, 1)
        top.set_ylabel("share of true entries")
        bottom.set_yscale("symlog", linthresh=1)
        bottom.set_ylim(bottom=0)
        bottom.yaxis.set_major_formatter(lambda count, _: f"{count:.0f}")
        bottom.set_ylabel("entries")
        bottom.set_xlabel("score")
        for axes in (top, bottom):
            axes.grid(axis="y")
            axes.set_axisbelow(True)
        names = [f"{name} (error {of.error()[0]:.3f})" for name, of in pooled.items()]
        legend(figure, handles, names, "upper center", most=1)
    caption = (
        "Entries of all labels, in bins of the score. On the dotted line a score is the share of entries that are "
        "true; above it scores are too low, below it too high. The error is the mean distance from it."
    )
    return Picture(figure, title, caption, f"Reliability diagram of {', '.join(found)}.")


def f1_over_threshold(
    curves: Sequence[F1Curve], chosen: Sequence[LabelThreshold], names: Sequence[str]
) -> Picture:
    """F1 against the threshold, a panel per label, with the threshold chosen and its spread over folds.

    Parameters
    ----------
    curves : sequence of F1Curve
    chosen : sequence of LabelThreshold
        Of the same labels.
    names : sequence of str
        Of the same labels.
    """
    columns = min(len(names), MOST_COLUMNS)
    bands = -(-len(names) // columns)
    titles = [
        wrapped(f"{name} ({of.positives}, {of.source})", AXES) for name, of in zip(names, chosen, strict=True)
    ]
    with styled():
        figure = new_figure(max(3.2, PANEL * columns), (1.9 + room_for(titles)) * bands + 0.3)
        panels = figure.subplots(bands, columns, squeeze=False, sharex=True, sharey=True).flatten()
        for axes, curve, of, title in zip(panels, curves, chosen, titles, strict=False):
            _f1_panel(axes, curve, of)
            axes.set_title(title)
        for axes in panels[len(names) :]:
            axes.remove()
        for axes in panels[max(0, len(names) - columns) : len(names)]:
            axes.set_xlabel("threshold")
            axes.tick_params(labelbottom=True)
        for axes in panels[::columns]:
            axes.set_ylabel("F1")
    caption = (
        "F1 on held-out rows at every threshold. The line is the threshold that was learnt, the band its spread over "
        "folds; in brackets, the held-out rows that carry the label and where the threshold comes from."
    )
    return Picture(figure, "F1 and thresholds", caption, f"F1 against the threshold for {', '.join(names)}.")


def _f1_panel(axes: Axes, curve: F1Curve, chosen: LabelThreshold) -> None:
    """All thresholds above one cut and up to the next give the F1 of the next; above the last nothing is predicted."""
    thresholds, f1 = np.r_[0.0, curve.thresholds, 1.0], np.r_[curve.f1[0], curve.f1, 0.0]
    axes.step(thresholds, f1, where="pre", color=PALETTE[0], linewidth=1.2)
    low, high = chosen.value - chosen.spread, chosen.value + chosen.spread
    axes.axvspan(max(0.0, low), min(1.0, high), color=PALETTE[1], alpha=0.25, linewidth=0)
    axes.axvline(chosen.value, color=PALETTE[1], linewidth=1.2)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.grid(axis="y")
