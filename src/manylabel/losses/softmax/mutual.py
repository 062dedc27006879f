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
from torch.autograd.function import once_differentiable

from manylabel.losses.precision import full_precision, working_dtype
from manylabel.losses.softmax.anchored import scan
from manylabel.losses.softmax.job import LN2, Job, Sums, without_own
from manylabel.losses.softmax.rows import ALL, Rows, Scratch, tile_shape, tiles
from manylabel.losses.softmax.weights import LabelWeights, TileWeights

_BLOCK = 1024  # rows at a time where the work is a few N x D passes


class Mutual(torch.autograd.Function):
    """``(x, job) -> values, totals``; no row is its own candidate."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, job: Job) -> tuple[Tensor, Tensor]:
        rows = Rows(x, job.normalize, working_dtype(x))
        bounded = job.bounded(rows, rows)
        sums = normalisers(rows, job, bounded)
        lse = sums.log2()
        totals, score, scale, label_sums = _linear_part(rows, sums, job)
        values = (totals * lse).sub_(score).mul_(LN2)
        if scale is not None:
            values *= scale
        ctx.job, ctx.rows, ctx.bounded = job, rows, bounded
        ctx.save_for_backward(lse, totals, scale, label_sums)
        ctx.mark_non_differentiable(totals)
        return values, totals

    @staticmethod
    @once_differentiable
    @full_precision
    def backward(ctx: Any, g: Tensor, _: Tensor) -> tuple[Tensor, None]:
        job, rows = ctx.job, ctx.rows
        lse, totals, scale, label_sums = ctx.saved_tensors
        g = (g if scale is None else g * scale) / job.temperature
        dz = _pair_gradient(rows, job, g, lse, totals, ctx.bounded)
        anchor_sums = None
        if isinstance(job.weights, LabelWeights):
            anchor_sums = rows.label_sums(job.weights.left, g).mul_(job.weights.per_label[:, None])
        for block in tiles(0, rows.n, _BLOCK):
            z = rows.tile(block)
            if isinstance(job.weights, LabelWeights):
                assert anchor_sums is not None
                _subtract_label_pull(dz[block], z, job.weights, g[block], block, label_sums, anchor_sums)
            rows.project(dz[block], block, z)
        return dz.to(rows.x.dtype), None


def pairs(n: int, device: torch.device) -> Iterator[tuple[slice, slice, bool]]:
    """Tiles (rows, columns, on the diagonal) that cover every pair of rows once, diagonal squares whole."""
    height, width = tile_shape(n, n, device)
    for columns in tiles(0, n, width):
        for rows in tiles(0, columns.start, height):
            yield rows, columns, False
        for square in tiles(columns.start, columns.stop, height):
            for rows in tiles(columns.start, square.start, height):
                yield rows, square, False
            yield square, square, True


def normalisers(rows: Rows, job: Job, bounded: bool) -> Sums:
    """Masses (and weight sums, of symmetric weights) of every row."""
    weights = job.weights
    if not bounded:
        return scan(rows.tile(ALL), rows, job, bounded, average=False)
    like = torch.empty(0, dtype=rows.dtype, device=rows.x.device)
    sums = Sums(rows.n, rows.dim, like, job, bounded=True, average=False)
    height, width = tile_shape(rows.n, rows.n, rows.x.device)
    scratch, some = Scratch((height, width), like), Scratch((height, rows.dim), like)
    k, at = like, slice(0)
    for block, columns, diagonal in pairs(rows.n, rows.x.device):
        if columns != at:
            k, at = rows.tile(columns), columns
        s = scratch.product(rows.tile(block, some), k, job.factor)
        own = 0 if diagonal else None
        if isinstance(weights, TileWeights):
            w = without_own(weights.tile(block, columns, s.dtype), block, columns, own, 0.0)
            assert sums.total is not None
            assert sums.score is not None
            add_sums(sums.total, w, w, block, columns, diagonal)
            w *= s
            add_sums(sums.score, w, w, block, columns, diagonal)
        e = without_own(s.exp2_(), block, columns, own, 0.0)
        add_sums(sums.mass, e, e, block, columns, diagonal)
    return sums


def add_sums(sums: Tensor, tile: Tensor, back: Tensor, rows: slice, columns: slice, diagonal: bool) -> None:
    """Add row sums of a tile, and off the diagonal the column sums of ``back``, each to its rows."""
    sums[rows] += tile.sum(1)
    if not diagonal:
        sums[columns] += back.sum(0)


def _linear_part(rows: Rows, sums: Sums, job: Job) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Row sums of w, of w times exponent, the factor missing in w, and label sums (C, D)."""
    weights = job.weights
    if not isinstance(weights, LabelWeights):
        assert sums.total is not None
        assert sums.score is not None
        return sums.total, sums.score, weights.row_scale(sums.total), None
    label_sums = rows.label_sums(weights.right).mul_(weights.per_label[:, None])
    score = torch.empty(rows.n, dtype=rows.dtype, device=rows.x.device)
    for block in tiles(0, rows.n, _BLOCK):
        z = rows.tile(block)
        pull = weights.left.take(block).row_sums(label_sums)
        if weights.own is not None:
            pull.addcmul_(z, weights.own[block, None], value=-1)
        torch.sum(pull.mul_(z), 1, out=score[block])
    return weights.totals, score.mul_(job.factor), None, label_sums


def _pair_gradient(rows: Rows, job: Job, g: Tensor, lse: Tensor, totals: Tensor, bounded: bool) -> Tensor:
    """Gradient of all normalised rows from the softmax and from tile weights."""
    dz = torch.zeros(rows.n, rows.dim, dtype=rows.dtype, device=rows.x.device)
    u = g * totals
    v = u * (-lse).exp2_() if bounded else None
    height, width = tile_shape(rows.n, rows.n, dz.device)
    scratch, spare, some = (
        Scratch(shape, dz) for shape in ((height, width), (height, width), (height, rows.dim))
    )
    k, at = dz, slice(0)
    for block, columns, diagonal in pairs(rows.n, dz.device):
        if columns != at:
            k, at = rows.tile(columns), columns
        z = rows.tile(block, some)
        s = scratch.product(z, k, job.factor)
        if v is None:
            G = _softmax_both(s, u, lse, block, columns)
        else:
            both = torch.add(v[block, None], v[columns], out=spare.tile(*s.shape))
            G = s.exp2_().mul_(both)
        if isinstance(job.weights, TileWeights):
            both = torch.add(g[block, None], g[columns], out=spare.tile(*s.shape))
            G.addcmul_(job.weights.tile(block, columns, s.dtype), both, value=-1)
        dz[block].addmm_(without_own(G, block, columns, 0 if diagonal else None, 0.0), k)
        if not diagonal:
            dz[columns].addmm_(G.T, z)
    return dz


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
    dz.addcmul_(weights.left.take(block).row_sums(label_sums), g[:, None], value=-1)
    dz -= weights.right.take(block).row_sums(anchor_sums)
    if weights.own is not None:
        dz.addcmul_(z, (2 * weights.own[block] * g)[:, None])
