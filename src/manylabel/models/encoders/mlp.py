"""Encoders of vectors: multi-layer perceptrons, plain, residual, or on periodic embeddings of each number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from manylabel.models.inputs.augment import keep_mask
from manylabel.models.inputs.entries import EntryBatch, first_layer


def scaled_mask(n: int, p: float, like: Tensor) -> Tensor:
    """``n`` factors for dropout: 0 with probability ``p``, else ``1 / (1 - p)``; dtype and device of ``like``."""
    return keep_mask((n,), p, like.device).mul_(1 / (1 - p)).to(like.dtype)


class Dropout(nn.Module):
    """Dropout whose mask costs a quarter of a random draw per entry on a CPU.

    Parameters
    ----------
    p : float, default 0.2
        Share of entries set to zero in training; the others are scaled by ``1 / (1 - p)``.
    """

    def __init__(self, p: float = 0.2) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        return x * scaled_mask(x.numel(), self.p, x).view_as(x)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class MLP(nn.Module):
    """Blocks of Linear, ReLU and dropout, the last one included.

    Parameters
    ----------
    n_features : int
    widths : sequence of int, default (256, 512, 256)
    dropout : float, default 0.2

    Notes
    -----
    (B, n_features) -> (B, widths[-1]). The defaults are the vector encoder of Zhang and Wu, AAAI 2024. The dropout
    masks of all layers are one draw.
    """

    def __init__(
        self, n_features: int, widths: Sequence[int] = (256, 512, 256), dropout: float = 0.2
    ) -> None:
        super().__init__()
        sizes = [n_features, *widths]
        self.layers = nn.ModuleList(nn.Linear(i, o) for i, o in pairwise(sizes))
        self.widths, self.dropout, self.out_features = tuple(widths), dropout, sizes[-1]

    @property
    def first(self) -> nn.Linear:
        """The layer that sees the features."""
        return self.layers[0]  # type: ignore[return-value]

    def forward(self, x: Tensor | EntryBatch) -> Tensor:
        others = self.layers[1:]
        h = torch.relu(first_layer(x, self.first))
        if not self.training or self.dropout == 0:
            for layer in others:
                h = torch.relu(layer(h))
            return h
        sizes = [len(h) * width for width in self.widths]
        given = x.values if isinstance(x, EntryBatch) else x
        masks = torch.split(scaled_mask(sum(sizes), self.dropout, given), sizes)
        h = h * masks[0].view_as(h)
        for layer, mask, width in zip(others, masks[1:], self.widths[1:], strict=True):
            h = torch.relu(layer(h)) * mask.view(-1, width)
        return h


class ResidualMLP(nn.Module):
    """A residual network for vectors: blocks of batch norm, Linear, ReLU, dropout and Linear beside a shortcut.

    Parameters
    ----------
    n_features : int
    widths : sequence of int, default (256, 512, 512)
        Numbers between blocks, then inside of each block.
    dropout : float, default 0.2

    Notes
    -----
    (B, n_features) -> (B, widths[0]), after a last batch norm and ReLU. After the ResNet of Y. Gorishniy et al.,
    *Revisiting Deep Learning Models for Tabular Data*, NeurIPS 2021. A training step takes at least two rows.
    """

    def __init__(
        self, n_features: int, widths: Sequence[int] = (256, 512, 512), dropout: float = 0.2
    ) -> None:
        super().__init__()
        size = widths[0]
        self.first = nn.Linear(n_features, size)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm1d(size),
                nn.Linear(size, inner),
                nn.ReLU(),
                Dropout(dropout),
                nn.Linear(inner, size),
            )
            for inner in widths[1:]
        )
        self.last = nn.BatchNorm1d(size)
        self.out_features = size

    def forward(self, x: Tensor | EntryBatch) -> Tensor:
        h = first_layer(x, self.first)  # (B, widths[0])
        for block in self.blocks:
            h = h + block(h)
        return torch.relu(self.last(h))


class NumericMLP(nn.Module):
    """An MLP on an embedding of each number: sines and cosines of learnt frequencies, Linear and ReLU.

    Parameters
    ----------
    n_features : int
    widths : sequence of int, default (256, 512, 256)
    dropout : float, default 0.2
    sigma : float, default 0.1
        Standard deviation of the first frequencies, in periods per unit of a feature: the higher, the finer the
        differences between two values of a feature that are told apart from the start.
    n_frequencies : int, default 16
        Of each feature.
    dim : int, default 8
        Of the embedding of a feature.

    Notes
    -----
    (B, n_features) -> (B, widths[-1]). ``x_j`` becomes ``ReLU(W [sin(2 pi c_j x_j), cos(2 pi c_j x_j)] + b)`` with
    frequencies ``c_j`` of its own and ``W`` shared by all features: the "lite" periodic embedding of Y. Gorishniy et
    al., *On Embeddings for Numerical Features in Tabular Deep Learning*, NeurIPS 2022.
    """

    def __init__(
        self,
        n_features: int,
        widths: Sequence[int] = (256, 512, 256),
        dropout: float = 0.2,
        sigma: float = 0.1,
        n_frequencies: int = 16,
        dim: int = 8,
    ) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(torch.randn(n_features, n_frequencies) * sigma)
        self.embed = nn.Linear(2 * n_frequencies, dim)
        self.mlp = MLP(n_features * dim, widths, dropout)
        self.out_features = self.mlp.out_features

    def forward(self, x: Tensor) -> Tensor:
        angles = 2 * math.pi * x[..., None] * self.frequencies  # (B, n_features, n_frequencies)
        waves = torch.cat((angles.sin(), angles.cos()), dim=-1)  # (B, n_features, 2 n_frequencies)
        return self.mlp(torch.relu(self.embed(waves)).flatten(1))  # type: ignore[no-any-return]
