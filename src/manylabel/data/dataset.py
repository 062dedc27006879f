"""What a data set is: rows of features and labels, a test part, and where they come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from manylabel.labels import LabelMatrix

if TYPE_CHECKING:
    import scipy.sparse as sp

Features: TypeAlias = "Tensor | sp.csr_matrix | list[str]"
Kind: TypeAlias = Literal["vectors", "images", "text"]


@dataclass(frozen=True)
class Rows:
    """Features and labels of the same rows.

    Attributes
    ----------
    X : features of n rows
        Float32 tensor (n, n_features), SciPy CSR matrix (n, n_features), uint8 tensor (n, channels, height,
        width), or list of n str.
    Y : LabelMatrix (n, n_labels)
    """

    X: Features
    Y: LabelMatrix

    def __len__(self) -> int:
        return len(self.Y)

    def take(self, rows: Any) -> Rows:
        """The rows at the given positions, in that order; a boolean mask takes the rows that it marks."""
        index = np.asarray(rows)
        if index.dtype == bool:
            index = np.flatnonzero(index)
        if isinstance(self.X, list):
            return Rows([self.X[i] for i in index.tolist()], self.Y.take(index))
        X = self.X[torch.as_tensor(index)] if isinstance(self.X, Tensor) else self.X[index]
        return Rows(X, self.Y.take(index))


@dataclass(frozen=True)
class DataSet:
    """A multi-label data set with its split and its origin.

    Attributes
    ----------
    name : str
    kind : "vectors", "images" or "text"
    train, test : Rows
        The official parts, or those of the rule in ``split``. ``train`` holds the validation rows.
    label_names : tuple of n_labels str
    feature_names : tuple of n_features str, or None
    validation_rows : int array of positions in ``train``, or None
        Published validation rows; None where none were published.
    split, source, licence : str
        One sentence each.
    digest : str
        sha256 over features, labels, label names and split: two runs with one digest saw the same data.
    remarks : tuple of str
        What a reader of results should know (constant labels, repeated rows, ...).
    """

    name: str
    kind: Kind
    train: Rows
    test: Rows
    label_names: tuple[str, ...]
    feature_names: tuple[str, ...] | None = None
    validation_rows: np.ndarray[Any, Any] | None = None
    split: str = ""
    source: str = ""
    licence: str = ""
    digest: str = ""
    remarks: tuple[str, ...] = ()
