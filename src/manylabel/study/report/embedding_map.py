"""What the interactive map of embeddings shows: places, labels, scores and nearest rows, as JSON holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manylabel.labels import LabelMatrix
from manylabel.metrics import TopScores
from manylabel.printable import printable
from manylabel.study.analysis.figures.embedding_plots import Layout, unit_vectors

NEAREST = 10
SCORES = 5  # of a row
SIDE = 1000  # places are whole numbers from 0 to this


def map_data(
    layout: Layout,
    embeddings: Mapping[str, NDArray[np.floating[Any]]],
    arrays: Mapping[str, Mapping[str, NDArray[Any]]],
    labels: LabelMatrix,
    names: Sequence[str],
    ink: Mapping[str, str],
) -> dict[str, Any]:
    """The map of some methods.

    Parameters
    ----------
    layout : Layout
        Places of the rows that are shown.
    embeddings : mapping of method to (n, D) array
    arrays : mapping of method to the arrays of its run
        See :meth:`manylabel.study.StudyFolder.scores`.
    labels : LabelMatrix (n, C)
    names : sequence of C str
    ink : mapping of method to colour
    """
    carried = labels.take(layout.rows).sparse()
    offsets, columns = carried.offsets.tolist(), carried.columns.tolist()
    of_row = [columns[a:b] for a, b in pairwise(offsets)]
    scores = {method: _highest(arrays[method], layout.rows) for method in layout.points}
    shown = sorted(
        {c for row in of_row for c in row}.union(*(found[0].ravel().tolist() for found in scores.values()))
    )
    place = {c: i for i, c in enumerate(shown)}
    return {
        "rows": (layout.rows + 1).tolist(),  # as people count
        "labels": [[place[c] for c in row] for row in of_row],
        "names": [printable(names[c]) for c in shown],
        "side": SIDE,
        "methods": [
            {
                "name": printable(method),
                "colour": ink[method],
                "places": _places(points),
                "nearest": _nearest(embeddings[method][layout.rows]),
                "scores": [
                    [[place[c], _short(score)] for c, score in zip(*row, strict=True)]
                    for row in zip(scores[method][0].tolist(), scores[method][1].tolist(), strict=True)
                ],
            }
            for method, points in layout.points.items()
        ],
    }


def _highest(
    arrays: Mapping[str, NDArray[Any]], rows: NDArray[np.int64]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Labels and values of the highest scores of some rows, each (n, k)."""
    if "test_scores" not in arrays:
        return arrays["test_top_labels"][rows, :SCORES], arrays["test_top_scores"][rows, :SCORES]
    top = TopScores.of(arrays["test_scores"][rows], min(SCORES, arrays["test_scores"].shape[1]))
    return np.asarray(top.labels), np.asarray(top.values)


def _places(points: NDArray[np.floating[Any]]) -> list[list[int]]:
    """Whole numbers with the proportions of the layout."""
    low = points.min(axis=0)
    extent = max(float((points.max(axis=0) - low).max()), 1e-12)
    middle = (SIDE - SIDE * (points.max(axis=0) - low) / extent) / 2
    placed: list[list[int]] = np.rint(middle + SIDE * (points - low) / extent).astype(int).tolist()
    return placed


def _nearest(embedding: NDArray[np.floating[Any]]) -> list[list[list[float]]]:
    """Positions and cosines of the nearest of the rows, the nearest first."""
    unit = unit_vectors(embedding)
    cosine = unit @ unit.T  # (n, n), at most a thousand rows
    np.fill_diagonal(cosine, -np.inf)
    nearest = np.argsort(-cosine, axis=1, kind="stable")[:, : min(NEAREST, len(unit) - 1)]
    return [[[int(j), _short(cosine[i, j])] for j in row] for i, row in enumerate(nearest)]


def _short(value: float) -> float:
    return round(float(value), 3)
