"""How far a sample's feature lies from the Gaussian of each of its labels, for KMCL's reconstruction.

With many dimensions the distances are large and nearly alike, and the loss lives on their differences: they are
summed in float64.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from manylabel.losses.second_derivatives import gradients_of, twice_differentiable
from manylabel.losses.softmax.tiles import rows_at_once

_TILE = 1 << 16  # numbers in a tile


def isotropic_distances(f: Tensor, mu: Tensor, v: Tensor) -> Tensor:
    """``sum_d (f_id - mu_ik)^2 / v_ik`` of features (B, D), means and variances (B, C) -> (B, C) float64."""
    centre = f.mean(1, keepdim=True, dtype=torch.float64)  # (B, 1)
    spread = (f - centre.to(f.dtype)).square().sum(1, keepdim=True, dtype=torch.float64)
    return (spread + f.shape[1] * (centre - mu).square()) / v


def anisotropic_distances(f: Tensor, mu: Tensor, v: Tensor, dense: bool) -> Tensor:
    """``sum_d (f_id - mu_ikd)^2 / v_ikd``, features (B, D), means and variances (B, D, C) -> (B, C) float64.

    ``dense`` is the equation by autograd; otherwise tiles of rows with a gradient of their own.
    """
    if dense:
        return _in_one_piece(f, mu, v)
    return _Tiled.apply(f, mu, v)  # type: ignore[no-any-return, no-untyped-call]


def _in_one_piece(f: Tensor, mu: Tensor, v: Tensor) -> Tensor:
    return ((f.double()[:, :, None] - mu).square() / v).sum(1)


def _again(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    """The gradient as part of a graph."""
    return tuple(gradients_of(_in_one_piece, ctx.saved_tensors, g))


class _Tiled(torch.autograd.Function):
    """``(f (B, D), mu (B, D, C), v (B, D, C)) -> (B, C)``; the tiles are made again for the gradient."""

    @staticmethod
    def forward(ctx: Any, f: Tensor, mu: Tensor, v: Tensor) -> Tensor:
        ctx.save_for_backward(f, mu, v)
        tiles = zip(*(torch.split(x, _height(mu)) for x in (f, mu, v)), strict=True)
        return torch.cat([_shift(f, mu).square_().div_(v).sum(1) for f, mu, v in tiles])

    @staticmethod
    @twice_differentiable(_again)
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, ...]:
        inputs = ctx.saved_tensors
        gradients = tuple(torch.empty_like(x) for x in inputs)
        height = _height(inputs[1])
        for *tile, slope in zip(*(torch.split(x, height) for x in (*inputs, *gradients, g)), strict=True):
            f, mu, v, by_f, by_mu, by_v = tile
            shift = _shift(f, mu)  # (rows, D, C)
            pull = (shift / v).mul_(slope[:, None])
            by_f.copy_(pull.sum(2).mul_(2))
            by_v.copy_(shift.mul_(pull).div_(v).neg_())
            by_mu.copy_(pull.mul_(-2))
        return gradients


def _shift(f: Tensor, mu: Tensor) -> Tensor:
    return f.double()[:, :, None] - mu


def _height(mu: Tensor) -> int:
    return rows_at_once(mu[0].numel(), _TILE) if len(mu) else 1
