"""A batch against itself under weights that are not symmetric, or that depend on the softmax.

The normalisers come first; a second visit to each pair makes both of its weights, the values and, where
every anchor will be multiplied by the same number, the gradient in the same pass.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from manylabel.losses.precision import full_precision, working_dtype
from manylabel.losses.softmax.job import LN2, Job, without_own
from manylabel.losses.softmax.mutual import add_sums, normalisers, pairs
from manylabel.losses.softmax.rows import ALL, Rows, Scratch, tile_shape
from manylabel.losses.softmax.weights import PairWeights, TileWeights


class _NoWeights(PairWeights):
    """Asks a walk for normalisers alone."""

    def tile(self, rows: slice, columns: slice, dtype: torch.dtype) -> Tensor:
        raise AssertionError


class Lopsided(torch.autograd.Function):
    """``(x, job) -> values, totals``; no row is its own candidate."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, job: Job) -> tuple[Tensor, Tensor]:
        assert isinstance(job.weights, TileWeights)
        rows = Rows(x, job.normalize, working_dtype(x))
        bounded = job.bounded(rows, rows)
        lse = normalisers(rows, replace(job, weights=_NoWeights()), bounded).log2()
        totals = job.weights.totals
        g = torch.full_like(lse, 1 / job.temperature) if ctx.needs_input_grad[0] and job.uniform else None
        score, dz = _visit(rows, job, lse, totals, g, bounded)
        ctx.job, ctx.rows, ctx.bounded = job, rows, bounded
        ctx.save_for_backward(lse, totals, None if dz is None else rows.project(dz, ALL))
        ctx.mark_non_differentiable(totals)
        return (totals * lse).sub_(score).mul_(LN2), totals

    @staticmethod
    @once_differentiable
    @full_precision
    def backward(ctx: Any, g: Tensor, _: Tensor) -> tuple[Tensor, None]:
        job, rows = ctx.job, ctx.rows
        lse, totals, dz = ctx.saved_tensors
        if dz is not None:
            return (dz * g[0]).to(rows.x.dtype), None
        _, dz = _visit(rows, job, lse, totals, g / job.temperature, ctx.bounded)
        assert dz is not None
        return rows.project(dz, ALL).to(rows.x.dtype), None


def _visit(
    rows: Rows, job: Job, lse: Tensor, totals: Tensor, g: Tensor | None, bounded: bool
) -> tuple[Tensor, Tensor | None]:
    """Weighted sums of exponents (N,), and with ``g`` (N,) the gradient of all normalised rows (N, D).

    With ``job.uniform`` the sums are right in total and not for each row.
    """
    weights = job.weights
    assert isinstance(weights, TileWeights)
    score = torch.zeros_like(lse)
    dz = None if g is None else torch.zeros(rows.n, rows.dim, dtype=rows.dtype, device=rows.x.device)
    u = None if g is None else g * totals
    likelihoods = _Likelihoods(rows, job, lse, bounded)
    spare = Scratch(tile_shape(rows.n, rows.n, lse.device), lse)
    for block, columns, diagonal in pairs(rows.n, lse.device):
        s, p, q, z, k = likelihoods.tile(block, columns, diagonal)
        there, back = (
            without_own(w, block, columns, 0 if diagonal else None, 0.0)
            for w in weights.both(block, columns, s.dtype)
        )
        buffer = spare.tile(*s.shape)
        if weights.regularised:
            _raise(there, p, buffer)
            _raise(back, q, buffer)
        if not job.uniform:
            add_sums(score, there * s, back * s, block, columns, diagonal)
        if g is not None and u is not None and dz is not None:
            G = p.mul_(u[block, None]).addcmul_(q, u[columns])
            G.addcmul_(there, g[block, None], value=-1).addcmul_(back, g[columns], value=-1)
            dz[block].addmm_(G, k)
            if not diagonal:
                dz[columns].addmm_(G.T, z)
        if job.uniform:
            both = there.add_(back).mul_(s)
            score[block] += both.sum(1).mul_(0.5 if diagonal else 1.0)
    return score, dz


class _Likelihoods:
    """Tiles of exponents ``s`` and of both softmaxes, ``p_ij`` and ``p_ji``, own pairs 0."""

    def __init__(self, rows: Rows, job: Job, lse: Tensor, bounded: bool) -> None:
        self.rows, self.lse, self.factor = rows, lse, job.factor
        self.share = (-lse).exp2_() if bounded else None  # 2^-lse
        height, width = tile_shape(rows.n, rows.n, lse.device)
        self.s, self.p, self.q = (Scratch((height, width), lse) for _ in range(3))
        self.z = Scratch((height, rows.dim), lse)
        self.k, self.at = lse, slice(0)

    def tile(self, block: slice, columns: slice, diagonal: bool) -> tuple[Tensor, ...]:
        """``s``, ``p_ij``, ``p_ji`` (block, columns), and the normalised rows and columns."""
        if columns != self.at:
            self.k, self.at = self.rows.tile(columns), columns
        z = self.rows.tile(block, self.z)
        s = self.s.product(z, self.k, self.factor)
        p, q = self.p.tile(*s.shape), self.q.tile(*s.shape)
        own = 0 if diagonal else None
        if self.share is None:
            torch.sub(s, self.lse[block, None], out=p)
            torch.sub(s, self.lse[columns], out=q)
            without_own(p, block, columns, own, -torch.inf).exp2_()
            without_own(q, block, columns, own, -torch.inf).exp2_()
        else:
            without_own(torch.exp2(s, out=q), block, columns, own, 0.0)
            torch.mul(q, self.share[block, None], out=p)
            q.mul_(self.share[columns])
        return s, p, q, z, self.k


def _raise(w: Tensor, p: Tensor, buffer: Tensor) -> None:
    """``max(w, p)`` where w is positive, 0 elsewhere, in place of w."""
    positive = torch.sign(w, out=buffer)
    torch.maximum(w, p, out=w).mul_(positive)
