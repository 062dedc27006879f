"""Losses over several processes: each holds some of the anchors, all of them see every candidate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F

from manylabel.labels import LabelMatrix, SparseLabels


@dataclass(frozen=True)
class Shard:
    """The part of a batch that this process holds.

    Every rank of the group must make the same calls in the same order; shards may differ in size.
    """

    group: dist.ProcessGroup

    def rows(self, x: Tensor) -> Tensor:
        """The rows of all ranks in the order of the ranks, with gradient, (n, ...) -> (N, ...)."""
        return _Gather.apply(x, self.group)  # type: ignore[no-any-return, no-untyped-call]

    def labels(self, Y: LabelMatrix) -> SparseLabels:
        """The labels of all ranks, in the order of the ranks."""
        own = Y.sparse()
        lengths = self.rows(own.offsets.diff())
        traits = torch.tensor(
            [own.weights is not None, own.has_unknown], dtype=torch.float32, device=own.device
        )
        soft, unknown = (self.total(traits) > 0).tolist()  # of any rank: all make the same calls
        weights = None
        if soft:
            stored = torch.ones_like(own.columns) if own.weights is None else own.weights
            weights = self.rows(stored.float())
        offsets = F.pad(lengths.cumsum(0), (1, 0))
        found = SparseLabels(offsets, self.rows(own.columns), weights, Y.n_labels, trusted=True)
        return found.with_unknown(self.labels(own.unknown)) if unknown else found

    def first(self, n: int) -> int:
        """The place of this rank's first row among all rows."""
        sizes = _sizes(n, self.group)
        return sum(sizes[: dist.get_rank(self.group)])

    def total(self, x: Tensor) -> Tensor:
        """The sum over all ranks.

        Its gradient is that of the sum of the values of all ranks, as everywhere in ``torch.distributed``.
        """
        return _Total.apply(x, self.group)  # type: ignore[no-any-return, no-untyped-call]

    def part(self, n: int) -> slice:
        """A share of n things for this rank."""
        rank, world = dist.get_rank(self.group), dist.get_world_size(self.group)
        return slice(n * rank // world, n * (rank + 1) // world)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: dist.ProcessGroup) -> Tensor:
        sizes = _sizes(len(x), group)
        ctx.group, ctx.first, ctx.n = group, sum(sizes[: dist.get_rank(group)]), len(x)
        sent = x.new_zeros(max(sizes), *x.shape[1:])
        sent[: len(x)] = x
        parts = [torch.empty_like(sent) for _ in sizes]
        dist.all_gather(parts, sent, group=group)
        return torch.cat([part[:n] for part, n in zip(parts, sizes, strict=True)])

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        g = g.contiguous().clone()
        dist.all_reduce(g, group=ctx.group)
        return g[ctx.first : ctx.first + ctx.n], None


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: dist.ProcessGroup) -> Tensor:
        ctx.group = group
        total = x.detach().clone()
        dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        g = g.clone()
        dist.all_reduce(g, group=ctx.group)
        return g, None


def _sizes(n: int, group: dist.ProcessGroup) -> list[int]:
    """The numbers of rows of all ranks."""
    device = "cuda" if dist.get_backend(group) == "nccl" else "cpu"
    counts = torch.zeros(dist.get_world_size(group), dtype=torch.int64, device=device)
    counts[dist.get_rank(group)] = n
    dist.all_reduce(counts, group=group)
    return [int(c) for c in counts]
