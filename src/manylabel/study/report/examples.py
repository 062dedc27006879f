"""Rows of a page of examples: which lie nearest to a row, which labels were got most wrong, and how a row looks."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from manylabel.data.rows import Features, Images, TableRows, Texts
from manylabel.labels import LabelMatrix
from manylabel.study.analysis.figures.drawing import short

Array: TypeAlias = "np.ndarray[Any, Any]"
MOST_CHARACTERS = 320  # of a text
MOST_CELLS = 6  # of a row of a table
SIDE = 112  # pixels of a picture
_NAMES = 12  # labels of a row
_MISTAKES = 6  # of each sort


@dataclass(frozen=True)
class Tag:
    """A label of a row, and whether it is one that is looked for."""

    name: str
    shared: bool


@dataclass(frozen=True)
class Shown:
    """A row as a page shows it.

    Attributes
    ----------
    number : int
        Of the row, counted from 1.
    text : str
        A text, or the first cells of a row of a table; "" for other rows.
    picture : str
        A small one that a page can hold; "" for rows that are none.
    tags : tuple of Tag
        Its labels.
    note : str
        What is said of it beside its labels, such as how near it is.
    """

    number: int
    text: str
    picture: str
    tags: tuple[Tag, ...]
    note: str = ""


@dataclass(frozen=True)
class Mistake:
    """A label of a row that was got wrong.

    Attributes
    ----------
    row, label : int
    probability : float
    carried : bool
        Whether the row carries the label, to which a low probability was given.
    """

    row: int
    label: int
    probability: float
    carried: bool


@dataclass(frozen=True)
class Mistakes:
    """What a method was most sure of and wrong about: labels that rows do not carry, and that they do."""

    claimed: list[Shown]
    missed: list[Shown]


class RowGallery:
    """Shows rows with their labels.

    Parameters
    ----------
    X : Features
    Y : LabelMatrix
    names : sequence of str
        Of the labels.
    """

    def __init__(self, X: Features, Y: LabelMatrix, names: Sequence[str]) -> None:
        self.X, self.Y, self.names = X, Y, names

    def labels(self, row: int) -> tuple[int, ...]:
        """The labels that a row carries."""
        return tuple(self.Y.take(np.array([row])).sparse().columns.tolist())

    def shown(self, row: int, looked_for: Sequence[int] = (), note: str = "") -> Shown:
        """A row; of its labels those that are looked for stand out."""
        one = self.X.take(np.array([row]))
        text = _text(one)
        picture = thumbnail(one.batch(slice(0, 1))[0]) if isinstance(one, Images) else ""
        labels = self.labels(row)
        tags = [Tag(short(self.names[c], 60), c in looked_for) for c in labels[:_NAMES]]
        if len(labels) > _NAMES:
            tags.append(Tag(f"and {len(labels) - _NAMES} more", False))
        return Shown(row + 1, text, picture, tuple(tags), note)


def nearest_rows(Z: Array, queries: Array, k: int) -> tuple[Array, Array]:
    """The k other rows of the highest cosine with each query, and these cosines.

    Parameters
    ----------
    Z : (n, H) array
    queries : (q,) int array
    k : int

    Returns
    -------
    rows : (q, k) int array
        Fewer columns where there are fewer other rows; ties go to the row of the lowest number.
    cosines : (q, k) float array
    """
    unit = np.asarray(Z, dtype=np.float32)
    unit = unit / np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    S = unit[queries] @ unit.T  # (q, n)
    S[np.arange(len(queries)), queries] = -np.inf
    rows = np.argsort(-S, axis=1, kind="stable")[:, : min(k, len(Z) - 1)]
    return rows, np.take_along_axis(S, rows, axis=1)


def surest_mistakes(scores: Array, Y: LabelMatrix, most: int) -> tuple[list[Mistake], list[Mistake]]:
    """What a model was most sure of and wrong about, at most one label of a row.

    Parameters
    ----------
    scores : (n, n_labels) array
        Probabilities.
    Y : LabelMatrix (n, n_labels)
        Unknown entries are no mistakes.
    most : int
        Of each sort.

    Returns
    -------
    claimed : list of Mistake
        Labels that rows do not carry, the most probable first.
    missed : list of Mistake
        Labels that rows carry, the least probable first.
    """
    carried = Y.dense().numpy() >= 0.5
    known = Y.known()
    hidden = np.zeros_like(carried) if known is None else ~known.numpy()
    of_others = np.where(carried | hidden, -np.inf, scores)
    of_own = np.where(carried & ~hidden, -np.asarray(scores), -np.inf)
    return (
        [Mistake(r, c, float(scores[r, c]), False) for r, c in _highest(of_others, most)],
        [Mistake(r, c, float(scores[r, c]), True) for r, c in _highest(of_own, most)],
    )


def mistakes_of(gallery: RowGallery, scores: Array | None) -> Mistakes | None:
    """The surest mistakes of scores of the rows of a gallery; None of scores that were not kept."""
    if scores is None:
        return None
    claimed, missed = surest_mistakes(scores, gallery.Y, _MISTAKES)
    return Mistakes(
        [_mistaken(gallery, each) for each in claimed], [_mistaken(gallery, each) for each in missed]
    )


def _mistaken(gallery: RowGallery, mistake: Mistake) -> Shown:
    name = gallery.names[mistake.label]
    return gallery.shown(mistake.row, [mistake.label], f"{name}: {mistake.probability:.3f}")


def _highest(values: Array, most: int) -> list[tuple[int, int]]:
    """Row and column of the highest values of different rows; those of minus infinity are none."""
    if not values.size:
        return []
    best = values.argmax(axis=1)
    highest = values[np.arange(len(values)), best]
    rows = np.argsort(-highest, kind="stable")[:most]
    return [(int(row), int(best[row])) for row in rows if np.isfinite(highest[row])]


def drawn_queries(Y: LabelMatrix, most: int) -> Array:
    """Rows drawn once for all methods and reports, with a label if there are such; ascending."""
    drawn = np.random.default_rng(0).permutation(len(Y))
    labelled = (Y.row_counts() > 0).numpy()[drawn]
    return np.sort(np.concatenate([drawn[labelled], drawn[~labelled]])[:most])


def thumbnail(picture: Any) -> str:
    """A picture (channels, height, width) of numbers from 0 to 255, as a small one that a page can hold.

    A PNG whose pixels can be seen where it was tiny, else a JPEG, which takes a fifth of the room.
    """
    from PIL import Image

    array = picture.detach().cpu().float().clamp(0, 255).round().byte().permute(1, 2, 0).numpy()
    image = Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
    tiny = max(image.size) < SIDE // 2
    scale = SIDE / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    image = image.resize(size, Image.Resampling.NEAREST if tiny else Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    form = "png" if tiny else "jpeg"
    image.save(buffer, form, quality=85)
    return f"data:image/{form};base64," + base64.b64encode(buffer.getvalue()).decode()


def _text(one: Features) -> str:
    """The text of a single row."""
    if isinstance(one, Texts):
        return short_text(one.values[0])
    if isinstance(one, TableRows):
        cells = [(name, next(iter(one.columns[name].written(stored)))) for name, stored in one.values.items()]
        return short_text("; ".join(f"{n}: {c}" for n, c in cells[:MOST_CELLS] if c))
    return ""


def short_text(text: str) -> str:
    """A text, cut where it is long."""
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"
