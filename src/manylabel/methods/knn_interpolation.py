"""k-nearest-neighbour interpolation: a method's probabilities averaged with the labels of the nearest training rows."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp

from manylabel.data import Rows
from manylabel.data.rows import Features
from manylabel.data.splits import stratified
from manylabel.labels import LabelMatrix
from manylabel.methods.centroid_votes import CentroidScorer, beside_centroids
from manylabel.methods.part import Opened, Part, Scorer, restored_inputs, tensors_of
from manylabel.methods.recipe import NeighbourSettings
from manylabel.methods.votes import Array, BesideNeighbours, label_csr, matrix_of, matrix_tensors
from manylabel.models import Preprocessor, fit_preprocessor
from manylabel.training.checkpoint import prefixed, under

_ROWS = 1024
_SEED = 0  # of the rows drawn where there are very many
_NO_SAY = 1e-6  # the rounding of weights that sum to 1


def beside_neighbours(
    scorer: Scorer, train: Rows, settings: NeighbourSettings
) -> NeighbourScorer | CentroidScorer:
    """A scorer that was trained on rows, beside the nearest of them or the centroids of their labels."""
    if settings.among == "centroids":
        return beside_centroids(scorer, train, settings)
    inputs = fit_preprocessor(train.X)
    usual = "features" if inputs.n_dims == 1 else "representation"
    train = _compared_with(train, settings.most_rows)
    if (settings.among or usual) == "representation":
        return NeighbourScorer(scorer, None, scorer.embed(train.X), *_matrices(train.Y), settings)
    rows = inputs.matrix(train.X, train.X.is_sparse)
    return NeighbourScorer(scorer, inputs, rows, *_matrices(train.Y), settings)


class NeighbourScorer(BesideNeighbours):
    """The probabilities of a scorer, averaged with the labels of the nearest training rows.

    Parameters
    ----------
    scorer : Scorer
    inputs : Preprocessor or None
        Standardises rows as the training rows were; None where rows are near in the representation of ``scorer``.
    rows : (n, n_features) float32 array or CSR matrix, or (n, H) float32 array
        Training rows, standardised where they are dense, or their representations.
    labels : (n, n_labels) CSR matrix
    unknown : (n, n_labels) CSR matrix or None
        1 where a label is unknown on a training row; None where all are known.
    settings : NeighbourSettings

    Notes
    -----
    Over the k training rows x_i nearest to x by cosine ::

        p(x) = (1 - w) p_scorer(x) + w sum_i softmax_i(cos(x, x_i) / T) y_i

    of a label, over those of them on which it is known, and where there are none, ``p_scorer`` stands alone. With a
    weight for each row ::

        w(x) = min over the labels with p_scorer(x) >= sure of what the neighbours say, 1 where there is no such label

    so that neighbours speak as loud as they agree with what the scorer is sure of; labels on which the neighbours know
    nothing are left out of it. After Cheng et al., *Multi-label text classification with debiased neighbours*, arXiv
    2408.03202, 2024.
    After X. Su, R. Wang and X. Dai, *Contrastive Learning-Enhanced Nearest Neighbor Mechanism for Multi-Label
    Text Classification*, ACL 2022, whose neighbours are found in the learnt representation. There, rows that trained
    the network lie closer to their labels than new ones do; among the features as they are, all are alike.
    """

    part_type: ClassVar[str] = "neighbours"

    def __init__(
        self,
        scorer: Scorer,
        inputs: Preprocessor | None,
        rows: Any,
        labels: Any,
        unknown: Any,
        settings: NeighbourSettings,
    ) -> None:
        from sklearn.neighbors import NearestNeighbors

        super().__init__(scorer, inputs, settings)
        self.rows, self.labels, self.unknown = rows, labels, unknown
        k = min(settings.k, rows.shape[0])
        self.search = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute").fit(rows)

    @property
    def n_labels(self) -> int:
        return int(self.labels.shape[1])

    def joined(self, X: Features, Y: LabelMatrix) -> Self:
        """The same with further rows among the neighbours, without training.

        Parameters
        ----------
        X : Features of m rows
        Y : LabelMatrix (m, n_labels + new)
            Columns beyond those that are there are labels never seen, which are unknown on the rows that are there.
        """
        before, (n, n_labels) = self.labels, self.labels.shape
        new = Y.n_labels - n_labels
        labels, unknown = label_csr(Y), label_csr(Y.unknown)
        hidden = sp.csr_matrix((n, n_labels)) if self.unknown is None else self.unknown
        hidden = sp.hstack([hidden, np.ones((n, new))]) if new else hidden
        before = sp.hstack([before, sp.csr_matrix((n, new))]) if new else before
        all_unknown = sp.vstack([hidden, unknown]).tocsr().astype(np.float32)
        return type(self)(
            self.scorer,
            self.inputs,
            _stacked(self.rows, self.near(X, sp.issparse(self.rows))),
            sp.vstack([before, labels]).tocsr().astype(np.float32),
            all_unknown if all_unknown.nnz else None,
            self.settings,
        )

    def votes(self, X: Features) -> Array:
        """What the neighbours alone say, (n, n_labels) float32; NaN where the label is unknown on all of them."""
        near = self.near(X, sp.issparse(self.rows))
        blocks = [self._votes(near[start : start + _ROWS]) for start in range(0, near.shape[0], _ROWS)]
        return np.concatenate(blocks) if blocks else np.zeros((0, self.labels.shape[1]), np.float32)

    def part(self) -> Part:
        """The training rows and their labels, which scoring needs, around the part of the scorer."""
        tensors = prefixed("rows", matrix_tensors(self.rows)) | prefixed(
            "labels", matrix_tensors(self.labels)
        )
        if self.unknown is not None:
            tensors |= prefixed("unknown", matrix_tensors(self.unknown))
        meta = {
            "inputs": None if self.inputs is None else self.inputs.meta(),
            "shapes": {"rows": list(self.rows.shape), "labels": list(self.labels.shape)},
            "settings": self.settings.model_dump(mode="json"),
        }
        if self.inputs is not None:
            tensors |= tensors_of(self.inputs)
        return Part(self.part_type, meta, tensors, {"alone": self.scorer.part()})

    @classmethod
    def restore(cls, opened: Opened) -> Self:
        """The scorer of a part."""
        meta, tensors = opened.meta, opened.tensors
        inputs = None if meta["inputs"] is None else restored_inputs(meta["inputs"], tensors)
        rows, labels = (matrix_of(under(name, tensors), meta["shapes"][name]) for name in ("rows", "labels"))
        if labels.shape[0] != rows.shape[0] or labels.shape[1] < opened.scorers["alone"].n_labels:
            raise ValueError(f"{rows.shape[0]} rows with labels of shape {labels.shape}")
        entries = under("unknown", tensors)
        unknown = matrix_of(entries, meta["shapes"]["labels"]) if entries else None
        settings = NeighbourSettings.model_validate(meta["settings"])
        return cls(opened.scorers["alone"], inputs, rows, labels, unknown, settings)

    def _votes(self, rows: Any) -> Array:
        distances, nearest = self.search.kneighbors(rows)
        shares = np.exp((distances[:, :1] - distances) / self.settings.temperature)  # the nearest comes first
        shares /= shares.sum(axis=1, keepdims=True)
        offsets = np.arange(0, nearest.size + 1, nearest.shape[1])
        weights = sp.csr_matrix(
            (shares.ravel(), nearest.ravel(), offsets), (len(nearest), self.labels.shape[0])
        )
        votes = np.asarray((weights @ self.labels).toarray(), dtype=np.float32)
        if self.unknown is None:
            return votes
        known = 1 - (weights @ self.unknown).toarray()  # what those who know the label weigh
        said = known > _NO_SAY
        shares = np.minimum(votes / np.where(said, known, 1), 1)  # a small rest of 1 is rounded coarsely
        return np.where(said, shares, np.nan).astype(np.float32)


def _compared_with(train: Rows, most: int) -> Rows:
    """The rows that have a say, in their order: all, or so many of them with every label at its share."""
    if len(train) <= most:
        return train
    drawn = np.flatnonzero(stratified(train.Y, most / len(train), _SEED))
    if len(drawn) > most:
        drawn = np.sort(np.random.default_rng(_SEED).choice(drawn, most, replace=False))
    return train.take(drawn)


def _matrices(Y: LabelMatrix) -> tuple[Any, Any]:
    """Labels and their unknown entries as CSR matrices (n, n_labels), None where all are known."""
    return label_csr(Y), label_csr(Y.unknown) if Y.n_unknown else None


def _stacked(first: Any, second: Any) -> Any:
    """Rows of one layout, one below the other."""
    return sp.vstack([first, second]).tocsr() if sp.issparse(first) else np.concatenate([first, second])
