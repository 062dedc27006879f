"""The class heat map: how close the classes lie to each other in an embedding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix


@dataclass(frozen=True)
class HeatMap:
    """A class heat map.

    Attributes
    ----------
    classes : tuple of int
        Labels that some row carries alone, in label order: the rows and columns of the map.
    dropped : tuple of int
        Labels that no row carries alone.
    cosine : (K, K) array
        Cosine similarity of the class means.
    map : (K, K) array
        Softmax of each row of ``cosine / temperature``.
    """

    classes: tuple[int, ...]
    dropped: tuple[int, ...]
    cosine: NDArray[np.float64]
    map: NDArray[np.float64]

    @property
    def diagonal(self) -> float:
        """Mean of the map's diagonal; 1 / K where the classes cannot be told apart."""
        return float(self.map.diagonal().mean())


def class_heat_map(
    embedding: NDArray[np.floating[Any]], labels: LabelMatrix, temperature: float = 1.0
) -> HeatMap:
    """How separate the classes are in an embedding.

    Parameters
    ----------
    embedding : (n, H) array
    labels : LabelMatrix (n, C)
    temperature : float, default 1
        Lower values show smaller differences.

    Notes
    -----
    e_c is the mean embedding of the rows whose only label is c, and

        map_ij = exp(cos(e_i, e_j) / temperature) / sum_k exp(cos(e_i, e_k) / temperature).

    A more diagonal map means better separated classes.

    Raises
    ------
    ManyLabelError
        If the temperature is not positive.

    References
    ----------
    P. Zhang and M. Wu, Multi-Label Supervised Contrastive Learning, AAAI 2024, Figure 3.
    """
    if not temperature > 0:
        raise ManyLabelError("class_heat_map", "a temperature above 0", str(temperature))
    label = only_label(labels)
    classes = np.unique(label[label >= 0])
    dropped = np.setdiff1d(np.arange(labels.n_labels), classes)
    vectors = np.asarray(embedding, dtype=np.float64)
    means = (
        np.stack([vectors[label == c].mean(axis=0) for c in classes]) if len(classes) else vectors[:0]
    )  # K x H
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    cosine = means @ means.T
    weights = np.exp((cosine - 1) / temperature)  # cosine <= 1: no overflow
    weights /= weights.sum(axis=1, keepdims=True)
    return HeatMap(tuple(classes.tolist()), tuple(dropped.tolist()), cosine, weights)


def only_label(labels: LabelMatrix) -> NDArray[np.int64]:
    """The label of each row that carries exactly one, -1 elsewhere, (n,)."""
    entries = labels.sparse()
    single = labels.row_counts() == 1
    label = np.full(len(labels), -1, dtype=np.int64)
    label[single.numpy()] = entries.columns[single[entries.rows]].numpy()
    return label


def mean_heat_map(maps: Sequence[HeatMap]) -> HeatMap:
    """The mean over embeddings of the same rows, such as those of several seeds."""
    first = maps[0]
    cosine, weights = (np.mean([getattr(m, part) for m in maps], axis=0) for part in ("cosine", "map"))
    return HeatMap(first.classes, first.dropped, cosine, weights)
