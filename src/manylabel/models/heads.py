"""Heads: what stands on an encoder during pretraining and is removed afterwards."""

from __future__ import annotations

from itertools import pairwise

from torch import nn

from manylabel.models.encoders import Dropout


class PlainHead(nn.Sequential):
    """Linear, ReLU and Linear, as wide as the representation in between.

    Parameters
    ----------
    in_features : int
        Size of the representation.
    out_features : int, default 256
        Size of the embedding that enters the loss.

    Notes
    -----
    (B, in_features) -> (B, out_features), not normalised. Weights start Xavier-uniform, as in the code released with
    the study of Audibert, Gauffre and Amini, 2024.
    """

    def __init__(self, in_features: int, out_features: int = 256) -> None:
        layers = nn.Linear(in_features, in_features), nn.Linear(in_features, out_features)
        for layer in layers:
            nn.init.xavier_uniform_(layer.weight)
        super().__init__(layers[0], nn.ReLU(), layers[1])
        self.out_features = out_features


class ProjectionHead(nn.Sequential):
    """Blocks of Linear, BatchNorm1d, ReLU and dropout, then a Linear layer to the space of the loss.

    Parameters
    ----------
    in_features : int
        Size of the representation.
    out_features : int, default 256
        Size of the embedding that enters the loss.
    n_hidden : int, default 1
        Hidden blocks.
    dropout : float, default 0.1

    Notes
    -----
    (B, in_features) -> (B, out_features), not normalised. The hidden width is half of ``in_features`` where that is at
    least ``out_features``, else ``out_features``: 2048-1024-256 on a ResNet-50, 256-256-256 on the vector encoder
    (Zhang and Wu, AAAI 2024).
    """

    def __init__(
        self, in_features: int, out_features: int = 256, n_hidden: int = 1, dropout: float = 0.1
    ) -> None:
        hidden = in_features // 2 if in_features >= 2 * out_features else out_features
        sizes = [in_features] + [hidden] * n_hidden
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU(), Dropout(dropout)]
        super().__init__(*layers, nn.Linear(sizes[-1], out_features))
        self.out_features = out_features
