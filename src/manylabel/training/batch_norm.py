"""Batch norm over the rows of all ranks, on any device on which ranks can add tensors."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from manylabel.losses.distributed import Shard
from manylabel.training.distributed import Ranks


class _OverRanks(nn.modules.batchnorm._BatchNorm):
    """Mean and variance of a training step are those of the rows of all ranks, (B, C, ...) -> (B, C, ...).

    Two sums over the ranks: of the numbers, then of their squared distances from the mean, for a difference of squares
    would lose the digits of a small variance. ``torch.nn.SyncBatchNorm`` takes GPUs alone.
    """

    def forward(self, input: Tensor) -> Tensor:
        group = Ranks.current().group
        if not self.training or group is None:
            return super().forward(input)
        numbers, shard = input.float().movedim(1, -1), Shard(group)  # (B, ..., C)
        axes = tuple(range(input.ndim - 1))
        count = numbers.new_tensor([input.numel() / input.shape[1]])
        sums = shard.total(torch.cat([numbers.sum(axes), count]))
        n = sums[-1].detach()
        centred = numbers - sums[:-1] / n
        variance = shard.total(centred.square().sum(axes)) / n
        self._follow(sums[:-1].detach() / n, variance.detach() * n / (n - 1))
        out = centred * (variance + self.eps).rsqrt()
        if self.affine:
            out = out * self.weight + self.bias
        return out.movedim(-1, 1).to(input.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        """Running statistics move towards those of the step."""
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


class _OverRanks1d(_OverRanks, nn.BatchNorm1d):
    pass


class _OverRanks2d(_OverRanks, nn.BatchNorm2d):
    pass


_OF_KIND: dict[type[nn.Module], type[nn.Module]] = {
    nn.BatchNorm1d: _OverRanks1d,
    nn.BatchNorm2d: _OverRanks2d,
}
_BACK = {ours: theirs for theirs, ours in _OF_KIND.items()}


def synchronise(network: nn.Module, on: bool) -> None:
    """Let the batch norms of a network look at the rows of all ranks, or of each rank by itself.

    They stay the same objects, so that flat parameters, checkpoints and saved models know nothing of it.
    """
    kinds = _OF_KIND if on else _BACK
    for module in network.modules():
        module.__class__ = kinds.get(type(module), type(module))
