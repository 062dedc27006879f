"""Anchors against given candidates, by tiles.

One pass when the candidates are constant: the softmax average of the candidates, which is what the gradient
needs, is summed along with the normaliser, and the backward pass costs B x D. Candidates with gradient are
visited again.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from manylabel.kernels.torch_ops import project_rows, raised
from manylabel.losses.precision import computing, working_dtype
from manylabel.losses.second_derivatives import twice_differentiable
from manylabel.losses.softmax.accumulator import LN2, Accumulator, Sums, without_self
from manylabel.losses.softmax.pair_weights import LabelWeights, TileWeights
from manylabel.losses.softmax.second_derivative import Constant, contrast_again
from manylabel.losses.softmax.tiles import ALL, Rows, Scratch, block_shape, tile_shape, tiles
from manylabel.losses.threads import each_block, threads_of

_STRETCH = 12  # tiles whose sums of candidates are added up before they join the others
_ALONE = 3  # stretches that are one sum still, as another one costs memory
_FEW = 64  # anchors whose label sums are looked up at a time


def _again(ctx: Any, g: Tensor, _: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
    x, _slope, *rest = ctx.saved_tensors
    dx, dkeys = contrast_again(
        g, ctx.accumulator, x, rest[0] if ctx.constant is None else ctx.constant.unchanged()
    )
    return dx, dkeys, None


class AgainstKeys(torch.autograd.Function):
    """``(x, keys, accumulator) -> values, totals``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, keys: Tensor, accumulator: Accumulator) -> tuple[Tensor, Tensor]:
        want_x, want_keys = ctx.needs_input_grad[:2]
        dtype = working_dtype(x)
        anchors = Rows(x, accumulator.normalize.anchors, dtype)
        candidates = Rows(keys, accumulator.normalize.candidates, dtype, constant=not want_keys)
        walk = _Walk(anchors, candidates, accumulator, want_x)
        if accumulator.attention is None:
            height = block_shape(len(x), candidates.n, x.device)[0]
        else:  # it cuts the rows into tiles of its own
            height = max(-(-len(x) // threads_of(x.device)), 1)
        each_block(walk.visit, tiles(0, len(x), height), x.device)
        ctx.dtypes = x.dtype, keys.dtype
        if want_keys:
            ctx.rows = anchors, candidates
        ctx.accumulator = accumulator
        ctx.constant = None if want_keys else Constant(keys, keys._version)
        rest = (keys, walk.lse, walk.totals, walk.scale) if want_keys else ()
        ctx.save_for_backward(x, walk.slope, *rest)
        ctx.mark_non_differentiable(walk.totals)
        return walk.values, walk.totals

    @staticmethod
    @twice_differentiable(_again, computing)
    def backward(ctx: Any, g: Tensor, _: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        _, slope, *rest = ctx.saved_tensors
        dx = None if slope is None else (slope * g[:, None]).to(ctx.dtypes[0])
        if not ctx.needs_input_grad[1]:
            return dx, None, None
        anchors, candidates = ctx.rows
        return dx, _candidate_gradient(ctx.accumulator, anchors, candidates, g, *rest[1:]), None


class _Walk:
    """Values of all anchors and the gradient of each with respect to its own row, block by block.

    Attributes
    ----------
    values, totals, lse : (B,) tensors
    scale : (B,) tensor or None
        The factor missing in each anchor's weights.
    slope : (B, D) tensor or None
    """

    def __init__(self, anchors: Rows, candidates: Rows, accumulator: Accumulator, want_slope: bool) -> None:
        self.anchors, self.candidates, self.accumulator = anchors, candidates, accumulator
        self.bounded = accumulator.attention is None and accumulator.bounded(anchors, candidates)
        like = anchors.x.new_empty(0, dtype=anchors.dtype)
        self.values, self.lse, scale = (like.new_empty(anchors.n) for _ in range(3))
        self.slope = like.new_empty(anchors.n, anchors.dim) if want_slope else None
        weights = accumulator.weights
        if isinstance(weights, LabelWeights):
            self.totals, self.scale = weights.totals, None
            self.label_sums = candidates.label_sums(weights.right)
        else:
            self.totals = like.new_empty(anchors.n)
            self.scale = None if weights.row_scale(self.totals[:0]) is None else scale

    def visit(self, rows: slice) -> None:
        """Make the values, and where they are wanted the slopes, of a block of anchors."""
        accumulator, weights = self.accumulator, self.accumulator.weights
        z = self.anchors.tile(rows)  # (rows, D)
        slope = None if self.slope is None else self.slope[rows]
        scale = None
        tiled = weights if isinstance(weights, TileWeights) else None
        late = tiled is not None and tiled.regularised  # what a pair weighs takes the normaliser
        if accumulator.attention is not None:
            sums = accumulator.attention(z, self.candidates, accumulator, slope)
        elif late:
            sums = scan(z, rows, self.candidates, accumulator, None, self.bounded, average=None)
        else:
            sums = scan(z, rows, self.candidates, accumulator, tiled, self.bounded, slope)
        lse = self.lse[rows] = sums.log2()
        if isinstance(weights, LabelWeights):
            totals, score = weights.totals[rows], self._label_scores(weights, z, rows, sums.mass)
        elif late:
            assert tiled is not None
            totals = self.totals[rows] = tiled.totals[rows]
            score = scan_raised(z, rows, self.candidates, accumulator, lse, slope)
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
        score = torch.empty_like(mass)
        for few in tiles(0, len(z), _FEW):
            part = slice(rows.start + few.start, rows.start + few.stop)
            # (few, D): a few rows at a time, as all of them would double the memory of the slopes
            pull = weights.weighted(left.take(few), z.dtype).row_sums(self.label_sums)
            if weights.self_weights is not None:
                assert self.accumulator.self_offset is not None
                self_offset = slice(
                    self.accumulator.self_offset + part.start, self.accumulator.self_offset + part.stop
                )
                pull -= weights.self_weights[part, None] * self.candidates.tile(self_offset)
            score[few] = torch.linalg.vecdot(z[few], pull)
            if slope is not None:
                self._finish(part, z[few], mass[few], weights.totals[part], None, pull)
        return score.mul_(self.accumulator.factor)

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
        slope, temperature = self.slope[rows], self.accumulator.temperature
        if self.anchors.inverse is not None:  # leave out what would lengthen the row
            factor = self._factors(rows)
            project_rows(slope, z, factor if scale is None else factor * scale)
        else:
            slope.mul_(1 / temperature if scale is None else (scale / temperature)[:, None])

    def _factors(self, rows: slice) -> Tensor:
        """From gradients with respect to exponents' normalised rows to those with respect to rows of x."""
        return self.anchors.slope(rows).mul_(1 / self.accumulator.temperature)


def _share(totals: Tensor, mass: Tensor) -> Tensor:
    """From the sum of candidates to what the anchor's weights make of their average."""
    return totals / mass.clamp_min(torch.finfo(mass.dtype).tiny)


def scan(
    z: Tensor,
    rows: slice,
    candidates: Rows,
    accumulator: Accumulator,
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
        s = scratch.product(z, k, accumulator.factor)  # (rows, columns)
        if weights is not None:  # before the exponents are overwritten by their powers
            w = without_self(
                weights.tile(rows, columns, s.dtype), rows, columns, accumulator.self_offset, 0.0
            )
            sums.add_weights(w, s, k)
        s = accumulator.take_out(s, rows, columns)
        sums.add_scores(
            s, k, None if accumulator.multiplicity is None else accumulator.multiplicity[columns], first
        )
    sums.finish()
    return sums


def scan_raised(
    z: Tensor, rows: slice, candidates: Rows, accumulator: Accumulator, lse: Tensor, slope: Tensor | None
) -> Tensor:
    """A second pass, for weights that depend on the softmax: ``sum_a V_ia exponent_ia``, V the raised weights.

    Fills ``slope`` (rows, D), where it is wanted, with ``sum_a (W_i p_ia - V_ia) k_a``.
    """
    weights = accumulator.weights
    assert isinstance(weights, TileWeights)
    score, totals = torch.zeros_like(lse), weights.totals[rows]
    width = block_shape(len(z), candidates.n, z.device)[1]
    scratch = Scratch((len(z), width), z)
    for number, columns in enumerate(tiles(0, candidates.n, width)):
        k = candidates.tile(columns)
        s = scratch.product(z, k, accumulator.factor)
        # softmax of the first pass: exponents at most 0, so no power overflows
        p = accumulator.take_out(s - lse[:, None], rows, columns).exp2_()
        if accumulator.multiplicity is not None:
            p *= accumulator.multiplicity[columns]
        V = raised(
            without_self(weights.tile(rows, columns, s.dtype), rows, columns, accumulator.self_offset, 0.0), p
        )
        score += s.mul_(V).sum(1)
        if slope is not None:
            # the first tile overwrites memory that holds anything: beta 0
            slope.addmm_(p.mul_(totals[:, None]).sub_(V), k, beta=min(number, 1))
    return score


def _candidate_gradient(
    accumulator: Accumulator,
    anchors: Rows,
    candidates: Rows,
    g: Tensor,
    lse: Tensor,
    totals: Tensor,
    scale: Tensor | None,
) -> Tensor:
    """``dL/dkeys``, tile by tile from the saved logsumexp."""
    weights = accumulator.weights
    g = (g if scale is None else g * scale) / accumulator.temperature
    z = anchors.tile(ALL)
    height, width = tile_shape(len(z), candidates.n, z.device)
    scratch = Scratch((height, width), z)
    coefficient, gz = (g * totals)[:, None], g[:, None] * z  # (B, 1), (B, D)
    label_sums = weights.anchor_sums(gz) if isinstance(weights, LabelWeights) else None
    dk = torch.empty_like(candidates.x)
    for columns in tiles(0, candidates.n, width):
        k = candidates.tile(columns)
        if isinstance(weights, LabelWeights):
            assert label_sums is not None
            # (columns, D): what labels give needs no pair
            block = weights.right.take(columns).row_sums(label_sums).neg_()
            if weights.self_weights is not None:
                assert accumulator.self_offset is not None
                _add_self(block, weights.self_weights[:, None] * gz, columns, accumulator.self_offset)
        else:
            block = torch.zeros_like(k)
        for rows in tiles(0, len(z), height):
            s = scratch.product(z[rows], k, accumulator.factor).sub_(lse[rows, None])
            G = accumulator.take_out(s, rows, columns).exp2_()
            if accumulator.multiplicity is not None:
                G *= accumulator.multiplicity[columns]
            if isinstance(weights, TileWeights):
                w = without_self(
                    weights.tile(rows, columns, s.dtype), rows, columns, accumulator.self_offset, 0.0
                )
                w = raised(w, G) if weights.regularised else w
                G.mul_(coefficient[rows]).addcmul_(w, g[rows, None], value=-1)
            else:
                G *= coefficient[rows]
            block.addmm_(G.T, z[rows])  # (columns, rows) @ (rows, D)
        dk[columns] = candidates.project(block, columns, k)
    return dk


def _add_self(block: Tensor, rows: Tensor, columns: slice, self_offset: int) -> None:
    """Add what each anchor gives to the candidate it is, for the candidates of one block."""
    start, stop = max(columns.start, self_offset), min(columns.stop, self_offset + len(rows))
    if start < stop:
        block[start - columns.start : stop - columns.start] += rows[start - self_offset : stop - self_offset]
