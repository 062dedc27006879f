"""The streamed rung: tiles of similarities, base-2 exponentials, own gradients; never B x N.

Two walks over the pairs share the arithmetic of this page. `Anchored`: anchors against given candidates;
one pass when the candidates are constant, because the softmax average that the gradient needs is summed on
the way. `Mutual`: a batch against itself; similarities are symmetric, so only tiles on and above the
diagonal are visited.

Exponents are ``s / (tau ln 2)``. Unit vectors bound them by ``1 / (tau ln 2)``; while that is at most 98,
sums of 2^exponent neither overflow nor vanish in float32 and no maximum is subtracted. Otherwise a running
maximum is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from manylabel.losses.precision import full_precision, working_dtype
from manylabel.losses.softmax.rows import Rows, log2_per, tile_shape, tiles
from manylabel.losses.softmax.weights import LabelWeights, PairWeights, TileWeights

_LN2 = math.log(2.0)
_SAFE_EXPONENT = 98.0
_OWN = -1e30  # the exponent of an anchor's own pair: finite, so that differences of two of them are 0


@dataclass
class Job:
    """What to contrast, fixed for one call."""

    weights: PairWeights
    temperature: float
    normalize: bool
    own: int | None
    multiplicity: Tensor | None

    @property
    def factor(self) -> float:
        return log2_per(self.temperature)

    @property
    def bounded(self) -> bool:
        return self.normalize and self.factor <= _SAFE_EXPONENT


class Sums:
    """Running sums over the candidates, one entry per anchor."""

    def __init__(self, n: int, dim: int, like: Tensor, job: Job, average: bool) -> None:
        tiled = isinstance(job.weights, TileWeights)
        self.bounded = job.bounded
        self.peak = None if self.bounded else like.new_full((n,), _OWN)
        self.mass = like.new_zeros(n)  # sum of 2^(exponent - peak)
        self.average = like.new_zeros(n, dim) if average else None
        self.pull = like.new_zeros(n, dim) if average and tiled else None  # sum of w k
        self.total = like.new_zeros(n) if tiled else None  # sum of w
        self.score = like.new_zeros(n) if tiled else None  # sum of w exponent

    def add_weights(self, rows: slice, w: Tensor, s: Tensor, k: Tensor) -> None:
        if self.total is None or self.score is None:
            return
        self.total[rows] += w.sum(1)
        self.score[rows] += (w * s).sum(1)
        if self.pull is not None:
            self.pull[rows].addmm_(w, k)

    def add_scores(self, rows: slice, s: Tensor, k: Tensor, multiplicity: Tensor | None) -> None:
        """Take in a tile of exponents (overwritten)."""
        if self.peak is not None:
            peak = torch.maximum(self.peak[rows], s.amax(1))
            shrink = (self.peak[rows] - peak).exp2_()
            self.peak[rows] = peak
            self.mass[rows] *= shrink
            if self.average is not None:
                self.average[rows] *= shrink[:, None]
            s -= peak[:, None]
        e = s.exp2_()
        if multiplicity is None:
            self.mass[rows] += e.sum(1)
        else:
            self.mass[rows] += e @ multiplicity
            k = k * multiplicity[:, None]
        if self.average is not None:
            self.average[rows].addmm_(e, k)

    def log2(self) -> Tensor:
        """``log2 sum_a 2^exponent`` of each anchor, (B,); 0 where there was no candidate."""
        tiny = torch.finfo(self.mass.dtype).tiny
        lse = self.mass.clamp_min(tiny).log2_()
        if self.peak is not None:
            return lse.add_(self.peak)
        return torch.where(self.mass > 0, lse, 0)


class Anchored(torch.autograd.Function):
    """B anchors against N candidates given apart."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, keys: Tensor, job: Job) -> tuple[Tensor, Tensor]:
        dtype = working_dtype(x)
        anchors, candidates = Rows(x, job.normalize, dtype), Rows(keys, job.normalize, dtype)
        q = anchors.tile(slice(None), job.factor)  # (B, D)
        sums = _scan(q, candidates, job, average=ctx.needs_input_grad[0])
        values, totals, scale, direction = _anchored_values(q, candidates, sums, job)
        ctx.job, ctx.dtypes = job, (x.dtype, keys.dtype)
        if direction is not None:
            direction = anchors.project(direction, slice(None))
        if ctx.needs_input_grad[1]:
            ctx.anchors, ctx.candidates, ctx.scale, ctx.totals = anchors, candidates, scale, totals
            ctx.lse = sums.log2()
        ctx.save_for_backward(direction)
        ctx.mark_non_differentiable(totals)
        return values, totals

    @staticmethod
    @once_differentiable
    @full_precision
    def backward(ctx: Any, g: Tensor, _: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        (direction,) = ctx.saved_tensors
        dx = None if direction is None else (g[:, None] * direction).to(ctx.dtypes[0])
        dk = _candidate_gradient(ctx, g) if ctx.needs_input_grad[1] else None
        return dx, dk, None


def _scan(q: Tensor, candidates: Rows, job: Job, average: bool) -> Sums:
    """Pass over all tiles, candidates outside: each block of them is normalised and converted once."""
    sums = Sums(len(q), q.shape[1], q, job, average)
    height, width = tile_shape(len(q), candidates.n, q.device)
    for columns in tiles(candidates.n, width):
        k = candidates.tile(columns)
        multiplicity = None if job.multiplicity is None else job.multiplicity[columns]
        for rows in tiles(len(q), height):
            s = q[rows] @ k.T
            if isinstance(job.weights, TileWeights):
                w = _without_own(job.weights.tile(rows, columns, s.dtype), rows, columns, job.own, 0.0)
                sums.add_weights(rows, w, s, k)
            sums.add_scores(rows, _without_own(s, rows, columns, job.own, _OWN), k, multiplicity)
    return sums


def _without_own(tile: Tensor, rows: slice, columns: slice, own: int | None, fill: float) -> Tensor:
    """Fill the pairs of each anchor with itself, in place."""
    if own is not None:
        offset = own + rows.start - columns.start
        if -tile.shape[0] < offset < tile.shape[1]:
            tile.diagonal(offset).fill_(fill)
    return tile


def _anchored_values(
    q: Tensor, candidates: Rows, sums: Sums, job: Job
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Values, totals, row scales, and the gradient of each value with respect to its normalised anchor."""
    weights, lse = job.weights, sums.log2()
    pull: Tensor | None
    if isinstance(weights, LabelWeights):
        totals, scale = weights.totals, None
        pull = weights.left.row_sums(weights.candidate_sums(candidates))  # (B, D)
        if weights.own is not None:
            assert job.own is not None
            pull -= weights.own[:, None] * candidates.tile(slice(job.own, job.own + len(q)))
        score = (q * pull).sum(1)
    else:
        assert sums.total is not None
        assert sums.score is not None
        totals, score = sums.total, sums.score
        scale, pull = weights.row_scale(totals), sums.pull
    values = (totals * lse - score) * _LN2
    if scale is not None:
        values *= scale
    if sums.average is None:
        return values, totals, scale, None
    mass = sums.mass.clamp_min(torch.finfo(q.dtype).tiny)
    assert pull is not None
    direction = torch.addcmul(-pull, sums.average, (totals / mass)[:, None])
    per_row = 1 / job.temperature if scale is None else (scale / job.temperature)[:, None]
    return values, totals, scale, direction.mul_(per_row)


def _candidate_gradient(ctx: Any, g: Tensor) -> Tensor:
    """``dL/dk``, tile by tile from the saved logsumexp."""
    job, anchors, candidates = ctx.job, ctx.anchors, ctx.candidates
    weights = job.weights
    g = (g if ctx.scale is None else g * ctx.scale) / job.temperature
    z = anchors.tile(slice(None))
    height, width = tile_shape(len(z), candidates.n, z.device)
    coefficient, gz = (g * ctx.totals)[:, None], g[:, None] * z
    sums = weights.anchor_sums(gz) if isinstance(weights, LabelWeights) else None
    dk = torch.empty(candidates.n, candidates.dim, dtype=ctx.dtypes[1], device=z.device)
    for columns in tiles(candidates.n, width):
        k = candidates.tile(columns)
        block = k.new_zeros(k.shape) if sums is None else -weights.right.take(columns).row_sums(sums)
        for rows in tiles(len(z), height):
            s = torch.mm(z[rows] * job.factor, k.T).sub_(ctx.lse[rows, None])
            G = _without_own(s, rows, columns, job.own, _OWN).exp2_().mul_(coefficient[rows])
            if job.multiplicity is not None:
                G *= job.multiplicity[columns]
            if sums is None:
                w = weights.tile(rows, columns, s.dtype)
                G.addcmul_(_without_own(w, rows, columns, job.own, 0.0), g[rows, None], value=-1)
            block.addmm_(G.T, z[rows])
        if sums is not None and weights.own is not None:
            _add_own(block, weights.own[:, None] * gz, columns, job.own)
        dk[columns] = candidates.project(block, columns)
    return dk


def _add_own(block: Tensor, rows: Tensor, columns: slice, own: int) -> None:
    """Add what each anchor gives to the candidate it is, for the candidates of one block."""
    start, stop = max(columns.start, own), min(columns.stop, own + len(rows))
    if start < stop:
        block[start - columns.start : stop - columns.start] += rows[start - own : stop - own]


class Mutual(torch.autograd.Function):
    """A batch against itself, own pairs left out."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, job: Job) -> tuple[Tensor, Tensor]:
        rows = Rows(x, job.normalize, working_dtype(x))
        weights = job.weights
        sums = _mutual_scan(rows, job)
        lse = sums.log2()
        if isinstance(weights, LabelWeights):
            totals, scale = weights.totals, None
            label_sums = weights.candidate_sums(rows)
            score = _label_scores(rows, weights, label_sums, job)
        else:
            assert sums.total is not None
            assert sums.score is not None
            totals, score, label_sums = sums.total, sums.score, None
            scale = weights.row_scale(totals)
        values = (totals * lse - score) * _LN2
        if scale is not None:
            values *= scale
        ctx.job, ctx.rows = job, rows
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
        dz = _mutual_pairs(rows, job, g, lse, totals)
        if isinstance(job.weights, LabelWeights):
            _subtract_label_pull(dz, rows, job.weights, g, label_sums)
        for block in tiles(rows.n, 4096):
            rows.project(dz[block], block)
        return dz.to(rows.x.dtype), None


def _mutual_scan(rows: Rows, job: Job) -> Sums:
    """Masses (and weight sums) of every row, from the tiles on and above the diagonal where that is safe."""
    if not job.bounded or (isinstance(job.weights, TileWeights) and not job.weights.symmetric):
        return _scan(rows.tile(slice(None), job.factor), rows, job, average=False)
    sums = Sums(rows.n, rows.dim, rows.norms, job, average=False)  # type: ignore[arg-type]
    height, width = tile_shape(rows.n, rows.n, rows.x.device)
    for columns in tiles(rows.n, width):
        k = rows.tile(columns, job.factor)
        for block in tiles(columns.stop, height):
            s = rows.tile(block) @ k.T
            crossing = block.stop > columns.start
            if isinstance(job.weights, TileWeights):
                w = _upper(job.weights.tile(block, columns, s.dtype), block, columns)
                _add_both(sums.total, w, block, columns)
                _add_both(sums.score, w.mul_(s), block, columns)
            e = s.exp2_()
            _add_both(sums.mass, _upper(e, block, columns) if crossing else e, block, columns)
    return sums


def _upper(tile: Tensor, rows: slice, columns: slice) -> Tensor:
    """Zero what lies on or below the diagonal of the whole matrix: the other side of it is counted there."""
    if rows.stop > columns.start:
        tile.triu_(rows.start - columns.start + 1)
    return tile


def _add_both(sums: Tensor | None, tile: Tensor, rows: slice, columns: slice) -> None:
    assert sums is not None
    sums[rows] += tile.sum(1)
    sums[columns] += tile.sum(0)


def _label_scores(rows: Rows, weights: LabelWeights, label_sums: Tensor, job: Job) -> Tensor:
    """``sum_a w_ia`` times the exponent of (i, a), own pairs left out, (B,)."""
    parts = []
    for block in tiles(rows.n, 4096):
        z = rows.tile(block)
        pull = weights.left.take(block).row_sums(label_sums)
        if weights.own is not None:
            pull -= weights.own[block, None] * z
        parts.append(pull.mul_(z).sum(1))
    return torch.cat(parts) * job.factor


def _mutual_pairs(rows: Rows, job: Job, g: Tensor, lse: Tensor, totals: Tensor) -> Tensor:
    """Gradient of all rows from the softmax and from tile weights, both directions of a pair at once."""
    dz = torch.zeros(rows.n, rows.dim, dtype=rows.dtype, device=rows.x.device)
    height, width = tile_shape(rows.n, rows.n, rows.x.device)
    u = g * totals
    for columns in tiles(rows.n, width):
        k = rows.tile(columns)
        for block in tiles(columns.stop, height):
            z = rows.tile(block)
            s = (z * job.factor) @ k.T
            G = _upper(_softmax_both(s, u, lse, block, columns, job.bounded), block, columns)
            if isinstance(job.weights, TileWeights):
                G -= _upper(_weights_both(job.weights, g, block, columns, s.dtype), block, columns)
            dz[block].addmm_(G, k)
            dz[columns].addmm_(G.T, z)
    return dz


def _softmax_both(s: Tensor, u: Tensor, lse: Tensor, rows: slice, columns: slice, bounded: bool) -> Tensor:
    """``u_i p_ij + u_j p_ji`` of a tile of exponents (overwritten)."""
    if bounded:
        v = u * (-lse).exp2()
        return s.exp2_().mul_(v[rows, None] + v[columns])
    there = (s - lse[columns]).exp2_().mul_(u[columns])
    return s.sub_(lse[rows, None]).exp2_().mul_(u[rows, None]).add_(there)


def _weights_both(weights: TileWeights, g: Tensor, rows: slice, columns: slice, dtype: torch.dtype) -> Tensor:
    """``g_i w_ij + g_j w_ji``."""
    w = weights.tile(rows, columns, dtype)
    if weights.symmetric:
        return w.mul_(g[rows, None] + g[columns])
    return w.mul_(g[rows, None]).add_(weights.tile(columns, rows, dtype).T * g[columns])


def _subtract_label_pull(
    dz: Tensor, rows: Rows, weights: LabelWeights, g: Tensor, label_sums: Tensor
) -> None:
    """Take off the label-sum part of the gradient, block by block."""
    gz = rows.tile(slice(None)) * g[:, None]
    anchor_sums = weights.anchor_sums(gz)
    for block in tiles(rows.n, 4096):
        part = weights.left.take(block).row_sums(label_sums).mul_(g[block, None])
        part += weights.right.take(block).row_sums(anchor_sums)
        if weights.own is not None:
            part -= 2 * weights.own[block, None] * gz[block]
        dz[block] -= part


def contrast_streamed(
    x: Tensor,
    keys: Tensor | None,
    weights: PairWeights,
    temperature: float,
    normalize: bool,
    own: int | None,
    multiplicity: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Values ``L_i`` and weight totals of every anchor, both (B,); see :func:`contrast`."""
    job = Job(weights, temperature, normalize, own, multiplicity)
    if keys is None:
        assert own == 0
        assert multiplicity is None
        return Mutual.apply(x, job)  # type: ignore[no-any-return, no-untyped-call]
    return Anchored.apply(x, keys, job)  # type: ignore[no-any-return, no-untyped-call]
