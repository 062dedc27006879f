"""Decoupled softmax: the denominator of a positive holds itself and the negatives, and no other positive.

    L_i = sum_p w_ip [ log( exp(s_ip / tau) + sum_{a : w_ia = 0} exp(s_ia / tau) ) - s_ip / tau ]

One logsumexp over the negatives of an anchor, then one log-add for each pair, by autograd. Streamed, a block of anchors
is computed at a time and again in the backward pass, so that no B x N is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from manylabel.losses.precision import computing, working_dtype
from manylabel.losses.second_derivatives import gradients_of, twice_differentiable
from manylabel.losses.softmax.accumulator import LN2
from manylabel.losses.softmax.dense import own_pairs
from manylabel.losses.softmax.pair_weights import PairWeights
from manylabel.losses.softmax.tiles import Sides, rows_at_once, tile_shape, tiles, unit

_BLOCK = 1 << 18  # pairs
_CUT = 40.0  # beyond it log(1 + e^x) is x to the last digit, also in float64


def contrast_decoupled(
    x: Tensor,
    keys: Tensor | None,
    weights: PairWeights,
    temperature: float | Tensor,
    normalize: Sides,
    self_offset: int | None,
    multiplicity: Tensor | None,
    uniform: bool,
    stream: bool,
) -> tuple[Tensor, Tensor]:
    """Values ``L_i`` and weight totals of every anchor, both (B,); see :func:`manylabel.losses.softmax.contrast`."""
    assert keys is not None
    assert multiplicity is None
    dtype = working_dtype(x)
    z = unit(x.to(dtype)) if normalize.anchors else x.to(dtype)
    k = unit(keys.to(dtype)) if normalize.candidates else keys.to(dtype)
    pairs = _Pairs(weights, temperature, self_offset)
    if not stream:
        return pairs.values(z, k, slice(0, len(z)))
    return _InBlocks.apply(z, k, pairs)  # type: ignore[no-any-return, no-untyped-call]


@dataclass
class _Pairs:
    weights: PairWeights
    temperature: float | Tensor
    self_offset: int | None

    def values(self, z: Tensor, k: Tensor, rows: slice, stream: bool = False) -> tuple[Tensor, Tensor]:
        """Values and weight totals of some anchors, (rows,), from their rows (rows, D) and all candidates (N, D)."""
        weights, columns = self.weights, slice(0, len(k))
        s, w = z @ k.T / self.temperature, self._weights(rows, k, stream)  # (rows, N)
        logits, out = s, w > 0
        if weights.negatives is not None:
            logits = s + weights.negatives.tile(rows, columns, k.dtype) * LN2
        if self.self_offset is not None:
            own = own_pairs(len(z), len(k), self.self_offset + rows.start, z.device)
            w, out = w.masked_fill(own, 0), out | own
        if weights.left_out is not None:
            out = out | weights.left_out.tile(rows, columns, k.dtype)
        negatives = logits.masked_fill(out, -1e30).logsumexp(1, keepdim=True)  # (rows, 1)
        return (w * softplus(negatives - s, threshold=_CUT)).sum(1), w.sum(1)

    def _weights(self, rows: slice, k: Tensor, stream: bool) -> Tensor:
        """Weights of some anchors, (rows, N); streamed by tiles, as the labels of all candidates would be C x N."""
        width = tile_shape(len(k), len(k), k.device)[1] if stream else max(len(k), 1)
        parts = [self.weights.tile(rows, columns, k.dtype) for columns in tiles(0, len(k), width)]
        return torch.cat(parts, 1) if parts else k.new_zeros(rows.stop - rows.start, 0)


def _again(ctx: Any, g: Tensor, _: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
    z, k = ctx.saved_tensors
    dz, dk = gradients_of(lambda z, k: ctx.pairs.values(z, k, slice(0, len(z)))[0], (z, k), g)
    return dz, dk, None


class _InBlocks(torch.autograd.Function):
    """``(z, k, pairs) -> values, totals``."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, k: Tensor, pairs: _Pairs) -> tuple[Tensor, Tensor]:
        ctx.pairs, ctx.height = pairs, rows_at_once(len(k), _BLOCK)
        ctx.save_for_backward(z, k)
        values, totals = z.new_empty(2, len(z))
        for rows in tiles(0, len(z), ctx.height):
            values[rows], totals[rows] = pairs.values(z[rows], k, rows, stream=True)
        ctx.mark_non_differentiable(totals)
        return values, totals

    @staticmethod
    @twice_differentiable(_again, computing)
    def backward(ctx: Any, g: Tensor, _: Tensor) -> tuple[Tensor, Tensor | None, None]:
        z, k = ctx.saved_tensors
        dz, dk = torch.zeros_like(z), torch.zeros_like(k) if ctx.needs_input_grad[1] else None
        for rows in tiles(0, len(z), ctx.height):
            with torch.enable_grad():
                inputs = [
                    z[rows].detach().requires_grad_(),
                    *([] if dk is None else [k.detach().requires_grad_()]),
                ]
                values = ctx.pairs.values(inputs[0], inputs[-1] if dk is not None else k, rows, stream=True)[
                    0
                ]
            of_block = torch.autograd.grad(values, inputs, g[rows])
            dz[rows] = of_block[0]
            if dk is not None:
                dk += of_block[1]
        return dz, dk, None
