"""Labels drawn: how frequent they are, and which of them rows carry together."""

from __future__ import annotations

from typing import Any

import numpy as np

from manylabel.data.table_description import LabelFacts
from manylabel.study.analysis.figures.drawing import PALETTE, Picture, new_figure, short, styled

_MOST_BARS, _MOST_TOGETHER = 40, 30


def draw_frequencies(facts: LabelFacts) -> Picture:
    """Bars of the rows of each label, the most frequent first."""
    order = np.argsort(-facts.counts, kind="stable")
    shown = order[:_MOST_BARS]
    with styled():
        figure = new_figure(6.0, 0.8 + 0.19 * len(shown))
        axes = figure.subplots()
        axes.barh(np.arange(len(shown)), facts.counts[shown], color=PALETTE[0])
        _name(axes, [facts.names[i] for i in shown.tolist()])
        axes.set_xlabel("rows")
    left = f"; {len(order) - len(shown)} rarer labels are not shown" if len(order) > len(shown) else ""
    caption = f"Rows that carry each label{left}."
    return Picture(figure, "Label frequencies", caption, f"Bars of {len(shown)} label frequencies")


def draw_together(facts: LabelFacts) -> Picture:
    """The share of the rows of one label that carry another."""
    k = min(len(facts.shown), _MOST_TOGETHER)
    counts = np.maximum(facts.together.diagonal()[:k], 1)
    share = facts.together[:k, :k] / counts[:, None]
    names = [facts.names[i] for i in facts.shown[:k].tolist()]
    with styled():
        figure = new_figure(2.6 + 0.2 * k, 1.8 + 0.2 * k)
        axes = figure.subplots()
        image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        _name(axes, names)
        axes.set_xticks(np.arange(k), [short(name, 18) for name in names], rotation=90)
        figure.colorbar(image, ax=axes, shrink=0.7)
    caption = "Of the rows that carry the label of a line, the share that carries the label of a column."
    return Picture(figure, "Labels carried together", caption, f"Heat map of {k} x {k} labels")


def _name(axes: Any, names: list[str]) -> None:
    axes.set_yticks(np.arange(len(names)), [short(name, 28) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
