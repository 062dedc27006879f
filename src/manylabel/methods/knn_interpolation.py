"""k-nearest-neighbour interpolation: a method's probabilities averaged with the labels of the nearest training rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

from manylabel import files
from manylabel.data import Rows
from manylabel.data.rows import Features
from manylabel.labels import LabelMatrix
from manylabel.methods.recipe import NeighbourSettings
from manylabel.methods.scorer import Scorer
from manylabel.models import Preprocessor, fit_preprocessor, preprocessor_like
from manylabel.training import checkpoint
from manylabel.training.checkpoint import prefixed, under

type_name = "neighbours"

_ROWS = 1024
_NO_SAY = 1e-6  # the rounding of weights that sum to 1


def beside_neighbours(scorer: Scorer, train: Rows, settings: NeighbourSettings) -> NeighbourScorer:
    """A scorer that was trained on rows, beside the nearest of them."""
    inputs = fit_preprocessor(train.X)
    usual = "features" if inputs.n_dims == 1 else "representation"
    if (settings.among or usual) == "representation":
        return NeighbourScorer(scorer, None, scorer.embed(train.X), *_matrices(train.Y), settings)
    rows = inputs.matrix(train.X, train.X.is_sparse)
    return NeighbourScorer(scorer, inputs, rows, *_matrices(train.Y), settings)


class NeighbourScorer:
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
    ``p(x) = (1 - w) p_scorer(x) + w sum_i softmax_i(cos(x, x_i) / T) y_i`` over the k training rows x_i nearest to x by
    cosine; of a label, over those of them on which it is known, and where there are none, ``p_scorer`` stands alone.
    After X. Su, R. Wang and X. Dai, *Contrastive Learning-Enhanced Nearest Neighbor Mechanism for Multi-Label
    Text Classification*, ACL 2022, whose neighbours are found in the learnt representation. There, rows that trained
    the network lie closer to their labels than new ones do; among the features as they are, all are alike.
    """

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

        self.scorer, self.inputs, self.settings = scorer, inputs, settings
        self.rows, self.labels, self.unknown = rows, labels, unknown
        k = min(settings.k, rows.shape[0])
        self.search = NearestNeighbors(n_neighbors=k, metric="cosine", algorithm="brute").fit(rows)

    def scores(self, X: Features) -> np.ndarray[Any, Any]:
        """Probabilities, (n, n_labels) float32."""
        w, alone = self.settings.weight, self.scorer.scores(X)
        votes = self.votes(X)
        mean: np.ndarray[Any, Any] = (1 - w) * alone + w * votes
        if self.unknown is not None:
            mean = np.where(np.isnan(votes), alone, mean)
        return mean.astype(np.float32)

    def votes(self, X: Features) -> np.ndarray[Any, Any]:
        """What the neighbours alone say, (n, n_labels) float32; NaN where the label is unknown on all of them."""
        near = self.scorer.embed(X) if self.inputs is None else self.inputs.matrix(X, sp.issparse(self.rows))
        blocks = [self._votes(near[start : start + _ROWS]) for start in range(0, near.shape[0], _ROWS)]
        return np.concatenate(blocks) if blocks else np.zeros((0, self.labels.shape[1]), np.float32)

    def embed(self, X: Features) -> np.ndarray[Any, Any]:
        """The representation of the scorer, (n, H) float32."""
        return self.scorer.embed(X)

    def save(self, path: str | Path) -> None:
        """Write the training rows and their labels, which scoring needs, to one file, and the scorer beside it."""
        rows = sp.csr_matrix(self.rows)
        tensors = prefixed("rows", _parts(rows)) | prefixed("labels", _parts(self.labels))
        if self.inputs is not None:
            tensors |= prefixed("inputs", self.inputs.state_dict())
        if self.unknown is not None:
            tensors |= prefixed("unknown", _parts(self.unknown))
        meta = {
            "type": type_name,
            "inputs": None if self.inputs is None else self.inputs.meta(),
            "dense": not sp.issparse(self.rows),
            "shapes": [rows.shape, self.labels.shape],
            "settings": self.settings.model_dump(),
        }
        file = files.as_path(path, "save")
        checkpoint.save(file, tensors, meta)
        self.scorer.save(_inner(file))

    @classmethod
    def load(cls, path: Path, load: Callable[[Path], Scorer]) -> NeighbourScorer:
        """Read what :meth:`save` wrote, the scorer with ``load``."""
        tensors, meta = checkpoint.load(path)
        inputs = None if meta["inputs"] is None else preprocessor_like(meta["inputs"])
        if inputs is not None:
            inputs.load_state_dict(under("inputs", tensors))
        of_rows, of_labels = meta["shapes"]
        rows, labels = _read(tensors, "rows", of_rows), _read(tensors, "labels", of_labels)
        unknown = _read(tensors, "unknown", of_labels) if under("unknown", tensors) else None
        settings = NeighbourSettings.model_validate(meta["settings"])
        rows = rows.toarray() if meta["dense"] else rows
        return cls(load(_inner(path)), inputs, rows, labels, unknown, settings)

    def _votes(self, rows: Any) -> np.ndarray[Any, Any]:
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
        return np.where(said, votes / np.where(said, known, 1), np.nan).astype(np.float32)


def _matrices(Y: LabelMatrix) -> tuple[Any, Any]:
    """Labels and their unknown entries as CSR matrices (n, n_labels), None where all are known."""
    return _matrix(Y), _matrix(Y.unknown) if Y.n_unknown else None


def _matrix(Y: LabelMatrix) -> Any:
    """Labels as a CSR matrix (n, n_labels)."""
    entries = Y.sparse().to("cpu")
    values = torch.ones(len(entries.columns)) if entries.weights is None else entries.weights.float()
    parts = (values.numpy(), entries.columns.numpy(), entries.offsets.numpy())
    return sp.csr_matrix(parts, shape=Y.shape)


_PARTS = ("data", "indices", "indptr")


def _read(tensors: dict[str, torch.Tensor], name: str, shape: list[int]) -> Any:
    parts = under(name, tensors)
    return sp.csr_matrix(tuple(parts[part].numpy() for part in _PARTS), shape=tuple(shape))


def _parts(matrix: Any) -> dict[str, torch.Tensor]:
    return {part: torch.from_numpy(getattr(matrix, part)) for part in _PARTS}


def _inner(path: Path) -> Path:
    return path.with_name(f"{path.stem}.alone{path.suffix}")
