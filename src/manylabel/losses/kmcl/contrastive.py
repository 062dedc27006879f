"""KMCL's kernel contrastive term: how alike two samples are under a label that the first of them has.

Only the pairs (sample, label) that occur in Y need a row of kernel values against the batch: ``sum|y|`` rows of
length B instead of B x B x C values. Rows are taken in tiles; the value and the gradient of a tile are made
together. Means and variances are (C, B, D) here, with D = 1 for isotropic mixtures.

The logarithm in the Bhattacharyya distance of two variances ``v`` and ``t`` is taken as ``log((v + t) / (2 sqrt(v t)))
= log1p((t - v)^2 / (4 v t)) / 2``: with many dimensions it is multiplied by a large number, and this form keeps its
precision where the variances are close.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from manylabel.kernels.choice import compiles, visit_kmcl_rows
from manylabel.labels import LabelMatrix
from manylabel.losses.second_derivatives import gradients_of, twice_differentiable
from manylabel.losses.softmax.tiles import rows_at_once

SHARE_EPS = 1e-7  # what the authors add inside the logarithm
_TILE = 1 << 17  # numbers in a tile
_LOG2E = math.log2(math.e)
_LARGEST_EXPONENT = 60.0  # up to this, powers can be summed without subtracting a maximum
_SELF_EXPONENT = -1e30  # the exponent of a sample's pair with itself


class PairKernel(NamedTuple):
    """``E = exp(exp(-bd) / tau)``, with ``factor = M / 2`` in front of the Bhattacharyya distance ``bd``."""

    factor: float
    temperature: float | Tensor  # a scalar tensor where its gradient is wanted


def kernel_pairs_dense(
    mu: Tensor, variance: Tensor, Y: LabelMatrix, kernel: PairKernel, anchors: slice
) -> Tensor:
    """The equation as it stands, by autograd, for every label at once; holds C x B x B x D.

    Parameters
    ----------
    mu, variance : (C, B, D) tensor
    Y : LabelMatrix (B, C)
    kernel : PairKernel
    anchors : slice
        The samples i whose values are wanted; the others are only their partners and rivals.

    Returns
    -------
    (anchors,) tensor
        ``-(1/|A(i)|) sum_{j in A(i)} sum_{k in y_i and y_j} log(J_ij E_ijk / S_ik + 1e-7)``.
    """
    y = Y.dense(mu.dtype)  # (B, C)
    own = torch.eye(len(y), dtype=torch.bool, device=y.device)[anchors]
    shared = (y[anchors] @ y.T).masked_fill(own, 0)
    jaccard = shared / (y[anchors].sum(1)[:, None] + y.sum(1) - shared).clamp(min=1)
    v, t = variance[:, anchors, None], variance[:, None]  # (C, anchors, 1, D), (C, 1, B, D)
    log_part = ((v - t).square() / (4 * v * t)).log1p()
    mean_part = (mu[:, anchors, None] - mu[:, None]).square() / (v + t)
    coefficient = (log_part + mean_part).sum(-1).mul(-kernel.factor / 2).exp()  # (C, anchors, B)
    exponent = (coefficient / kernel.temperature).masked_fill(own, _SELF_EXPONENT)
    if Y.has_unknown:
        exponent = exponent.masked_fill(Y.unknown.columns_first(torch.bool)[:, None], _SELF_EXPONENT)
    share = exponent.softmax(2)  # E_ijk / S_ik
    # (C, anchors, B): label k on both, and not the sample itself
    both = (y[anchors].T[:, :, None] * y.T[:, None]).masked_fill(own, 0)
    logs = (jaccard * share + SHARE_EPS).log() * both
    return -logs.sum((0, 2)) / shared.sign().sum(1).clamp(min=1)


def kernel_pairs_streamed(
    mu: Tensor, variance: Tensor, Y: LabelMatrix, kernel: PairKernel, anchors: slice, uniform: bool
) -> Tensor:
    """The values of :func:`kernel_pairs_dense`, a tile at a time and with a gradient of its own.

    ``uniform`` promises that the values of all samples will be multiplied by the same number; then the gradient
    is made in the forward pass.
    """
    tau = kernel.temperature if isinstance(kernel.temperature, Tensor) else None
    if tau is not None:
        kernel = kernel._replace(temperature=float(tau.detach()))
    return _Streamed.apply(mu, variance, tau, Y, kernel, anchors, uniform)  # type: ignore[no-any-return, no-untyped-call]


def _again(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    """The gradient as part of a graph, from the equation as it stands."""
    Y, kernel, anchors = ctx.problem
    mu, variance, tau, *_ = ctx.saved_tensors

    def values(mu: Tensor, variance: Tensor, tau: Tensor | None) -> Tensor:
        at = kernel if tau is None else kernel._replace(temperature=tau)
        return kernel_pairs_dense(mu, variance, Y, at, anchors)

    return *gradients_of(values, (mu, variance, tau), g), None, None, None, None


class _Streamed(torch.autograd.Function):
    """``(mu (C, B, D), variance (C, B, D), tau or None) -> (anchors,)``."""

    @staticmethod
    def forward(
        ctx: Any,
        mu: Tensor,
        variance: Tensor,
        tau: Tensor | None,
        Y: LabelMatrix,
        kernel: PairKernel,
        anchors: slice,
        uniform: bool,
    ) -> Tensor:
        ctx.problem = Y, kernel, anchors
        ctx.ready = uniform and any(ctx.needs_input_grad)
        weights = mu.new_ones(anchors.stop - anchors.start) if ctx.ready else None
        values, *gradients = _visit(mu, variance, Y, kernel, anchors, weights, learnt=tau is not None)
        ctx.save_for_backward(mu, variance, tau, *(gradients if ctx.ready else ()))
        return values

    @staticmethod
    @twice_differentiable(_again)
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        mu, variance, tau, *gradients = ctx.saved_tensors
        if ctx.ready:
            gradients = [gradient * (g[0] if len(g) else 0.0) for gradient in gradients]
        else:
            Y, kernel, anchors = ctx.problem
            _, *gradients = _visit(mu, variance, Y, kernel, anchors, g, learnt=tau is not None)
        by_mean, by_variance, by_temperature = gradients
        by_tau = None if tau is None else by_temperature.to(tau.dtype).reshape(tau.shape)
        return by_mean, by_variance, by_tau, None, None, None, None


def _visit(
    mu: Tensor,
    variance: Tensor,
    Y: LabelMatrix,
    kernel: PairKernel,
    anchors: slice,
    g: Tensor | None,
    learnt: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Values (anchors,) and, with the weights ``g`` (anchors,) of the values, gradients.

    Those of means and variances, and the scalar one of a temperature that is ``learnt``, which compiled code does not
    know. Buffers are made once: on a CPU, memory that is new for each tile costs more than the arithmetic on it.
    """
    mu, variance = mu.contiguous(), variance.contiguous()
    values = mu.new_zeros(anchors.stop - anchors.start)
    gradients = (values, values) if g is None else (torch.zeros_like(mu), torch.zeros_like(mu))
    carriers = Y.columns_first(mu.dtype)
    visit: _Compiled | _Tiled
    if not learnt and not Y.has_unknown and _Compiled.fits(mu, kernel):
        visit = _Compiled(mu, variance, carriers, kernel)
    else:
        hidden = Y.unknown.columns_first(torch.bool) if Y.has_unknown else None
        visit = _Tiled(mu, variance, carriers, kernel, hidden)
    for rows, samples, labels in _blocks(Y, anchors):
        jaccard, share_of_partner = _overlaps(Y, carriers, rows)
        place = slice(rows.start - anchors.start, rows.stop - anchors.start)
        weights = None if g is None else (g[place] * share_of_partner).mul_(-kernel.factor)
        visit(
            _Block(samples, labels, samples - rows.start, jaccard, share_of_partner, weights, values[place]),
            gradients,
        )
    by_temperature = visit.by_temperature if isinstance(visit, _Tiled) else mu.new_zeros(())
    return values, *gradients, by_temperature


class _Block(NamedTuple):
    """The rows (sample, label) of consecutive anchors.

    Attributes
    ----------
    samples, labels, places : (rows,) int64 tensors
        The place of a sample is its number in the block.
    jaccard : (block, B) tensor
    share_of_partner : (block,) tensor
        ``1 / |A(i)|``.
    weights : (block,) tensor, or None
        What turns slopes in distances into gradients, where those are wanted.
    values : (block,) tensor
        To be added to.
    """

    samples: Tensor
    labels: Tensor
    places: Tensor
    jaccard: Tensor
    share_of_partner: Tensor
    weights: Tensor | None
    values: Tensor


class _Tiled:
    """Visits to the rows (sample, label) of a block, a tile of rows at a time."""

    def __init__(
        self, mu: Tensor, variance: Tensor, carriers: Tensor, kernel: PairKernel, hidden: Tensor | None
    ) -> None:
        b = mu.shape[1]
        self.hidden = hidden  # (C, B) bool: kernels of unknown entries
        self.height = rows_at_once(b * mu.shape[2], _TILE)
        self.distance = _Distance(mu, variance, self.height)
        self.buffers = mu.new_empty(4, self.height, b)
        self.carriers, self.kernel = carriers, kernel
        self.by_temperature = mu.new_zeros(())

    def __call__(self, block: _Block, gradients: tuple[Tensor, Tensor]) -> None:
        """Add what a block gives to its values and to the gradients."""
        lists = (torch.split(t, self.height) for t in (block.samples, block.labels, block.places))
        for n, k, place in zip(*lists, strict=True):
            own = n[:, None]
            present, share, q, padded = self.buffers[:, : len(n)].unbind()
            exponent = _exponents(self.distance(n, k), self.kernel).scatter_(
                1, own, _SELF_EXPONENT
            )  # (rows, B)
            if self.hidden is not None:
                exponent.masked_fill_(self.hidden[k], _SELF_EXPONENT)
            torch.softmax(exponent, 1, out=share)  # E / S
            torch.index_select(self.carriers, 0, k, out=present).scatter_(1, own, 0.0)
            torch.index_select(block.jaccard, 0, place, out=q).mul_(present).mul_(share)
            torch.add(q, SHARE_EPS, out=padded)
            f = q.div_(padded)  # minus the slope of the logarithms in log(E / S)
            logs = padded.log_().mul_(present).sum(1).mul_(block.share_of_partner[place])
            block.values.index_add_(0, place, logs, alpha=-1)
            if block.weights is not None:
                slope = share.mul_(f.sum(1, keepdim=True)).sub_(f).mul_(exponent)
                slope.mul_(block.weights[place, None])
                # an exponent is a power of -bd over tau: its slopes in tau and in bd are alike but for 1 / tau
                self.by_temperature += slope.sum().div_(self.kernel.factor * self.kernel.temperature)
                self.distance.scatter(slope, *gradients)


class _Compiled:
    """Visits to the rows (sample, label) of a block by compiled code; called as :class:`_Tiled`."""

    def __init__(self, mu: Tensor, variance: Tensor, carriers: Tensor, kernel: PairKernel) -> None:
        self.lines = [*(t.squeeze(2) for t in (mu, variance, variance.reciprocal())), carriers]  # (C, B) each
        scale = -math.log2(kernel.temperature)
        self.constants = mu.new_tensor([kernel.factor * _LOG2E, scale, SHARE_EPS])

    @staticmethod
    def fits(mu: Tensor, kernel: PairKernel) -> bool:
        """Whether there is such code, and its powers need no maximum subtracted."""
        bounded = float(kernel.temperature) * _LARGEST_EXPONENT >= 1
        return mu.shape[2] == 1 and bounded and compiles(mu.dtype, mu.device)

    def __call__(self, block: _Block, gradients: tuple[Tensor, Tensor]) -> None:
        *lists, weights, values = block
        if weights is None:
            weights, results = values[:0], (values[None], values[None])
        else:
            results = gradients[0].squeeze(2), gradients[1].squeeze(2)
        visit_kmcl_rows(*lists, weights, values, *results, *self.lines, self.constants)


def _exponents(distance: Tensor, kernel: PairKernel) -> Tensor:
    """``exp(-bd) / tau`` from distances times 2/M, which are overwritten; as good as 0 below 1e-37."""
    scale = distance.new_tensor(-math.log2(kernel.temperature))
    torch.sub(scale, distance, alpha=kernel.factor * _LOG2E, out=distance)
    return distance.clamp_(min=-125.0).exp2_()


def _blocks(Y: LabelMatrix, anchors: slice) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Blocks of anchors, with the rows (sample, label) of each whose label another sample has too."""
    if anchors.stop <= anchors.start:
        return
    paired = Y.label_counts() > 1
    lists = Y.take(anchors).sparse()
    kept = lists.spread_labels(paired)
    samples, labels = lists.rows[kept].long(), lists.columns[kept].long()
    size = rows_at_once(Y.n_rows, _TILE)
    per_sample = torch.bincount(samples, minlength=lists.n_rows)
    lengths = [int(part.sum()) for part in torch.split(per_sample, size)]
    samples += anchors.start
    starts = range(anchors.start, anchors.stop, size)
    for start, n, k in zip(starts, torch.split(samples, lengths), torch.split(labels, lengths), strict=True):
        yield slice(start, min(start + size, anchors.stop)), n, k


def _overlaps(Y: LabelMatrix, carriers: Tensor, block: slice) -> tuple[Tensor, Tensor]:
    """``J_ij`` of a block of samples with the others (block, B), and ``1 / |A(i)|`` (block,)."""
    counts = Y.row_counts(carriers.dtype)
    shared = Y.take(block).row_sums(carriers)  # (block, B)
    shared.diagonal(block.start).zero_()
    partners = shared.sign().sum(1)
    union = (counts[block, None] + counts).sub_(shared).clamp_(min=1)
    return shared.div_(union), partners.clamp_(min=1).reciprocal_()


class _Distance:
    """Bhattacharyya distances, times 2/M, of up to ``height`` rows (sample n, label k) from the batch under k."""

    def __init__(self, mu: Tensor, variance: Tensor, height: int) -> None:
        self.mu, self.variance = mu, variance
        self.buffers = mu.new_empty(5, height, *mu.shape[1:])

    def __call__(self, n: Tensor, k: Tensor) -> Tensor:
        """``sum_d log((v + t) / (2 sqrt(v t))) + (mu_v - mu_t)^2 / (2 (v + t))``, (rows, B)."""
        self.k, self.row = k, k * self.mu.shape[1] + n
        self.own = own = self.variance.flatten(0, 1)[self.row][:, None]  # (rows, 1, D)
        other, total, gap, shift, terms = self.buffers[:, : len(n)].unbind()  # (rows, B, D)
        torch.index_select(self.variance, 0, k, out=other)
        torch.add(other, own, out=total)
        torch.sub(other, own, out=gap)
        torch.mul(gap, gap, out=terms).div_(torch.mul(other, 4 * own, out=shift)).log1p_()
        self.other, self.ratio, self.spare = other, gap.div_(total), shift
        torch.index_select(self.mu, 0, k, out=shift).sub_(self.mu.flatten(0, 1)[self.row][:, None])
        self.pull = torch.div(shift, total, out=total)
        terms.addcmul_(shift, self.pull).mul_(0.5)
        return terms.squeeze(2) if terms.shape[2] == 1 else terms.sum(2)

    def scatter(self, slope: Tensor, by_mean: Tensor, by_variance: Tensor) -> None:
        """Add ``slope`` (rows, B) times the slopes of these distances in means and variances (C, B, D)."""
        slope = slope[:, :, None]
        part = torch.mul(self.pull, slope, out=self.spare)
        by_mean.index_add_(0, self.k, part)
        by_mean.flatten(0, 1).index_add_(0, self.row, part.sum(1), alpha=-1)
        part.mul_(self.pull)
        log_part = self.ratio.mul_(slope)
        own = (log_part.sum(1) / self.own.squeeze(1)).add_(part.sum(1))
        by_variance.flatten(0, 1).index_add_(0, self.row, own, alpha=-0.5)
        by_variance.index_add_(0, self.k, log_part.div_(self.other).sub_(part), alpha=0.5)
