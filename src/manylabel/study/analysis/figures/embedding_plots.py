"""Figures of embeddings: test rows laid out in the plane, class heat maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from manylabel.labels import LabelMatrix
from manylabel.study.analysis.figures.drawing import (
    PALETTE,
    Picture,
    colours,
    legend,
    new_figure,
    room_for,
    short,
    styled,
    wrapped,
)
from manylabel.study.analysis.figures.heat_map import HeatMap, class_numbers
from manylabel.study.analysis.figures.plots import MOST_LABELS
from manylabel.study.threads import computing_on

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Embedding: TypeAlias = NDArray[np.floating[Any]]

GROUP_PALETTE = (*PALETTE, "#999933", "#332288", "#44AA99", "#DDCC77")
MARKERS = "os^DvPX*"
GREY = "#B8B8B8"
MOST_POINTS = 1000
MAPS = "Embeddings of the test rows"
HEAT_MAP = "Class heat map"
MOST_COLUMNS = 3
FEW_SINGLES = 0.1


@dataclass(frozen=True)
class Groups:
    """Rows that share a colour.

    Attributes
    ----------
    of_row : (n,) int array
        The group of each row, -1 for a grey one.
    names : list of str
    others : str
        What the grey rows are.
    note : str
        How rows were grouped, for the caption.
    """

    of_row: NDArray[np.int64]
    names: list[str]
    others: str
    note: str

    @classmethod
    def of(cls, labels: LabelMatrix, names: Sequence[str]) -> Groups:
        """Rows with one label by that label; where these are few, rows by their label set."""
        label = class_numbers(labels)
        share = float(np.mean(label >= 0))
        if share >= FEW_SINGLES:
            kept = _most_frequent(label, 2 * len(GROUP_PALETTE))
            note = f"{share:.0%} of them carry a single label and have its colour; the others are grey."
            return cls(
                _places(label, kept), [short(names[c], 16) for c in kept], "several labels or none", note
            )
        sets = labels.groups()[0].numpy()
        kept = _most_frequent(sets, len(PALETTE))
        titles = [_set_name(labels, int(np.flatnonzero(sets == g)[0]), names) for g in kept]
        shown = (
            f"the {len(kept)} most frequent label sets are"
            if len(kept) > 1
            else "the most frequent label set is"
        )
        note = f"Only {share:.1%} of them carry a single label, so {shown} coloured; the others are grey."
        return cls(_places(sets, kept), titles, "other label sets", note)


@dataclass(frozen=True)
class Layout:
    """Test rows in the plane.

    Attributes
    ----------
    rows : (n,) int array
        The rows that are shown, the same for every method.
    points : mapping of method to (n, 2) float array
    """

    rows: NDArray[np.int64]
    points: Mapping[str, Embedding]

    @classmethod
    def of(cls, embeddings: Mapping[str, Embedding]) -> Layout:
        """Up to a thousand rows of the embedding of each method, laid out by t-SNE."""
        number = len(next(iter(embeddings.values())))
        rows = np.random.default_rng(0).permutation(number)[:MOST_POINTS]
        return cls(rows, {method: _flat(embedding[rows]) for method, embedding in embeddings.items()})


def embedding_maps(
    embeddings: Mapping[str, Embedding],
    labels: LabelMatrix,
    names: Sequence[str],
    ink: Mapping[str, str] | None = None,
    layout: Layout | None = None,
) -> Picture:
    """The same test rows in the embedding of each method, laid out by t-SNE; ``ink`` has the colours of its titles."""
    layout = layout or Layout.of(embeddings)
    rows = layout.rows
    groups = Groups.of(labels.take(rows), names)
    texts = [groups.others, *groups.names]
    columns = max(1, min(6, len(texts), int(45 * min(len(embeddings), MOST_COLUMNS) / max(map(len, texts)))))
    with styled():
        figure, axes = _grid(embeddings, 3.6, 3.7, 0.3 + 0.18 * -(-len(texts) // columns), ink=ink)
        for axis, points in zip(axes, layout.points.values(), strict=True):
            _scatter(axis, points, groups)
        handles = axes[0].collections
        legend(figure, handles, texts, "lower center", columns, handletextpad=0.2, columnspacing=1.0)
    caption = (
        f"{len(rows)} test rows, the same for every method, laid out by t-SNE: near neighbours mean "
        f"something, distances between clouds do not. {groups.note}"
    )
    alt = f"Scatter plots of the test embedding of {', '.join(embeddings)}, coloured by label."
    return Picture(figure, MAPS, caption, alt)


def heat_maps(
    maps: Mapping[str, HeatMap],
    names: Sequence[str],
    temperature: float,
    ink: Mapping[str, str] | None = None,
) -> Picture:
    """Class heat maps of the methods, on one colour scale."""
    first = next(iter(maps.values()))
    low = min(float(heat.map.min()) for heat in maps.values())
    high = max(float(heat.map.max()) for heat in maps.values())
    ticks = [short(names[c], 12) for c in first.classes] if len(first.classes) <= MOST_LABELS else []
    titles = [f"{method}: diagonal {heat.diagonal:.3f}" for method, heat in maps.items()]
    with styled():
        figure, axes = _grid(maps, 3.6, 4.0, 0.3, titles, ink)
        for i, (axis, heat) in enumerate(zip(axes, maps.values(), strict=True)):
            image = axis.imshow(heat.map, cmap="cividis", vmin=low, vmax=high, interpolation="nearest")
            axis.set_xticks(range(len(ticks)), ticks, rotation=90)
            axis.set_yticks(range(len(ticks)), ticks if i % MOST_COLUMNS == 0 else [])
            axis.tick_params(length=0, labelsize=9 if len(ticks) <= 20 else 6)
        figure.colorbar(image, ax=axes, shrink=0.8, pad=0.02, label="softmax over classes")
    dropped = f" Left out, as no test row carries them alone: {_listed(first.dropped, names)}."
    caption = (
        "Row i: softmax over classes j of the cosine between the mean embeddings of the rows labelled i "
        f"alone and j alone, temperature {temperature:g}, mean over seeds. A brighter diagonal means better "
        f"separated classes; without any separation it would be {1 / len(first.classes):.3f}."
    )
    alt = f"Heat maps of class similarity. Mean of the diagonal: {'; '.join(titles)}."
    return Picture(figure, HEAT_MAP, caption + dropped * bool(first.dropped), alt)


def _grid(
    methods: Mapping[str, Any],
    width: float,
    height: float,
    more: float,
    titles: Sequence[str] | None = None,
    ink: Mapping[str, str] | None = None,
) -> tuple[Figure, list[Axes]]:
    """A square panel per method, titled in its colour."""
    colour = colours(list(methods)) if ink is None else ink
    columns = min(len(methods), MOST_COLUMNS)
    bands = -(-len(methods) // columns)
    texts = [wrapped(title, width) for title in titles or list(methods)]
    figure = new_figure(width * columns + 0.4, (height + room_for(texts)) * bands + more)
    axes = list(figure.subplots(bands, columns, squeeze=False).flat)
    for axis, method, title in zip(axes, methods, texts, strict=False):
        axis.set_title(title, color=colour[method], fontweight="bold")
        axis.spines[:].set_visible(False)
    for axis in axes[len(methods) :]:
        axis.remove()
    return figure, axes[: len(methods)]


def _flat(embedding: Embedding) -> Embedding:
    """Two coordinates per row: t-SNE of the unit vectors, or principal components of a handful of rows."""
    from sklearn.manifold import TSNE

    unit = unit_vectors(embedding)
    U, S, _ = np.linalg.svd(unit - unit.mean(axis=0), full_matrices=False)
    components = np.pad(U * S, ((0, 0), (0, 2)))[:, :2]
    scale = components[:, 0].std()
    if len(unit) < 30 or scale < 1e-6:  # a collapsed embedding has nothing to lay out
        return components
    start = (components / scale * 1e-4).astype(np.float32)
    layout = TSNE(init=start, perplexity=min(30.0, len(unit) / 4), max_iter=500, random_state=0)
    with computing_on(1):
        return np.asarray(layout.fit_transform(unit))


def unit_vectors(embedding: Embedding) -> NDArray[np.float32]:
    """Rows of length 1; those of length 0 stay."""
    rows = np.asarray(embedding, dtype=np.float32)
    unit: NDArray[np.float32] = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return unit


def _scatter(axis: Axes, points: Embedding, groups: Groups) -> None:
    grey = points[groups.of_row < 0]
    axis.scatter(grey[:, 0], grey[:, 1], s=7, color=GREY, alpha=0.5, linewidths=0, label=groups.others)
    for i, name in enumerate(groups.names):
        ours = points[groups.of_row == i]
        marker = MARKERS[(i + i // len(GROUP_PALETTE)) % len(MARKERS)]
        colour = GROUP_PALETTE[i % len(GROUP_PALETTE)]
        axis.scatter(ours[:, 0], ours[:, 1], s=16, color=colour, marker=marker, linewidths=0, label=name)
    axis.set_xticks([])
    axis.set_yticks([])


def _most_frequent(groups: NDArray[np.int64], most: int) -> list[int]:
    """The numbers from 0 on that occur most often, ascending."""
    found, counts = np.unique(groups[groups >= 0], return_counts=True)
    return sorted(found[np.argsort(-counts, kind="stable")][:most].tolist())


def _places(groups: NDArray[np.int64], kept: Sequence[int]) -> NDArray[np.int64]:
    """Position in ``kept``, -1 where it is not there."""
    place = {group: i for i, group in enumerate(kept)}
    return np.array([place.get(group, -1) for group in groups.tolist()], dtype=np.int64)


def _set_name(labels: LabelMatrix, row: int, names: Sequence[str]) -> str:
    columns = labels.take(np.array([row])).sparse().columns.tolist()
    return short(" + ".join(names[c] for c in columns), 72) or "no label"


def _listed(labels: Sequence[int], names: Sequence[str], most: int = 12) -> str:
    text = ", ".join(short(names[c], 60) for c in labels[:most])
    return text if len(labels) <= most else f"{text} and {len(labels) - most} more"
