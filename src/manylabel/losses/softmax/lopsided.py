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
from manylabel.losses.softmax.rows import ALL, Rows
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
        score, dz = _visit(rows, job, lse, totals, g)
        ctx.job, ctx.rows = job, rows
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
        _, dz = _visit(rows, job, lse, totals, g / job.temperature)
        assert dz is not None
        return rows.project(dz, ALL).to(rows.x.dtype), None


def _visit(
    rows: Rows, job: Job, lse: Tensor, totals: Tensor, g: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Weighted sums of exponents (N,), and with ``g`` (N,) the gradient of all normalised rows (N, D)."""
    weights = job.weights
    assert isinstance(weights, TileWeights)
    score = torch.zeros_like(lse)
    dz = None if g is None else torch.zeros(rows.n, rows.dim, dtype=rows.dtype, device=rows.x.device)
    k, start = lse, -1
    for block, columns, diagonal in pairs(rows.n, lse.device):
        if columns.start != start:
            k, start = rows.tile(columns), columns.start
        z = rows.tile(block)
        s = (z * job.factor) @ k.T  # (block, columns)
        own = 0 if diagonal else None
        there, back = (
            without_own(w, block, columns, own, 0.0) for w in weights.both(block, columns, s.dtype)
        )
        p = without_own(s - lse[block, None], block, columns, own, -torch.inf).exp2_()
        q = without_own(s - lse[columns], block, columns, own, -torch.inf).exp2_()
        if weights.regularised:
            there, back = _at_least(there, p), _at_least(back, q)
        add_sums(score, there * s, back * s, block, columns, diagonal)
        if g is None or dz is None:
            continue
        u = g * totals
        G = p.mul_(u[block, None]).addcmul_(q, u[columns])
        G.addcmul_(there, g[block, None], value=-1).addcmul_(back, g[columns], value=-1)
        dz[block].addmm_(G, k)
        if not diagonal:
            dz[columns].addmm_(G.T, z)
    return score, dz


def _at_least(w: Tensor, p: Tensor) -> Tensor:
    """``max(w, p)`` where w is positive, 0 elsewhere."""
    return torch.maximum(w, p).mul_(w.sign())
