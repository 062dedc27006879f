"""Anchors against given candidates, by tiles.

One pass when the candidates are constant: the softmax average of the candidates, which is what the gradient
needs, is summed along with the normaliser, and the backward pass costs B x D. Candidates with gradient are
visited again.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from manylabel.kernels.choice import compiles, finish_by_labels, project_rows
from manylabel.kernels.torch_ops import raised
from manylabel.losses.blocks import each_block, for_blocks, threads_of
from manylabel.losses.precision import full_precision, working_dtype
from manylabel.losses.softmax.again import Constant, contrast_again
from manylabel.losses.softmax.job import LN2, OWN, Job, Sums, without_own
from manylabel.losses.softmax.rows import ALL, Rows, Scratch, block_shape, tile_shape, tiles
from manylabel.losses.softmax.weights import LabelWeights, TileWeights
from manylabel.losses.twice import twice_differentiable

_STRETCH = 12  # tiles whose sums of candidates are added up before they join the others
_ALONE = 3  # stretches that are one sum still, as another one costs memory
_FEW = 64  # anchors whose label sums are looked up at a time


def _again(ctx: Any, g: Tensor, _: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
    x, _slope, *rest = ctx.saved_tensors
    dx, dkeys = contrast_again(g, ctx.job, x, rest[0] if ctx.constant is None else ctx.constant.unchanged())
    return dx, dkeys, None


class Anchored(torch.autograd.Function):
    """``(x, keys, job) -> values, totals``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, keys: Tensor, job: Job) -> tuple[Tensor, Tensor]:
        want_x, want_keys = ctx.needs_input_grad[:2]
        dtype = working_dtype(x)
        anchors = Rows(x, job.normalize.anchors, dtype)
        candidates = Rows(keys, job.normalize.candidates, dtype, constant=not want_keys)
        walk = _Walk(anchors, candidates, job, want_x)
        if job.attention is None:
            height = block_shape(len(x), candidates.n, x.device)[0]
        else:  # it cuts the rows into tiles of its own
            height = max(-(-len(x) // threads_of(x.device)), 1)
        each_block(walk.visit, tiles(0, len(x), height), x.device)
        ctx.dtypes = x.dtype, keys.dtype
        if want_keys:
            ctx.rows = anchors, candidates
        ctx.job = job
        ctx.constant = None if want_keys else Constant(keys)
        rest = (keys, walk.lse, walk.totals, walk.scale) if want_keys else ()
        ctx.save_for_backward(x, walk.slope, *rest)
        ctx.mark_non_differentiable(walk.totals)
        return walk.values, walk.totals

    @staticmethod
    @twice_differentiable(_again)
    @for_blocks
    @full_precision
    def backward(ctx: Any, g: Tensor, _: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        _, slope, *rest = ctx.saved_tensors
        dx = None if slope is None else (slope * g[:, None]).to(ctx.dtypes[0])
        if not ctx.needs_input_grad[1]:
            return dx, None, None
        anchors, candidates = ctx.rows
        return dx, _candidate_gradient(ctx.job, anchors, candidates, g, *rest[1:]), None


class _Walk:
    """Values of all anchors and the gradient of each with respect to its own row, block by block.

    Attributes
    ----------
    values, totals, lse : (B,) tensors
    scale : (B,) tensor or None
        The factor missing in each anchor's weights.
    slope : (B, D) tensor or None
    """

    def __init__(self, anchors: Rows, candidates: Rows, job: Job, want_slope: bool) -> None:
        self.anchors, self.candidates, self.job = anchors, candidates, job
        self.bounded = job.attention is None and job.bounded(anchors, candidates)
        like = anchors.x.new_empty(0, dtype=anchors.dtype)
        self.values, self.lse, scale = (like.new_empty(anchors.n) for _ in range(3))
        self.slope = like.new_empty(anchors.n, anchors.dim) if want_slope else None
        weights = job.weights
        if isinstance(weights, LabelWeights):
            self.totals, self.scale = weights.totals, None
            self.label_sums = candidates.label_sums(weights.right)
        else:
            self.totals = like.new_empty(anchors.n)
            self.scale = None if weights.row_scale(self.totals[:0]) is None else scale

    def visit(self, rows: slice) -> None:
        """Make the values, and where they are wanted the slopes, of a block of anchors."""
        job, weights = self.job, self.job.weights
        z = self.anchors.tile(rows)
        slope = None if self.slope is None else self.slope[rows]
        scale = None
        tiled = weights if isinstance(weights, TileWeights) else None
        late = tiled is not None and tiled.regularised  # what a pair weighs takes the normaliser
        if job.attention is not None:
            sums = job.attention(z, self.candidates, job, slope)
        elif late:
            sums = scan(z, rows, self.candidates, job, None, self.bounded, average=None)
        else:
            sums = scan(z, rows, self.candidates, job, tiled, self.bounded, slope)
        lse = self.lse[rows] = sums.log2()
        if isinstance(weights, LabelWeights):
            totals, score = weights.totals[rows], self._label_scores(weights, z, rows, sums.mass)
        elif late:
            assert tiled is not None
            totals = self.totals[rows] = tiled.totals[rows]
            score = scan_raised(z, rows, self.candidates, job, lse, slope)
            self._project(rows, z, None)
        else:
            assert sums.total is not None
            assert sums.score is not None
            totals, score, scale = sums.total, sums.score, weights.row_scale(sums.total)
            self.totals[rows] = totals
            if self.slope is not None:
                assert sums.pull is not None
                self._finish(rows, z, sums.mass, totals, scale, sums.pull)
        values = torch.mul(totals, lse).sub_(score).mul_(LN2)
        if scale is not None:
            assert self.scale is not None
            self.scale[rows] = scale
            values *= scale
        self.values[rows] = values

    def _label_scores(self, weights: LabelWeights, z: Tensor, rows: slice, mass: Tensor) -> Tensor:
        """``sum_a w_ia exponent_ia`` from label sums, (rows,); finishes the slopes on the way."""
        left, slope = weights.left.take(rows), None if self.slope is None else self.slope[rows]
        plain = weights.own is None and self.anchors.inverse is not None
        if slope is not None and plain and compiles(z.dtype, z.device):
            lists = weights.lists(left, z.dtype)
            shares = _share(weights.totals[rows], mass)
            found = finish_by_labels(slope, z, lists, self.label_sums, shares, self._factors(rows))
            return found.mul_(self.job.factor)
        score = torch.empty_like(mass)
        for few in tiles(0, len(z), _FEW):
            part = slice(rows.start + few.start, rows.start + few.stop)
            pull = weights.weighted(left.take(few), z.dtype).row_sums(self.label_sums)
            if weights.own is not None:
                assert self.job.own is not None
                own = slice(self.job.own + part.start, self.job.own + part.stop)
                pull -= weights.own[part, None] * self.candidates.tile(own)
            score[few] = torch.linalg.vecdot(z[few], pull)
            if slope is not None:
                self._finish(part, z[few], mass[few], weights.totals[part], None, pull)
        return score.mul_(self.job.factor)

    def _finish(
        self, rows: slice, z: Tensor, mass: Tensor, totals: Tensor, scale: Tensor | None, pull: Tensor
    ) -> None:
        """Turn sums of candidates into the gradient of each value with respect to its own row of x."""
        assert self.slope is not None
        self.slope[rows].mul_(_share(totals, mass)[:, None]).sub_(pull)
        self._project(rows, z, scale)

    def _project(self, rows: slice, z: Tensor, scale: Tensor | None) -> None:
        """Turn gradients with respect to exponents' rows into those with respect to rows of x, where wanted."""
        if self.slope is None:
            return
        slope, temperature = self.slope[rows], self.job.temperature
        if self.anchors.inverse is not None:  # leave out what would lengthen the row
            factor = self._factors(rows)
            project_rows(slope, z, factor if scale is None else factor * scale)
        else:
            slope.mul_(1 / temperature if scale is None else (scale / temperature)[:, None])

    def _factors(self, rows: slice) -> Tensor:
        """From gradients with respect to exponents' normalised rows to those with respect to rows of x."""
        return self.anchors.slope(rows).mul_(1 / self.job.temperature)


def _share(totals: Tensor, mass: Tensor) -> Tensor:
    """From the sum of candidates to what the anchor's weights make of their average."""
    return totals / mass.clamp_min(torch.finfo(mass.dtype).tiny)


def scan(
    z: Tensor,
    rows: slice,
    candidates: Rows,
    job: Job,
    weights: TileWeights | None,
    bounded: bool,
    average: Tensor | None,
) -> Sums:
    """Pass over all candidates with one block of anchors, the ``rows`` of all, (rows, D)."""
    sums = Sums(z, bounded, average, weights is not None)
    width = block_shape(len(z), candidates.n, z.device)[1]
    scratch = Scratch((len(z), width), z)
    stretch = _STRETCH if candidates.n > _ALONE * _STRETCH * width else candidates.n
    for number, columns in enumerate(tiles(0, candidates.n, width)):
        first = number % stretch == 0
        if first:
            sums.begin_stretch()
        k = candidates.tile(columns)
        s = scratch.product(z, k, job.factor)
        if weights is not None:
            w = without_own(weights.tile(rows, columns, s.dtype), rows, columns, job.own, 0.0)
            sums.add_weights(w, s, k)
        s = without_own(s, rows, columns, job.own, OWN)
        sums.add_scores(s, k, None if job.multiplicity is None else job.multiplicity[columns], first)
    sums.finish()
    return sums


def scan_raised(
    z: Tensor, rows: slice, candidates: Rows, job: Job, lse: Tensor, slope: Tensor | None
) -> Tensor:
    """A second pass, for weights that depend on the softmax: ``sum_a V_ia exponent_ia``, V the raised weights.

    Fills ``slope`` (rows, D), where it is wanted, with ``sum_a (W_i p_ia - V_ia) k_a``.
    """
    weights = job.weights
    assert isinstance(weights, TileWeights)
    score, totals = torch.zeros_like(lse), weights.totals[rows]
    width = block_shape(len(z), candidates.n, z.device)[1]
    scratch = Scratch((len(z), width), z)
    for number, columns in enumerate(tiles(0, candidates.n, width)):
        k = candidates.tile(columns)
        s = scratch.product(z, k, job.factor)
        p = without_own(s - lse[:, None], rows, columns, job.own, OWN).exp2_()
        if job.multiplicity is not None:
            p *= job.multiplicity[columns]
        V = raised(without_own(weights.tile(rows, columns, s.dtype), rows, columns, job.own, 0.0), p)
        score += s.mul_(V).sum(1)
        if slope is not None:
            slope.addmm_(p.mul_(totals[:, None]).sub_(V), k, beta=min(number, 1))
    return score


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
            G = without_own(s, rows, columns, job.own, OWN).exp2_()
            if job.multiplicity is not None:
                G *= job.multiplicity[columns]
            if isinstance(weights, TileWeights):
                w = without_own(weights.tile(rows, columns, s.dtype), rows, columns, job.own, 0.0)
                w = raised(w, G) if weights.regularised else w
                G.mul_(coefficient[rows]).addcmul_(w, g[rows, None], value=-1)
            else:
                G *= coefficient[rows]
            block.addmm_(G.T, z[rows])
        dk[columns] = candidates.project(block, columns, k)
    return dk


def _add_own(block: Tensor, rows: Tensor, columns: slice, own: int) -> None:
    """Add what each anchor gives to the candidate it is, for the candidates of one block."""
    start, stop = max(columns.start, own), min(columns.stop, own + len(rows))
    if start < stop:
        block[start - columns.start : stop - columns.start] += rows[start - own : stop - own]
