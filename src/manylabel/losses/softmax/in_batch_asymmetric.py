"""A batch against itself under weights that are not symmetric, or that depend on the softmax.

The normalisers come first; a second visit to each pair makes both of its weights, the values and, where
every anchor will be multiplied by the same number, the gradient in the same pass.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from manylabel.kernels.torch_ops import asymmetric_slopes
from manylabel.losses.precision import computing, working_dtype
from manylabel.losses.second_derivatives import twice_differentiable
from manylabel.losses.softmax.accumulator import LN2, SELF_EXPONENT, Accumulator, without_self
from manylabel.losses.softmax.in_batch import column_blocks, in_batch_again, normalisers, pairs, within
from manylabel.losses.softmax.pair_weights import TileWeights
from manylabel.losses.softmax.tiles import ALL, Rows, Scratch, tile_shape
from manylabel.losses.threads import each_block, shares


class InBatchAsymmetric(torch.autograd.Function):
    """``(x, accumulator) -> values, totals``; no row is its own candidate."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, accumulator: Accumulator) -> tuple[Tensor, Tensor]:
        assert isinstance(accumulator.weights, TileWeights)
        rows = Rows(x, accumulator.normalize.anchors, working_dtype(x))
        bounded = accumulator.bounded(rows, rows)
        lse, _, _ = normalisers(rows, accumulator, bounded, weighted=False)
        totals = accumulator.weights.totals
        g = (
            torch.full_like(lse, 1 / accumulator.temperature)
            if ctx.needs_input_grad[0] and accumulator.uniform
            else None
        )
        score, dz = _visit(rows, accumulator, lse, totals, g, bounded)
        ctx.accumulator, ctx.rows, ctx.bounded = accumulator, rows, bounded
        ctx.save_for_backward(x, lse, totals, None if dz is None else rows.project(dz, ALL))
        ctx.mark_non_differentiable(totals)
        return (totals * lse).sub_(score).mul_(LN2), totals

    @staticmethod
    @twice_differentiable(in_batch_again, computing)
    def backward(ctx: Any, g: Tensor, _: Tensor) -> tuple[Tensor, None]:
        accumulator, rows = ctx.accumulator, ctx.rows
        _, lse, totals, dz = ctx.saved_tensors
        if dz is not None:
            return (dz * (g[0] if len(g) else 0.0)).to(rows.x.dtype), None
        _, dz = _visit(rows, accumulator, lse, totals, g / accumulator.temperature, ctx.bounded)
        assert dz is not None
        return rows.project(dz, ALL).to(rows.x.dtype), None


def _visit(
    rows: Rows, accumulator: Accumulator, lse: Tensor, totals: Tensor, g: Tensor | None, bounded: bool
) -> tuple[Tensor, Tensor | None]:
    """Weighted sums of exponents (N,), and with ``g`` (N,) the gradient of all normalised rows (N, D)."""
    weights = accumulator.weights
    assert isinstance(weights, TileWeights)
    n, device = rows.n, lse.device
    height, width = tile_shape(n, n, device)
    dealt = shares(column_blocks(n, device), device)
    scores = lse.new_zeros(len(dealt), n)
    # each thread adds into memory of its own; sums over threads have a fixed order
    gradients = [lse.new_zeros(n, rows.dim) for _ in dealt] if g is not None else None
    factors = torch.zeros_like(lse) if g is None else g
    lines = ((-lse).exp2_() if bounded else lse, factors * totals, factors)  # (N,) each

    def visit(share: int) -> None:
        score, dz = scores[share], None if gradients is None else gradients[share]
        scratch, some = Scratch((height, width), lse), Scratch((height, rows.dim), lse)
        for columns in dealt[share]:
            whole = rows.tile(columns)
            for block, part, diagonal in pairs(columns, height):
                z, k = rows.tile(block, some), whole[within(part, columns)]
                self_offset = 0 if diagonal else None
                # (rows, columns); s and both weights are overwritten by the slopes
                s = without_self(
                    scratch.product(z, k, accumulator.factor), block, part, self_offset, SELF_EXPONENT
                )
                there, back = (
                    without_self(w, block, part, self_offset, 0.0) for w in weights.both(block, part, s.dtype)
                )
                G = asymmetric_slopes(
                    s,
                    there,
                    back,
                    [line[block] for line in lines],
                    [line[part] for line in lines],
                    score[block],
                    None if diagonal else score[part],
                    bounded,
                    weights.regularised,
                )
                if dz is not None:
                    dz[block].addmm_(G, k)  # G has both directions of each pair
                    if not diagonal:
                        dz[part].addmm_(G.T, z)

    each_block(visit, range(len(dealt)), device)
    if gradients is None:
        return scores.sum(0), None
    for other in gradients[1:]:
        gradients[0] += other
    return scores.sum(0), gradients[0]
