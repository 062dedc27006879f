"""A batch against itself, by tiles.

Similarities are symmetric, so each pair of different rows is visited once: every block of columns has
squares on the diagonal and rectangles above them; a rectangle serves its rows and its columns. Two passes
(normalisers, then gradients) come to two products of N x N x D.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from manylabel.kernels.torch_ops import (
    add_powers_both,
    add_weights,
    softmax_slopes,
    subtract_weights,
)
from manylabel.losses.precision import computing, working_dtype
from manylabel.losses.second_derivatives import twice_differentiable
from manylabel.losses.softmax.accumulator import LN2, SELF_EXPONENT, Accumulator, without_self
from manylabel.losses.softmax.against_keys import scan
from manylabel.losses.softmax.pair_weights import LabelWeights, TileWeights
from manylabel.losses.softmax.second_derivative import contrast_again
from manylabel.losses.softmax.tiles import Rows, Scratch, tile_shape, tiles
from manylabel.losses.threads import each_block, shares

_BLOCK = 1024  # rows at a time where the work is a few N x D passes


def in_batch_again(ctx: Any, g: Tensor, _: Tensor) -> tuple[Tensor | None, None]:
    """The gradient of :class:`InBatch`, or of another walk over a batch against itself, as part of a graph."""
    dx, _none = contrast_again(g, ctx.accumulator, ctx.saved_tensors[0], None)
    return dx, None


class InBatch(torch.autograd.Function):
    """``(x, accumulator) -> values, totals``; no row is its own candidate."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, accumulator: Accumulator) -> tuple[Tensor, Tensor]:
        rows = Rows(x, accumulator.normalize.anchors, working_dtype(x))
        bounded = accumulator.bounded(rows, rows)
        lse, total, score = normalisers(rows, accumulator, bounded)
        scale = label_sums = None
        if isinstance(accumulator.weights, LabelWeights):
            total, score, label_sums = _label_scores(rows, accumulator.weights, accumulator.factor)
        assert total is not None
        assert score is not None
        if label_sums is None:
            scale = accumulator.weights.row_scale(total)
        values = (total * lse).sub_(score).mul_(LN2)
        if scale is not None:
            values *= scale
        ctx.accumulator, ctx.rows, ctx.bounded = accumulator, rows, bounded
        ctx.save_for_backward(x, lse, total, scale, label_sums)
        ctx.mark_non_differentiable(total)
        return values, total

    @staticmethod
    @twice_differentiable(in_batch_again, computing)
    def backward(ctx: Any, g: Tensor, _: Tensor) -> tuple[Tensor, None]:
        accumulator, rows = ctx.accumulator, ctx.rows
        _, lse, totals, scale, label_sums = ctx.saved_tensors
        g = (g if scale is None else g * scale) / accumulator.temperature
        dz = _pair_gradient(rows, accumulator, g, lse, totals, ctx.bounded)
        weights = accumulator.weights
        anchor_sums = None
        if isinstance(weights, LabelWeights):
            anchor_sums = rows.label_sums(weights.left, g).mul_(weights.per_label[:, None])

        def finish(block: slice) -> None:
            z = rows.tile(block)
            if isinstance(weights, LabelWeights):
                assert anchor_sums is not None
                _subtract_label_pull(dz[block], z, weights, g[block], block, label_sums, anchor_sums)
            rows.project(dz[block], block, z)

        each_block(finish, tiles(0, rows.n, _BLOCK), dz.device)
        return dz.to(rows.x.dtype), None


def column_blocks(n: int, device: torch.device) -> Iterator[slice]:
    """Blocks of columns, to be paired with the rows up to their own."""
    return tiles(0, n, tile_shape(n, n, device)[1])


def pairs(columns: slice, height: int) -> Iterator[tuple[slice, slice, bool]]:
    """Tiles (rows, columns, on the diagonal) that cover every pair of a column with a row not after it.

    Squares on the diagonal are visited whole, so they are small.
    """
    for rows in tiles(0, columns.start, height):
        yield rows, columns, False
    side = min(max(height // 2, 64), height, columns.stop - columns.start)
    for square in tiles(columns.start, columns.stop, side):
        for rows in tiles(columns.start, square.start, height):
            yield rows, square, False
        yield square, square, True


def normalisers(
    rows: Rows, accumulator: Accumulator, bounded: bool, weighted: bool = True
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Logsumexps to the base 2 of every row, (N,).

    With ``weighted`` and tile weights, also the row sums of these and of weights times exponents.
    """
    n, device = rows.n, rows.x.device
    weights = accumulator.weights if weighted and isinstance(accumulator.weights, TileWeights) else None
    if not bounded:
        return _guarded_normalisers(rows, accumulator, weights)
    dealt = shares(column_blocks(n, device), device)
    # each thread adds into rows of its own: no locks, and the same order of additions at every call
    sums = rows.x.new_zeros(len(dealt), 1 if weights is None else 3, n, dtype=rows.dtype)
    height, width = tile_shape(n, n, device)

    def visit(share: int) -> None:
        mass, total, score = sums[share] if weights is not None else sums[share].expand(3, n)
        scratch, some = Scratch((height, width), mass), Scratch((height, rows.dim), mass)
        for columns in dealt[share]:
            k = rows.tile(columns)
            for block, part, diagonal in pairs(columns, height):
                s = scratch.product(
                    rows.tile(block, some), k[within(part, columns)], accumulator.factor
                )  # (rows, columns)
                if weights is not None:
                    self_offset = 0 if diagonal else None
                    w = without_self(weights.tile(block, part, s.dtype), block, part, self_offset, 0.0)
                    there, back = ((total[r], score[r]) for r in (block, part))
                    add_weights(s, w, there, None if diagonal else back)
                if diagonal:  # a square has both directions of its pairs in it
                    add_powers_both(without_self(s, block, part, 0, SELF_EXPONENT), mass[block], None)
                else:
                    add_powers_both(s, mass[block], mass[part])

    each_block(visit, range(len(dealt)), device)
    mass, *of_weights = sums.sum(0)  # (N,) each
    total, score = of_weights or (None, None)
    # a row without candidates has no mass: the smallest number keeps its logarithm finite
    return mass.clamp_min_(torch.finfo(mass.dtype).tiny).log2_(), total, score


def within(part: slice, whole: slice) -> slice:
    """A part of a slice, counted from where that begins."""
    return slice(part.start - whole.start, part.stop - whole.start)


def _guarded_normalisers(
    rows: Rows, accumulator: Accumulator, weights: TileWeights | None
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """The same where sums need a maximum: row by row, each pair twice."""
    lse, total, score = rows.x.new_zeros(3, rows.n, dtype=rows.dtype)

    def visit(block: slice) -> None:
        sums = scan(rows.tile(block), block, rows, accumulator, weights, bounded=False, average=None)
        lse[block] = sums.log2()
        if sums.total is not None and sums.score is not None:
            total[block], score[block] = sums.total, sums.score

    each_block(visit, tiles(0, rows.n, tile_shape(rows.n, rows.n, lse.device)[0]), lse.device)
    return (lse, None, None) if weights is None else (lse, total, score)


def _label_scores(rows: Rows, weights: LabelWeights, factor: float) -> tuple[Tensor, Tensor, Tensor]:
    """Row sums of w and of w times exponent, (N,), and label sums times ``per_label`` (C, D)."""
    label_sums = rows.label_sums(weights.right).mul_(weights.per_label[:, None])
    score = torch.empty(rows.n, dtype=rows.dtype, device=rows.x.device)

    def visit(block: slice) -> None:
        z = rows.tile(block)
        pull = weights.left.take(block).row_sums(label_sums)  # (rows, D): sum_a w_ia z_a, own pair included
        if weights.self_weights is not None:
            pull.addcmul_(z, weights.self_weights[block, None], value=-1)
        torch.sum(pull.mul_(z), 1, out=score[block])

    each_block(visit, tiles(0, rows.n, _BLOCK), score.device)
    return weights.totals, score.mul_(factor), label_sums


def _pair_gradient(
    rows: Rows, accumulator: Accumulator, g: Tensor, lse: Tensor, totals: Tensor, bounded: bool
) -> Tensor:
    """Gradient of all normalised rows from the softmax and from tile weights."""
    n, device = rows.n, rows.x.device
    u = g * totals
    # p_ij = 2^s_ij 2^-lse_i: one power of a pair serves both of its directions; 2^-lse may overflow where unbounded
    v = u * (-lse).exp2_() if bounded else None
    height, width = tile_shape(n, n, device)
    dealt = shares(column_blocks(n, device), device)
    sums = [g.new_zeros(n, rows.dim) for _ in dealt]

    def visit(share: int) -> None:
        dz = sums[share]
        scratch, some = Scratch((height, width), dz), Scratch((height, rows.dim), dz)
        for columns in dealt[share]:
            whole = rows.tile(columns)
            for block, part, diagonal in pairs(columns, height):
                z, k = rows.tile(block, some), whole[within(part, columns)]
                s = scratch.product(z, k, accumulator.factor)
                G = (
                    _softmax_both(s, u, lse, block, part)
                    if v is None
                    else softmax_slopes(s, v[block], v[part])
                )
                if isinstance(accumulator.weights, TileWeights):
                    subtract_weights(G, accumulator.weights.tile(block, part, s.dtype), g[block], g[part])
                # a pair visited once gives to both of its rows
                dz[block].addmm_(without_self(G, block, part, 0 if diagonal else None, 0.0), k)
                if not diagonal:
                    dz[part].addmm_(G.T, z)

    each_block(visit, range(len(dealt)), device)
    for other in sums[1:]:
        sums[0] += other
    return sums[0]


def _softmax_both(s: Tensor, u: Tensor, lse: Tensor, rows: slice, columns: slice) -> Tensor:
    """``u_i p_ij + u_j p_ji`` of a tile of exponents (overwritten), whatever their size."""
    there = (s - lse[columns]).exp2_().mul_(u[columns])
    return s.sub_(lse[rows, None]).exp2_().mul_(u[rows, None]).add_(there)


def _subtract_label_pull(
    dz: Tensor,
    z: Tensor,
    weights: LabelWeights,
    g: Tensor,
    block: slice,
    label_sums: Tensor,
    anchor_sums: Tensor,
) -> None:
    """Take the label-sum part off the gradient of one block of rows."""
    # as anchors, then as candidates of the others: (rows, D) each
    dz.addcmul_(weights.left.take(block).row_sums(label_sums), g[:, None], value=-1)
    dz -= weights.right.take(block).row_sums(anchor_sums)
    if weights.self_weights is not None:
        # the own pair is in both sums
        dz.addcmul_(z, (2 * weights.self_weights[block] * g)[:, None])
