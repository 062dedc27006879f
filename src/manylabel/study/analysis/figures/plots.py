"""Figures of training and of labels: learning curves, F1 per label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from manylabel.study.analysis.figures.drawing import (
    INK,
    Picture,
    colours,
    legend,
    new_figure,
    room_for,
    short,
    styled,
    wrapped,
)
from manylabel.study.analysis.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

History: TypeAlias = "Sequence[Mapping[str, Any]]"

MOST_LABELS = 40
MOST_COLUMNS = 4
PANEL, AXES = 2.7, 2.1  # inches


def learning_curves(histories: Mapping[str, Mapping[int, History]]) -> Picture:
    """mAP on validation rows and loss against epoch, a column per method and stage.

    Parameters
    ----------
    histories : method -> seed -> entries of history.jsonl
        Without entries for methods that have no epochs; they keep their colours for the other pictures.
    """
    from matplotlib.ticker import MaxNLocator

    colour = colours(list(histories))
    panels = [(method, stage) for method, runs in histories.items() for stage in _stages(runs)]
    titles = [wrapped(f"{method}: {stage}", AXES) for method, stage in panels]
    with styled():
        figure, pairs = _panels(len(panels), more=room_for(titles))
        for i, ((method, stage), (top, bottom)) in enumerate(zip(panels, pairs, strict=True)):
            runs = [[e for e in history if e["stage"] == stage] for history in histories[method].values()]
            top.set_title(titles[i], color=colour[method], fontweight="bold")
            _curves(top, runs, lambda e: e["monitor"].get("map"), colour[method])
            _curves(bottom, runs, lambda e: e["loss"], colour[method])
            _curves(bottom, runs, lambda e: e["monitor"].get("loss"), colour[method], dashed=True)
            if i % MOST_COLUMNS == 0:
                top.set_ylabel("validation mAP")
                bottom.set_ylabel("loss")
            bottom.set_xlabel("epoch")
            bottom.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
            if len(epochs := {entry["epoch"] for run in runs for entry in run}) == 1:
                bottom.set_xticks(list(epochs))
        _share_heights([top for top, _ in pairs])
        _legend_of_losses(figure)
    caption = (
        "Thin lines are seeds, thick lines their mean. Losses of different stages are different functions: "
        "compare their course, not their height."
    )
    drawn = dict.fromkeys(method for method, _ in panels)
    alt = f"Learning curves of {', '.join(drawn)}: validation mAP and loss against epoch for each stage."
    return Picture(figure, "Learning curves", caption, alt)


def label_bars(results: Results[str], names: Sequence[str], positives: Sequence[int]) -> Picture:
    """F1 per label, methods side by side, best label on top; of many labels an even choice by support."""
    values = {method: results.per_label(method, "f1") for method in results.groups}
    shown = _shown_labels(np.mean([mean for mean, _ in values.values()], axis=0), np.asarray(positives))
    colour, height = colours(results.groups), 0.8 / len(results.groups)
    with styled():
        figure = new_figure(7.0, 1.1 + 0.13 * len(shown) * (1 + len(results.groups)))
        axes = figure.subplots()
        places = np.arange(len(shown))
        handles = []
        for i, (method, (mean, spread)) in enumerate(values.items()):
            y = places + (i - (len(values) - 1) / 2) * height
            bars = axes.barh(y, mean[shown], height * 0.92, color=colour[method])
            handles.append(bars)
            axes.errorbar(
                mean[shown],
                y,
                xerr=np.nan_to_num(spread[shown]),
                fmt="none",
                ecolor=INK,
                elinewidth=0.8,
                alpha=0.7,
            )
        axes.set_yticks(places, [f"{short(names[c])} ({positives[c]})" for c in shown])
        axes.invert_yaxis()
        axes.margins(y=0.01)
        axes.set_xlim(0, 1)
        axes.set_xlabel(f"F1 on test rows, {results.protocol} protocol")
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
        legend(figure, handles, results.groups, "upper center")
    chosen = (
        "" if len(shown) == len(names) else f" {len(shown)} of {len(names)} labels, evenly chosen by support."
    )
    caption = (
        "Labels from the highest mean F1 to the lowest, with the number of test rows that carry them."
        f"{chosen} Whiskers are the spread over seeds."
    )
    alt = f"Bars of F1 per label for {', '.join(results.groups)}."
    return Picture(figure, "F1 per label", caption, alt)


def _panels(n: int, more: float) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """Pairs of axes, one above the other, in bands of a few columns."""
    columns = min(n, MOST_COLUMNS)
    bands = -(-n // columns)
    figure = new_figure(max(3.2, PANEL * columns), 0.4 + (4.2 + more) * bands)
    axes = figure.subplots(2 * bands, columns, squeeze=False)
    pairs = [(axes[2 * band, c], axes[2 * band + 1, c]) for band in range(bands) for c in range(columns)]
    for top, bottom in pairs:
        top.sharex(bottom)
        top.tick_params(labelbottom=False)
    for pair in pairs[n:]:
        for axis in pair:
            axis.remove()
    return figure, pairs[:n]


def _stages(runs: Mapping[int, History]) -> list[str]:
    return list(dict.fromkeys(entry["stage"] for history in runs.values() for entry in history))


def _curves(axis: Axes, runs: Sequence[History], value: Any, colour: str, dashed: bool = False) -> None:
    """A thin line per run and a thick one for their mean over the epochs that all have."""
    series = [{e["epoch"]: value(e) for e in run if value(e) is not None} for run in runs]
    series = [s for s in series if s]
    style = "--" if dashed else "-"
    for points in series if len(series) > 1 else ():
        axis.plot(list(points), list(points.values()), style, color=colour, linewidth=0.7, alpha=0.4)
    common = sorted(set.intersection(*(set(s) for s in series))) if series else []
    if common:
        mean = [np.mean([s[e] for s in series]) for e in common]
        axis.plot(common, mean, style, color=colour, linewidth=1.8, marker="o" if len(common) == 1 else None)
    axis.grid(axis="y")


def _share_heights(axes: Sequence[Axes]) -> None:
    drawn = [axis for axis in axes if axis.lines]
    if drawn:
        low, high = min(a.get_ylim()[0] for a in drawn), max(a.get_ylim()[1] for a in drawn)
        for axis in drawn:
            axis.set_ylim(low, high)


def _legend_of_losses(figure: Figure) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=INK, linestyle=s) for s in ("-", "--")]
    legend(figure, handles, ["training loss", "validation loss"], "lower center")


def _shown_labels(mean: NDArray[np.float64], positives: NDArray[np.int64]) -> NDArray[np.int64]:
    by_support = np.argsort(-positives, kind="stable")
    by_support = by_support[positives[by_support] > 0]
    if len(by_support) > MOST_LABELS:
        by_support = by_support[np.linspace(0, len(by_support) - 1, MOST_LABELS).round().astype(int)]
    return by_support[np.argsort(-mean[by_support], kind="stable")]
