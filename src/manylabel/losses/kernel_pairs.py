"""KMCL's kernel contrastive term: how alike two samples are under a label that the first of them has.

Only the pairs (sample, label) that occur in Y need a row of kernel values against the batch: ``sum|y|`` rows of
length B instead of B x B x C values. Rows are taken in tiles; the value and the gradient of a tile are made
together. Means and standard deviations are (C, B, D) here, with D = 1 for isotropic mixtures.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from manylabel.labels import LabelMatrix
from manylabel.losses.precision import full_precision

SHARE_EPS = 1e-7  # what the authors add inside the logarithm
_TILE = 1 << 16  # numbers in a tile
_LOG2E = math.log2(math.e)
_OWN = -1e30  # the exponent of a sample's pair with itself


class PairKernel(NamedTuple):
    """``E = exp(exp(-bd) / tau)``, with ``factor = M / 2`` in front of the Bhattacharyya distance ``bd``."""

    factor: float
    temperature: float


def kernel_pairs_dense(mu: Tensor, sd: Tensor, Y: LabelMatrix, kernel: PairKernel) -> Tensor:
    """The equation as it stands, by autograd, for every label at once; holds C x B x B x D.

    Returns
    -------
    (B,) tensor
        ``-(1/|A(i)|) sum_{j in A(i)} sum_{k in y_i and y_j} log(J_ij E_ijk / S_ik + 1e-7)``.
    """
    y = Y.dense(mu.dtype)
    own = torch.eye(len(y), dtype=torch.bool, device=y.device)
    shared = (y @ y.T).masked_fill(own, 0)
    jaccard = shared / (y.sum(1)[:, None] + y.sum(1) - shared).clamp(min=1)
    s, t = sd[:, :, None], sd[:, None]  # (C, B, 1, D), (C, 1, B, D)
    log_part = ((s - t).square() / (2 * s * t)).log1p()
    mean_part = (mu[:, :, None] - mu[:, None]).square() / (s.square() + t.square()) / 2
    coefficient = (log_part + mean_part).sum(-1).mul(-kernel.factor).exp()  # (C, B, B)
    share = (coefficient / kernel.temperature).masked_fill(own, _OWN).softmax(2)  # E_ijk / S_ik
    both = (y.T[:, :, None] * y.T[:, None]).masked_fill(own, 0)
    logs = (jaccard * share + SHARE_EPS).log() * both
    return -logs.sum((0, 2)) / shared.sign().sum(1).clamp(min=1)


def kernel_pairs_streamed(
    mu: Tensor, sd: Tensor, Y: LabelMatrix, kernel: PairKernel, uniform: bool
) -> Tensor:
    """The values of :func:`kernel_pairs_dense`, a tile at a time and with a gradient of its own.

    ``uniform`` promises that the values of all samples will be multiplied by the same number; then the gradient
    is made in the forward pass.
    """
    return _Streamed.apply(mu, sd, Y, kernel, uniform)  # type: ignore[no-any-return, no-untyped-call]


class _Streamed(torch.autograd.Function):
    """``(mu (C, B, D), sd (C, B, D)) -> (B,)``."""

    @staticmethod
    def forward(
        ctx: Any, mu: Tensor, sd: Tensor, Y: LabelMatrix, kernel: PairKernel, uniform: bool
    ) -> Tensor:
        mu, sd = mu.contiguous(), sd.contiguous()
        ctx.problem = Y, kernel
        ctx.ready = uniform and any(ctx.needs_input_grad)
        weights = mu.new_ones(mu.shape[1]) if ctx.ready else None
        values, *gradients = _visit(mu, sd, Y, kernel, weights)
        ctx.save_for_backward(*(gradients if ctx.ready else (mu, sd)))
        return values

    @staticmethod
    @once_differentiable
    @full_precision
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.ready:
            dmu, dsd = (gradient * g[0] for gradient in ctx.saved_tensors)
        else:
            _, dmu, dsd = _visit(*ctx.saved_tensors, *ctx.problem, g)
        return dmu, dsd, None, None, None


def _visit(
    mu: Tensor, sd: Tensor, Y: LabelMatrix, kernel: PairKernel, g: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Values (B,) and, with the weights ``g`` (B,) of the values, the gradients of means and deviations."""
    values = mu.new_zeros(mu.shape[1])
    dmu, dsd = (torch.zeros_like(mu), torch.zeros_like(sd)) if g is not None else (values, values)
    height = max(_TILE // max(mu.shape[1] * mu.shape[2], 1), 1)
    for n, k, present, jaccard, partners in _rows(Y, height, mu.dtype):
        distance = _Distance(mu, sd, n, k)
        coefficient = distance().mul_(-kernel.factor * _LOG2E).exp2_()  # (rows, B)
        share = (coefficient / kernel.temperature).scatter_(1, n[:, None], _OWN).softmax(1)  # E / S
        q = jaccard.mul_(share)
        padded = q + SHARE_EPS
        f = q.div_(padded)  # minus the slope of the logarithms in log(E / S)
        values.index_add_(0, n, padded.log_().mul_(present).sum(1).div_(partners), alpha=-1)
        if g is not None:
            slope = share.mul_(f.sum(1, keepdim=True)).sub_(f).mul_(coefficient)
            weight = g[n].div_(partners).mul_(-kernel.factor / kernel.temperature)
            distance.scatter(slope.mul_(weight[:, None]), dmu, dsd)
    return values, dmu, dsd


def _rows(Y: LabelMatrix, height: int, dtype: torch.dtype) -> Iterator[tuple[Tensor, ...]]:
    """Tiles of rows (sample n, label k) whose label another sample has too, in the order of the samples.

    Yields
    ------
    n, k : (rows,) int64
    present, jaccard : (rows, B)
        1 and ``J_nj`` for the other samples j that have label k, 0 for the rest.
    partners : (rows,)
        ``|A(n)|``.
    """
    lists, carriers, counts = Y.sparse(), Y.columns_first(dtype), Y.row_counts(dtype)
    paired = lists.spread_labels(lists.label_counts()) > 1
    samples, labels = lists.rows[paired].long(), lists.columns[paired].long()
    for start in range(0, len(samples), height):
        n, k = samples[start : start + height], labels[start : start + height]
        first = int(n[0])
        block = slice(first, int(n[-1]) + 1)
        shared = lists.take(block).row_sums(carriers)  # (samples of the tile, B)
        shared.diagonal(first).zero_()
        partners = shared.sign().sum(1)
        jaccard = shared / (counts[block, None] + counts).sub_(shared)
        present = carriers.index_select(0, k).scatter_(1, n[:, None], 0.0)
        yield n, k, present, jaccard.index_select(0, n - first).mul_(present), partners[n - first]


class _Distance:
    """Bhattacharyya distances, times 2/M, of some rows (sample n, label k) from all samples under label k.

    ``s`` and ``t`` stand for the deviations of the row's own sample and of the others.
    """

    def __init__(self, mu: Tensor, sd: Tensor, n: Tensor, k: Tensor) -> None:
        self.k, self.row = k, k * mu.shape[1] + n
        self.s = sd.flatten(0, 1)[self.row][:, None]  # (rows, 1, D)
        self.t = sd.index_select(0, k)  # (rows, B, D)
        self.gap = self.t - self.s
        self.total = torch.addcmul(self.s.square(), self.t, self.t)
        self.shift = mu.index_select(0, k).sub_(mu.flatten(0, 1)[self.row][:, None])
        self.pull = self.shift / self.total

    def __call__(self) -> Tensor:
        """``sum_d log((s^2 + t^2) / (2 s t)) + (mu_s - mu_t)^2 / (2 (s^2 + t^2))``, (rows, B)."""
        terms = self.gap.square().div_(self.t * (2 * self.s)).log1p_()
        terms.addcmul_(self.shift, self.pull, value=0.5)
        return terms.squeeze(2) if terms.shape[2] == 1 else terms.sum(2)

    def scatter(self, slope: Tensor, dmu: Tensor, dsd: Tensor) -> None:
        """Add ``slope`` (rows, B) times the slopes of these distances in means and deviations (C, B, D)."""
        slope = slope[:, :, None]
        by_mean = slope * self.pull
        dmu.index_add_(0, self.k, by_mean)
        dmu.flatten(0, 1).index_add_(0, self.row, by_mean.sum(1), alpha=-1)
        by_log = self.gap.mul_(self.t + self.s).div_(self.total).mul_(slope)
        by_square = by_mean.mul_(self.pull)
        s = self.s.squeeze(1)
        own = (by_log.sum(1) / s).addcmul_(by_square.sum(1), s)
        dsd.flatten(0, 1).index_add_(0, self.row, own, alpha=-1)
        dsd.index_add_(0, self.k, by_log.div_(self.t).addcmul_(by_square, self.t, value=-1))
