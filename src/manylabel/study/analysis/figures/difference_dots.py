"""Differences by circumstance: a row each, a dot per data set, their mean, and which are significant."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from manylabel.study.analysis.figures.drawing import (
    INK,
    PALETTE,
    Picture,
    legend,
    new_figure,
    short,
    styled,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LEFT, RIGHT = PALETTE[1], PALETTE[0]  # in whose favour a mean is
ROW = 0.21  # inches


@dataclass(frozen=True)
class DotRow:
    """One circumstance.

    Attributes
    ----------
    group : str
        Rows of one group stand together under its name.
    name : str
    differences : sequence of float
        One per data set.
    is_significant : bool
    """

    group: str
    name: str
    differences: Sequence[float]
    is_significant: bool

    @property
    def mean(self) -> float:
        return sum(self.differences) / len(self.differences)


def difference_dots(rows: Sequence[DotRow], title: str, x_label: str) -> Picture:
    """A row per circumstance: grey dots are data sets, the diamond is their mean, filled where it is significant.

    Parameters
    ----------
    rows : sequence of DotRow, at least one
        From top to bottom.
    title, x_label : str
    """
    groups = list(dict.fromkeys(row.group for row in rows))
    with styled():
        figure = new_figure(7.6, 1.3 + ROW * (len(rows) + len(groups)))
        axes = figure.subplots()
        heights = _draw(axes, rows, groups)
        axes.set_xlabel(x_label)
        axes.set_ylim(max(heights) + 0.8, -0.8)
        figure.suptitle(wrapped(title, figure.get_figwidth()), fontsize=10, x=0.01, ha="left")
        marks = {"a data set": "o", "mean, significant": "D", "mean, not significant": "D"}
        inks = ("#AAAAAA", RIGHT, "none")
        handles = [
            axes.plot(
                [], [], mark, color="#AAAAAA" if mark == "o" else RIGHT, markerfacecolor=ink, linestyle="none"
            )[0]
            for mark, ink in zip(marks.values(), inks, strict=True)
        ]
        legend(figure, handles, list(marks), "lower center")
    caption = (
        "Dots: data sets, the mean over their seeds. Diamonds: the mean over data sets, filled where the signed-rank "
        "test over data sets and seeds stays below 0.05 after Holm's correction; right of the line it is a gain."
    )
    return Picture(figure, title, caption, f"{title}: a row for each of {len(rows)} circumstances.")


def _draw(axes: Axes, rows: Sequence[DotRow], groups: Sequence[str]) -> list[float]:
    """Rows with their dots below the name of their group; where they stand."""
    at, texts = [], []
    for i, row in enumerate(rows):
        place = float(i + 1 + groups.index(row.group))
        at.append(place)
        texts.append(short(row.name, 60))
        colour = RIGHT if row.mean >= 0 else LEFT
        axes.plot(
            row.differences, [place] * len(row.differences), "o", color="#AAAAAA", markersize=3.2, zorder=2
        )
        fill = colour if row.is_significant else "white"
        axes.plot([row.mean], [place], "D", color=colour, markerfacecolor=fill, markersize=5.5, zorder=3)
    for group in groups:
        first = next(place for place, row in zip(at, rows, strict=True) if row.group == group)
        at.append(first - 1)
        texts.append(short(group, 60))
    axes.set_yticks(at, texts)
    for label in axes.get_yticklabels()[len(rows) :]:
        label.set_fontweight("bold")
    axes.axvline(0, color=INK, linewidth=0.8, zorder=1)
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    return at
