"""Anchors against given candidates, by tiles.

One pass when the candidates are constant: the softmax average of the candidates, which is what the gradient
needs, is summed along with the normaliser, and the backward pass costs B x D. Candidates with gradient are
visited again.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from manylabel.losses.precision import full_precision, working_dtype
from manylabel.losses.softmax.job import LN2, OWN, Job, Sums, without_own
from manylabel.losses.softmax.rows import ALL, Rows, Scratch, remove_direction, tile_shape, tiles
from manylabel.losses.softmax.weights import LabelWeights, TileWeights

_STRETCH = 12  # tiles whose sums of candidates are added up before they join the others


class Anchored(torch.autograd.Function):
    """``(x, keys, job) -> values, totals``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, keys: Tensor, job: Job) -> tuple[Tensor, Tensor]:
        want_x, want_keys = ctx.needs_input_grad[:2]
        dtype = working_dtype(x)
        anchors = Rows(x, job.normalize, dtype)
        candidates = Rows(keys, job.normalize, dtype, constant=not want_keys)
        z = anchors.tile(ALL)  # (B, D)
        if job.attention is None:
            sums = scan(z, candidates, job, job.bounded(anchors, candidates), average=want_x)
        else:
            sums = job.attention(z, candidates, job)
        lse = sums.log2()
        totals, score, scale, pull = _linear_part(z, candidates, sums, job)
        values = torch.mul(totals, lse).sub_(score).mul_(LN2)
        if scale is not None:
            values *= scale
        ctx.job, ctx.dtypes, ctx.rows = job, (x.dtype, keys.dtype), (anchors, candidates)
        slope = _slope(z, anchors, sums, totals, scale, pull, job) if want_x else None
        ctx.save_for_backward(slope, *((lse, totals, scale) if want_keys else ()))
        ctx.mark_non_differentiable(totals)
        return values, totals

    @staticmethod
    @once_differentiable
    @full_precision
    def backward(ctx: Any, g: Tensor, _: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        slope, *rest = ctx.saved_tensors
        dx = None if slope is None else (slope * g[:, None]).to(ctx.dtypes[0])
        if not ctx.needs_input_grad[1]:
            return dx, None, None
        anchors, candidates = ctx.rows
        return dx, _candidate_gradient(ctx.job, anchors, candidates, g, *rest), None


def scan(z: Tensor, candidates: Rows, job: Job, bounded: bool, average: bool) -> Sums:
    """Pass over all tiles, candidates outside: each block of them is normalised and converted once."""
    sums = Sums(len(z), z.shape[1], z, job, bounded, average)
    height, width = tile_shape(len(z), candidates.n, z.device)
    scratch = Scratch((height, width), z)
    for number, columns in enumerate(tiles(0, candidates.n, width)):
        first = number % _STRETCH == 0
        if first:
            sums.begin_stretch()
        k = candidates.tile(columns)
        multiplicity = None if job.multiplicity is None else job.multiplicity[columns]
        for rows in tiles(0, len(z), height):
            s = scratch.product(z[rows], k, job.factor)
            if isinstance(job.weights, TileWeights):
                w = without_own(job.weights.tile(rows, columns, s.dtype), rows, columns, job.own, 0.0)
                sums.add_weights(rows, w, s, k)
            s = without_own(s, rows, columns, job.own, OWN)
            sums.add_scores(rows, s, k, multiplicity, first)
    sums.finish()
    return sums


def _linear_part(
    z: Tensor, candidates: Rows, sums: Sums, job: Job
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Row sums of w, of w times exponent, the factor missing in w, and the row sums of w k (B, D)."""
    weights = job.weights
    if not isinstance(weights, LabelWeights):
        assert sums.total is not None
        assert sums.score is not None
        return sums.total, sums.score, weights.row_scale(sums.total), sums.pull
    pull = weights.left.row_sums(candidates.label_sums(weights.right).mul_(weights.per_label[:, None]))
    if weights.own is not None:
        assert job.own is not None
        pull -= weights.own[:, None] * candidates.tile(slice(job.own, job.own + len(z)))
    return weights.totals, torch.linalg.vecdot(z, pull).mul_(job.factor), None, pull


def _slope(
    z: Tensor, anchors: Rows, sums: Sums, totals: Tensor, scale: Tensor | None, pull: Tensor | None, job: Job
) -> Tensor:
    """The gradient of each value with respect to its own row of x, (B, D)."""
    assert sums.average is not None
    assert pull is not None
    mass = sums.mass.clamp_min(torch.finfo(z.dtype).tiny)
    slope = sums.average.mul_((totals / mass)[:, None]).sub_(pull)
    if anchors.inverse is not None:  # leave out what would lengthen the row
        remove_direction(slope, z)
        factor = anchors.slope(ALL).mul_(1 / job.temperature)
        return slope.mul_((factor if scale is None else factor * scale)[:, None])
    return slope.mul_(1 / job.temperature if scale is None else (scale / job.temperature)[:, None])


def _candidate_gradient(
    job: Job, anchors: Rows, candidates: Rows, g: Tensor, lse: Tensor, totals: Tensor, scale: Tensor | None
) -> Tensor:
    """``dL/dkeys``, tile by tile from the saved logsumexp."""
    weights = job.weights
    g = (g if scale is None else g * scale) / job.temperature
    z = anchors.tile(ALL)
    height, width = tile_shape(len(z), candidates.n, z.device)
    scratch = Scratch((height, width), z)
    coefficient, gz = (g * totals)[:, None], g[:, None] * z
    label_sums = weights.anchor_sums(gz) if isinstance(weights, LabelWeights) else None
    dk = torch.empty_like(candidates.x)
    for columns in tiles(0, candidates.n, width):
        k = candidates.tile(columns)
        if isinstance(weights, LabelWeights):
            assert label_sums is not None
            block = weights.right.take(columns).row_sums(label_sums).neg_()
            if weights.own is not None:
                assert job.own is not None
                _add_own(block, weights.own[:, None] * gz, columns, job.own)
        else:
            block = torch.zeros_like(k)
        for rows in tiles(0, len(z), height):
            s = scratch.product(z[rows], k, job.factor).sub_(lse[rows, None])
            G = without_own(s, rows, columns, job.own, OWN).exp2_().mul_(coefficient[rows])
            if job.multiplicity is not None:
                G *= job.multiplicity[columns]
            if isinstance(weights, TileWeights):
                w = weights.tile(rows, columns, s.dtype)
                G.addcmul_(without_own(w, rows, columns, job.own, 0.0), g[rows, None], value=-1)
            block.addmm_(G.T, z[rows])
        dk[columns] = candidates.project(block, columns, k)
    return dk


def _add_own(block: Tensor, rows: Tensor, columns: slice, own: int) -> None:
    """Add what each anchor gives to the candidate it is, for the candidates of one block."""
    start, stop = max(columns.start, own), min(columns.stop, own + len(rows))
    if start < stop:
        block[start - columns.start : stop - columns.start] += rows[start - own : stop - own]
