"""Networks that make the probabilities of all labels themselves and bring their own loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn


class LabelNetwork(nn.Module, ABC):
    """From standardised feature vectors (B, n_features) to the probabilities of n_labels labels.

    Parameters
    ----------
    n_features, n_labels : int
    per_row : int, default 1
        Numbers that the largest tensor of the network holds for a row.

    Attributes
    ----------
    rows_at_once : int
        Rows to score at once: at most 1024, and no tensor above 64 MiB.
    takes_unknown : bool
        Whether :meth:`loss` takes labels of which some are unknown, as NaN.
    """

    takes_unknown: ClassVar[bool] = False

    def __init__(self, n_features: int, n_labels: int, per_row: int = 1) -> None:
        super().__init__()
        self.n_features, self.n_labels = n_features, n_labels
        self.rows_at_once = max(1, min(1024, 2**24 // per_row))

    @abstractmethod
    def loss(self, x: Tensor, Y: Tensor) -> Tensor:
        """The training loss of rows ``x`` (B, n_features) with labels ``Y`` (B, n_labels); a scalar."""

    @abstractmethod
    def probabilities(self, x: Tensor) -> Tensor:
        """Probabilities of the labels, (B, n_labels), the same each time in evaluation mode."""

    @abstractmethod
    def represent(self, x: Tensor) -> Tensor:
        """Representations of the rows, (B, H)."""
