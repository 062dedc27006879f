"""A scorer beside neighbours: how both are averaged, and the matrices that neighbours are made of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, TypeAlias

import numpy as np
import scipy.sparse as sp
import torch

from manylabel.data.rows import Features
from manylabel.labels import LabelMatrix
from manylabel.methods.part import Scorer
from manylabel.methods.recipe import NeighbourSettings
from manylabel.models import Preprocessor
from manylabel.training.checkpoint import Tensors

Array: TypeAlias = "np.ndarray[Any, Any]"


class BesideNeighbours(ABC):
    """The probabilities of a scorer, averaged with what neighbours say; these write :meth:`votes`.

    Parameters
    ----------
    scorer : Scorer
    inputs : Preprocessor or None
        Standardises rows as the training rows were; None where rows are near in the representation of ``scorer``.
    settings : NeighbourSettings
    """

    def __init__(self, scorer: Scorer, inputs: Preprocessor | None, settings: NeighbourSettings) -> None:
        self.scorer, self.inputs, self.settings = scorer, inputs, settings

    @property
    def embeds_features(self) -> bool:
        return self.scorer.embeds_features

    def scores(self, X: Features) -> Array:
        """Probabilities, (n, n_labels) float32."""
        return averaged(self.scorer.scores(X), self.votes(X), self.settings)

    def embed(self, X: Features) -> Array:
        """The representation of the scorer, (n, H) float32."""
        return self.scorer.embed(X)

    @abstractmethod
    def votes(self, X: Features) -> Array:
        """What the neighbours alone say, (n, n_labels) float32; NaN where they know nothing."""

    def near(self, X: Features, is_sparse: bool) -> Any:
        """What rows are compared in, (n, n_features) array or CSR matrix."""
        return self.scorer.embed(X) if self.inputs is None else self.inputs.matrix(X, is_sparse)


def averaged(alone: Array, votes: Array, settings: NeighbourSettings) -> Array:
    """The mean of what a scorer and what neighbours say, each with its weight.

    Parameters
    ----------
    alone : (n, n_labels - new) array
        Probabilities of the scorer, which has never seen the last ``new`` labels: there neighbours decide alone.
    votes : (n, n_labels) array
        NaN where neighbours know nothing: there the scorer decides alone.
    settings : NeighbourSettings

    Returns
    -------
    (n, n_labels) float32 array
    """
    seen = alone.shape[1]
    w: Any = settings.weight
    if w == "per_row":
        sure = (alone >= settings.sure) & ~np.isnan(votes[:, :seen])
        w = np.where(sure, votes[:, :seen], 1).min(axis=1, keepdims=True)  # (n, 1)
    mean: Array = np.nan_to_num(votes, nan=0.0).astype(np.float32, copy=False)
    mean[:, :seen] = np.where(np.isnan(votes[:, :seen]), alone, (1 - w) * alone + w * votes[:, :seen])
    return mean


def label_csr(Y: LabelMatrix) -> Any:
    """Labels as a CSR matrix (n, n_labels)."""
    entries = Y.sparse().to("cpu")
    values = torch.ones(len(entries.columns)) if entries.weights is None else entries.weights.float()
    parts = (values.numpy(), entries.columns.numpy(), entries.offsets.numpy())
    return sp.csr_matrix(parts, shape=Y.shape)


_PARTS = ("data", "indices", "indptr")


def matrix_tensors(matrix: Any) -> Tensors:
    """A CSR matrix as its three arrays, an array as itself."""
    if not sp.issparse(matrix):
        return {"dense": torch.from_numpy(matrix)}
    return {part: torch.from_numpy(getattr(matrix, part)) for part in _PARTS}


def matrix_of(tensors: Tensors, shape: list[int]) -> Any:
    """What :func:`matrix_tensors` took apart.

    Raises
    ------
    ValueError
        For entries outside the shape, which a search would follow.
    """
    if "dense" in tensors:
        return tensors["dense"].numpy().reshape(shape)
    matrix = sp.csr_matrix(tuple(tensors[part].numpy() for part in _PARTS), shape=tuple(shape))
    matrix.check_format(full_check=True)
    return matrix
