"""Pictures of a report: how they look, learning curves, F1 per label."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from manylabel import files
from manylabel.errors import missing_extra
from manylabel.study.statistics import Results, per_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

History: TypeAlias = "Sequence[Mapping[str, Any]]"

# Okabe and Ito's palette: told apart by colour-blind readers
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#882255", "#000000")
INK, FAINT = "#222222", "#E4E4E4"
MOST_LABELS = 40
MOST_COLUMNS = 4

STYLE: Any = {
    "font.size": 9.0,
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "axes.labelcolor": INK,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "text.color": INK,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "legend.frameon": False,
    "grid.color": FAINT,
    "figure.dpi": 130.0,
    "svg.hashsalt": "manylabel",  # the same study gives the same file
}


@dataclass(frozen=True)
class Picture:
    """A picture and what it shows, in words."""

    figure: Figure
    title: str
    caption: str
    alt: str

    def save(self, path: Path) -> None:
        """Write it in the format of the ending, png or svg."""
        metadata, buffer = {"Date": None} if path.suffix == ".svg" else {}, io.BytesIO()
        with styled():
            self.figure.savefig(buffer, format=path.suffix[1:], metadata=metadata)
        files.write(path, buffer.getvalue())

    def data_uri(self) -> str:
        """The picture as an SVG that a page can hold."""
        buffer = io.BytesIO()
        with styled():
            self.figure.savefig(buffer, format="svg", metadata={"Date": None})
        return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()


def require_matplotlib() -> None:
    """Raise a ManyLabelError that says how to install it where it is missing."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise missing_extra("the report", "matplotlib", "track")


def colours(methods: Sequence[str]) -> dict[str, str]:
    """One colour per method, the same in every picture."""
    return {method: PALETTE[i % len(PALETTE)] for i, method in enumerate(methods)}


def learning_curves(histories: Mapping[str, Mapping[int, History]]) -> Picture:
    """mAP on validation rows and loss against epoch, a column per method and stage.

    Parameters
    ----------
    histories : method -> seed -> entries of history.jsonl
    """
    from matplotlib.ticker import MaxNLocator

    colour = colours(list(histories))
    panels = [(method, stage) for method, runs in histories.items() for stage in _stages(runs)]
    with styled():
        figure, pairs = _panels(len(panels))
        for i, ((method, stage), (top, bottom)) in enumerate(zip(panels, pairs, strict=True)):
            runs = [[e for e in history if e["stage"] == stage] for history in histories[method].values()]
            top.set_title(f"{method}: {stage}", color=colour[method], fontweight="bold")
            _curves(top, runs, lambda e: e["monitor"].get("map"), colour[method])
            _curves(bottom, runs, lambda e: e["loss"], colour[method])
            _curves(bottom, runs, lambda e: e["monitor"].get("loss"), colour[method], dashed=True)
            if i % MOST_COLUMNS == 0:
                top.set_ylabel("validation mAP")
                bottom.set_ylabel("loss")
            bottom.set_xlabel("epoch")
            bottom.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        _share_heights([top for top, _ in pairs])
        _legend_of_losses(figure)
    caption = (
        "Thin lines are seeds, thick lines their mean. Losses of different stages are different functions: "
        "compare their course, not their height."
    )
    alt = f"Learning curves of {', '.join(histories)}: validation mAP and loss against epoch for each stage."
    return Picture(figure, "Learning curves", caption, alt)


def label_bars(results: Results, names: Sequence[str], positives: Sequence[int]) -> Picture:
    """F1 per label, methods side by side, best label on top; of many labels an even choice by support."""
    values = {method: per_label(results, method, "f1") for method in results.methods}
    shown = _shown_labels(np.mean([mean for mean, _ in values.values()], axis=0), np.asarray(positives))
    colour, height = colours(results.methods), 0.8 / len(results.methods)
    with styled():
        figure = new_figure(7.0, 1.1 + 0.13 * len(shown) * (1 + len(results.methods)))
        axes = figure.subplots()
        places = np.arange(len(shown))
        for i, (method, (mean, spread)) in enumerate(values.items()):
            y = places + (i - (len(values) - 1) / 2) * height
            axes.barh(y, mean[shown], height * 0.92, color=colour[method], label=method)
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
        figure.legend(loc="outside upper center", ncols=len(values))
    chosen = (
        "" if len(shown) == len(names) else f" {len(shown)} of {len(names)} labels, evenly chosen by support."
    )
    caption = (
        "Labels from the highest mean F1 to the lowest, with the number of test rows that carry them."
        f"{chosen} Whiskers are the spread over seeds."
    )
    alt = f"Bars of F1 per label for {', '.join(results.methods)}."
    return Picture(figure, "F1 per label", caption, alt)


@contextmanager
def styled() -> Iterator[None]:
    import matplotlib

    with matplotlib.rc_context(STYLE):
        yield


def new_figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _panels(n: int) -> tuple[Figure, list[tuple[Axes, Axes]]]:
    """Pairs of axes, one above the other, in bands of a few columns."""
    columns = min(n, MOST_COLUMNS)
    bands = -(-n // columns)
    figure = new_figure(max(3.2, 2.7 * columns), 0.4 + 4.2 * bands)
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
    figure.legend(handles, ["training loss", "validation loss"], loc="outside lower center", ncols=2)


def _shown_labels(mean: NDArray[np.float64], positives: NDArray[np.int64]) -> NDArray[np.int64]:
    by_support = np.argsort(-positives, kind="stable")
    by_support = by_support[positives[by_support] > 0]
    if len(by_support) > MOST_LABELS:
        by_support = by_support[np.linspace(0, len(by_support) - 1, MOST_LABELS).round().astype(int)]
    return by_support[np.argsort(-mean[by_support], kind="stable")]


def short(name: str, most: int = 28) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"
