"""The pictures of a report: learning curves, F1 per label, maps of the embedding, class heat maps."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from manylabel.errors import missing_extra
from manylabel.labels import LabelMatrix
from manylabel.study.heat_map import HeatMap, only_label
from manylabel.study.statistics import Results, per_label

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

History: TypeAlias = "Sequence[Mapping[str, Any]]"

# Okabe and Ito's palette: told apart by colour-blind readers
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#882255", "#000000")
LABEL_PALETTE = (*PALETTE, "#999933", "#332288", "#44AA99", "#DDCC77")
MARKERS = "os^DvPX*"
INK, GREY, FAINT = "#222222", "#B8B8B8", "#E4E4E4"
MOST_LABELS = 40
MOST_POINTS = 1000

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

    def data_uri(self) -> str:
        """The picture as an SVG that a page can hold."""
        buffer = io.BytesIO()
        with _styled():
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
    colour = colours(list(histories))
    columns = [(method, stage) for method, runs in histories.items() for stage in _stages(runs)]
    with _styled():
        figure = _figure(max(3.2, 2.7 * len(columns)), 4.6)
        axes = figure.subplots(2, len(columns), squeeze=False, sharex="col")
        for (method, stage), (top, bottom) in zip(columns, axes.T, strict=True):
            runs = [[e for e in history if e["stage"] == stage] for history in histories[method].values()]
            top.set_title(f"{method}: {stage}", color=colour[method], fontweight="bold")
            _curves(top, runs, lambda e: e["monitor"].get("map"), colour[method])
            _curves(bottom, runs, lambda e: e["loss"], colour[method])
            _curves(bottom, runs, lambda e: e["monitor"].get("loss"), colour[method], dashed=True)
            bottom.set_xlabel("epoch")
            bottom.xaxis.get_major_locator().set_params(integer=True)
        _share_heights(axes[0])
        axes[0, 0].set_ylabel("validation mAP")
        axes[1, 0].set_ylabel("loss")
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
    with _styled():
        figure = _figure(7.0, 1.1 + 0.13 * len(shown) * (1 + len(results.methods)))
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
        axes.set_yticks(places, [f"{_short(names[c])} ({positives[c]})" for c in shown])
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


def embedding_maps(
    embeddings: Mapping[str, NDArray[np.floating[Any]]], labels: LabelMatrix, names: Sequence[str]
) -> Picture:
    """The same test rows in the embedding of each method by t-SNE; rows with one label have its colour."""
    rows = np.random.default_rng(0).permutation(len(labels))[:MOST_POINTS]
    label = only_label(labels)[rows]
    kept = _most_frequent(label, len(LABEL_PALETTE) * 2)
    with _styled():
        figure = _figure(3.6 * len(embeddings) + 0.2, 4.3 + 0.17 * (len(kept) // 6))
        axes = figure.subplots(1, len(embeddings), squeeze=False)[0]
        for axis, (method, embedding) in zip(axes, embeddings.items(), strict=True):
            _scatter(axis, _flat(embedding[rows]), label, kept, names)
            axis.set_title(method, color=colours(list(embeddings))[method], fontweight="bold")
        handles, texts = axes[0].get_legend_handles_labels()
        columns = min(len(texts), 3 * len(embeddings))
        figure.legend(
            handles, texts, loc="outside lower center", ncols=columns, handletextpad=0.2, columnspacing=1.0
        )
    single = np.mean(label >= 0)
    caption = (
        f"{len(rows)} test rows, the same for every method, laid out by t-SNE: near neighbours mean "
        f"something, distances between clouds do not. {single:.0%} of them carry a single "
        "label and have its colour; the others are grey."
    )
    alt = f"Scatter plots of the test embedding of {', '.join(embeddings)}, coloured by label."
    return Picture(figure, "Embeddings of the test rows", caption, alt)


def heat_maps(maps: Mapping[str, HeatMap], names: Sequence[str], temperature: float) -> Picture:
    """Class heat maps of the methods, on one colour scale."""
    first = next(iter(maps.values()))
    low = min(float(m.map.min()) for m in maps.values())
    high = max(float(m.map.max()) for m in maps.values())
    ticks = [_short(names[c], 12) for c in first.classes] if len(first.classes) <= MOST_LABELS else []
    with _styled():
        figure = _figure(3.6 * len(maps) + 0.7, 4.2)
        axes = figure.subplots(1, len(maps), squeeze=False)[0]
        for axis, (method, heat) in zip(axes, maps.items(), strict=True):
            image = axis.imshow(heat.map, cmap="cividis", vmin=low, vmax=high, interpolation="nearest")
            title = f"{method}: diagonal {heat.diagonal:.3f}"
            axis.set_title(title, color=colours(list(maps))[method], fontweight="bold")
            axis.set_xticks(range(len(ticks)), ticks, rotation=90)
            axis.set_yticks(range(len(ticks)), ticks if axis is axes[0] else [])
            axis.tick_params(length=0, labelsize=9 if len(ticks) <= 20 else 6)
            axis.spines[:].set_visible(False)
        figure.colorbar(image, ax=list(axes), shrink=0.8, pad=0.02, label="softmax over classes")
    even = f"{1 / max(1, len(first.classes)):.3f}"
    dropped = (
        f" Left out, as no test row carries them alone: {_listed(first.dropped, names)}."
        if first.dropped
        else ""
    )
    caption = (
        "Row i: softmax over classes j of the cosine between the mean embeddings of the rows labelled i "
        f"alone and j alone, temperature {temperature:g}, mean over seeds. A brighter diagonal means better "
        f"separated classes; without any separation it would be {even}.{dropped}"
    )
    diagonals = ", ".join(f"{method} {heat.diagonal:.3f}" for method, heat in maps.items())
    return Picture(
        figure,
        "Class heat map",
        caption,
        f"Heat maps of class similarity; mean of the diagonal: {diagonals}.",
    )


@contextmanager
def _styled() -> Iterator[None]:
    import matplotlib

    with matplotlib.rc_context(STYLE):
        yield


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


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


def _most_frequent(label: NDArray[np.int64], most: int) -> list[int]:
    found, counts = np.unique(label[label >= 0], return_counts=True)
    return sorted(found[np.argsort(-counts, kind="stable")][:most].tolist())


def _flat(embedding: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Two coordinates per row: t-SNE of the unit vectors, or principal components of a handful of rows."""
    from sklearn.manifold import TSNE

    unit = np.asarray(embedding, dtype=np.float32)
    unit = unit / np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    U, S, _ = np.linalg.svd(unit - unit.mean(axis=0), full_matrices=False)
    components = np.pad(U * S, ((0, 0), (0, 2)))[:, :2]
    scale = components[:, 0].std()
    if len(unit) < 30 or scale < 1e-6:  # a collapsed embedding has nothing to lay out
        return components
    start = (components / scale * 1e-4).astype(np.float32)
    layout = TSNE(init=start, perplexity=min(30.0, len(unit) / 4), random_state=0)
    return np.asarray(layout.fit_transform(unit))


def _scatter(
    axis: Axes,
    points: NDArray[np.floating[Any]],
    label: NDArray[np.int64],
    kept: Sequence[int],
    names: Sequence[str],
) -> None:
    others = ~np.isin(label, kept)
    axis.scatter(
        points[others, 0],
        points[others, 1],
        s=7,
        color=GREY,
        alpha=0.5,
        linewidths=0,
        label="several labels or none",
    )
    for i, c in enumerate(kept):
        ours = label == c
        marker = MARKERS[(i + i // len(LABEL_PALETTE)) % len(MARKERS)]
        colour = LABEL_PALETTE[i % len(LABEL_PALETTE)]
        axis.scatter(
            points[ours, 0],
            points[ours, 1],
            s=16,
            color=colour,
            marker=marker,
            linewidths=0,
            label=_short(names[c], 16),
        )
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_visible(False)


def _short(name: str, most: int = 28) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


def _listed(labels: Sequence[int], names: Sequence[str], most: int = 12) -> str:
    text = ", ".join(names[c] for c in labels[:most])
    return text if len(labels) <= most else f"{text} and {len(labels) - most} more"
