"""Nearest centroids: a method's probabilities averaged with the cosines between a row and the rows of each label."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp

from manylabel.data import Rows
from manylabel.data.rows import Features
from manylabel.methods.part import Opened, Part, Scorer, restored_inputs, tensors_of
from manylabel.methods.recipe import NeighbourSettings
from manylabel.methods.votes import Array, BesideNeighbours, label_csr, matrix_of, matrix_tensors
from manylabel.models import Preprocessor, fit_preprocessor
from manylabel.training.checkpoint import prefixed, under

_ROWS = 65_536  # read at a time


def beside_centroids(scorer: Scorer, train: Rows, settings: NeighbourSettings) -> CentroidScorer:
    """A scorer that was trained on rows, beside the centroids of their labels."""
    from sklearn.preprocessing import normalize

    inputs = _inputs(train.X)
    starts = range(0, len(train), _ROWS)
    sums = reduce(add, (_sums(scorer, train.take(slice(i, i + _ROWS)), inputs) for i in starts))
    return CentroidScorer(scorer, inputs, normalize(sums).T, settings)


def _sums(scorer: Scorer, rows: Rows, inputs: Preprocessor | None) -> Any:
    """What the rows of each label sum up to, (n_labels, n_features) array or CSR matrix."""
    from sklearn.preprocessing import normalize

    near = scorer.embed(rows.X) if inputs is None else inputs.matrix(rows.X, rows.X.is_sparse)
    labels = label_csr(rows.Y)  # (n, n_labels)
    if rows.weights is not None:
        labels = labels.multiply(rows.weights if rows.weights.ndim == 2 else rows.weights[:, None]).tocsr()
    return labels.T.astype(np.float32) @ normalize(near)


def _inputs(X: Features) -> Preprocessor | None:
    """What makes rows comparable; None where they are near in the representation."""
    if X.counts_like:  # all columns: rare words tell rare labels, and each costs no more than its entries
        return fit_preprocessor(X, "tfidf", most_features=X.shape[1])
    inputs = fit_preprocessor(X)
    return inputs if inputs.n_dims == 1 else None


class CentroidScorer(BesideNeighbours):
    """The probabilities of a scorer, averaged with the cosines between a row and the centroids of the labels.

    Parameters
    ----------
    scorer : Scorer
    inputs : Preprocessor or None
        Standardises rows as the training rows were; None where rows are near in the representation of ``scorer``.
    centroids : (n_features, n_labels) float32 array or CSR or CSC matrix
        Columns of length 1, or of zeros where no training row carries the label.
    settings : NeighbourSettings
        Of which ``weight`` and ``sure`` count.

    Notes
    -----
    With rows x of length 1, TF-IDF where they are sparse counts or texts, else standardised ::

        p(x) = (1 - w) p_scorer(x) + w max(0, cos(x, sum of the training rows that carry the label))

    A row or entry counts by its weight, a soft label by its value, an unknown entry not. One product of matrices,
    nothing is trained or searched, so that very many labels cost little; after J. Rocchio, *Relevance Feedback in
    Information Retrieval*, in: The SMART Retrieval System, 1971.
    """

    part_type: ClassVar[str] = "centroids"

    def __init__(
        self, scorer: Scorer, inputs: Preprocessor | None, centroids: Any, settings: NeighbourSettings
    ) -> None:
        super().__init__(scorer, inputs, settings)
        self.centroids = centroids.tocsr() if sp.issparse(centroids) else np.ascontiguousarray(centroids)

    @property
    def n_labels(self) -> int:
        return int(self.centroids.shape[1])

    def scores(self, X: Features) -> Array:
        """Probabilities, (n, n_labels) float32."""
        return self.votes(X) if self.settings.weight == 1.0 else super().scores(X)

    def votes(self, X: Features) -> Array:
        """Cosines with the centroids, 0 where they are negative, (n, n_labels) float32."""
        from sklearn.preprocessing import normalize

        is_sparse = sp.issparse(self.centroids)
        near = self.near(X, is_sparse)
        if not near.shape[0]:  # scikit-learn refuses no rows
            return np.zeros((0, self.n_labels), np.float32)
        cosines = normalize(near) @ self.centroids  # (n, n_labels)
        cosines = cosines.toarray() if is_sparse else cosines
        return np.clip(cosines, 0, 1, out=cosines)  # type: ignore[no-any-return]

    def part(self) -> Part:
        """The centroids around the part of the scorer."""
        tensors = prefixed("centroids", matrix_tensors(self.centroids))
        meta = {
            "inputs": None if self.inputs is None else self.inputs.meta(),
            "shape": list(self.centroids.shape),
            "settings": self.settings.model_dump(mode="json"),
        }
        if self.inputs is not None:
            tensors |= tensors_of(self.inputs)
        return Part(self.part_type, meta, tensors, {"alone": self.scorer.part()})

    @classmethod
    def restore(cls, opened: Opened) -> Self:
        """The scorer of a part.

        Raises
        ------
        ValueError
            If its centroids are of other features or labels than its inputs and its scorer.
        """
        meta, tensors, alone = opened.meta, opened.tensors, opened.scorers["alone"]
        inputs = None if meta["inputs"] is None else restored_inputs(meta["inputs"], tensors)
        centroids = matrix_of(under("centroids", tensors), meta["shape"])
        n_features, n_labels = centroids.shape
        if n_labels != alone.n_labels or (inputs is not None and inputs.shape != (n_features,)):
            raise ValueError(f"centroids of shape {centroids.shape} beside {alone.n_labels} labels")
        return cls(alone, inputs, centroids, NeighbourSettings.model_validate(meta["settings"]))
