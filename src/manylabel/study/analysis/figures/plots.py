"""Figures of training and of labels: learning curves, F1 per label."""

from __future__ import annotations

import math
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
Array: TypeAlias = NDArray[np.float64]

MOST_LABELS = 40
MOST_BARS = 4  # methods side by side
MARKERS = "os^DvPXp"
MOST_COLUMNS = 4
PANEL, AXES = 2.7, 2.1  # inches


def learning_curves(histories: Mapping[str, Mapping[int, History]], chance: float = math.nan) -> Picture:
    """mAP on validation rows and loss against epoch, a column per method and stage.

    Parameters
    ----------
    histories : method -> seed -> entries of history.jsonl
        Without entries for methods that have no epochs; they keep their colours for the other pictures.
    chance : float, optional
        mAP of random scores, the mean share of rows that carry a label: a dotted line.
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
        for top, _ in pairs if chance == chance else ():
            top.axhline(chance, color=INK, linewidth=0.8, linestyle=":")
        _share_heights([top for top, _ in pairs])
        dashed = any("loss" in e["monitor"] for runs in histories.values() for h in runs.values() for e in h)
        _legend_of_losses(figure, dashed, chance)
    caption = (
        "Thin lines are seeds, thick lines their mean. Losses of different stages are different functions: "
        "compare their course, not their height. A validation loss is drawn where it is the training loss on other "
        "rows."
    )
    drawn = dict.fromkeys(method for method, _ in panels)
    alt = f"Learning curves of {', '.join(drawn)}: validation mAP and loss against epoch for each stage."
    return Picture(figure, "Learning curves", caption, alt)


def label_scores(
    results: Results[str], names: Sequence[str], positives: Sequence[int], n_rows: int
) -> Picture:
    """F1 per label, best label on top: bars of a few methods side by side, or dots of many on one line.

    Parameters
    ----------
    results : Results
    names : sequence of C str
    positives : sequence of C int
        Test rows that carry each label; of many labels an even choice by these is shown.
    n_rows : int
        Test rows. A tick stands at the F1 of predicting a label for every row, ``2 s / (1 + s)`` for its share s.
    """
    values = {method: results.per_label(method, "f1") for method in results.groups}
    shown = _shown_labels(np.mean([mean for mean, _ in values.values()], axis=0), np.asarray(positives))
    several = len(values) > MOST_BARS
    with styled():
        figure = new_figure(7.0, 1.4 + (0.27 if several else 0.13 * (1 + len(values))) * len(shown))
        axes = figure.subplots()
        of_shown = {method: (mean[shown], np.nan_to_num(sd[shown])) for method, (mean, sd) in values.items()}
        handles = (_dots if several else _bars)(axes, of_shown)
        share = np.asarray(positives)[shown] / n_rows
        always = axes.plot(2 * share / (1 + share), range(len(shown)), "|", color=INK, markersize=9, zorder=4)
        axes.set_yticks(range(len(shown)), [f"{short(names[c])} ({positives[c]})" for c in shown])
        axes.set_ylim(len(shown) - 0.4, -0.6)  # the best on top
        axes.set_xlim(0, 1)
        axes.set_xlabel(f"F1 on test rows, {results.protocol} protocol")
        axes.grid(axis="both" if several else "x")
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
        legend(
            figure, [*handles, *always], [*results.groups, "label predicted for every row"], "upper center"
        )
    return Picture(figure, "F1 per label", *_said_of_labels(results.groups, len(shown), len(names)))


def _said_of_labels(methods: Sequence[str], n_shown: int, n_labels: int) -> tuple[str, str]:
    """Caption, and words for those who cannot see it."""
    chosen = "" if n_shown == n_labels else f" {n_shown} of {n_labels} labels, evenly chosen by support."
    caption = (
        "Labels from the highest mean F1 to the lowest, with the number of test rows that carry them."
        f"{chosen} Whiskers are the spread over seeds; a tick is what a label reaches that is predicted for every row."
    )
    return caption, f"F1 per label for {', '.join(methods)}."


def _bars(axes: Axes, values: Mapping[str, tuple[Array, Array]]) -> list[Any]:
    """Bars of the methods, side by side at each label."""
    colour, height, handles = colours(list(values)), 0.8 / len(values), []
    for i, (method, (mean, spread)) in enumerate(values.items()):
        y = np.arange(len(mean)) + (i - (len(values) - 1) / 2) * height
        handles.append(axes.barh(y, mean, height * 0.92, color=colour[method]))
        axes.errorbar(mean, y, xerr=spread, fmt="none", ecolor=INK, elinewidth=0.8, alpha=0.7)
    return handles


def _dots(axes: Axes, values: Mapping[str, tuple[Array, Array]]) -> list[Any]:
    """A sign per method on the line of each label."""
    colour, handles = colours(list(values)), []
    for i, (method, (mean, spread)) in enumerate(values.items()):
        y, ink = range(len(mean)), colour[method]
        sign = MARKERS[i % len(MARKERS)]
        handles += axes.plot(
            mean, y, sign, color=ink, markersize=5.5, alpha=0.85, markeredgewidth=0, zorder=3
        )
        axes.errorbar(mean, y, xerr=spread, fmt="none", ecolor=ink, elinewidth=1.0, alpha=0.5)
    return handles


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


def _legend_of_losses(figure: Figure, dashed: bool, chance: float) -> None:
    from matplotlib.lines import Line2D

    shown = [(Line2D([], [], color=INK), "training loss")]
    if dashed:
        shown.append((Line2D([], [], color=INK, linestyle="--"), "validation loss"))
    if chance == chance:
        shown.append((Line2D([], [], color=INK, linestyle=":"), f"mAP of random scores: {chance:.3f}"))
    handles, names = zip(*shown, strict=True)
    legend(figure, handles, names, "lower center")


def _shown_labels(mean: NDArray[np.float64], positives: NDArray[np.int64]) -> NDArray[np.int64]:
    by_support = np.argsort(-positives, kind="stable")
    by_support = by_support[positives[by_support] > 0]
    if len(by_support) > MOST_LABELS:
        by_support = by_support[np.linspace(0, len(by_support) - 1, MOST_LABELS).round().astype(int)]
    return by_support[np.argsort(-mean[by_support], kind="stable")]
