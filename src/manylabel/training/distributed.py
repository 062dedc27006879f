"""Ranks: the few collective operations that training needs, without effect in a single process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Ranks:
    """The processes that train together.

    Attributes
    ----------
    rank : int
        Number of this process, from 0.
    world : int
        How many there are; 1 without ``torch.distributed``.
    """

    rank: int = 0
    world: int = 1

    @classmethod
    def current(cls) -> Ranks:
        if dist.is_available() and dist.is_initialized():
            return cls(dist.get_rank(), dist.get_world_size())
        return cls()

    @property
    def first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    @property
    def group(self) -> dist.ProcessGroup | None:
        """What a loss over all ranks takes as its ``group``; None in a single process."""
        return dist.group.WORLD if self.world > 1 else None

    def mean_(self, tensor: Tensor) -> Tensor:
        """Replace a tensor by its mean over the ranks."""
        if self.world > 1:
            dist.all_reduce(tensor)
            tensor.div_(self.world)
        return tensor

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum of a tensor over the ranks, without gradient."""
        total = tensor.detach().clone()
        if self.world > 1:
            dist.all_reduce(total)
        return total

    def weigh(self, mean: Tensor, n: int) -> Tensor:
        """A mean over n rows of this rank, weighed so that its mean over the ranks is that over the rows of all."""
        if self.world == 1:
            return mean
        return mean * (n * self.world / self.sum(mean.new_tensor(float(n))))

    def copy_first_(self, tensor: Tensor) -> Tensor:
        """Replace a tensor by that of the first rank."""
        if self.world > 1:
            whole = tensor.contiguous()
            dist.broadcast(whole, src=0)
            if whole is not tensor:
                tensor.copy_(whole)
        return tensor

    def gather(self, tensor: Tensor) -> Tensor:
        """The rows of all ranks, in the order of the ranks and without gradient; every rank has equally many."""
        if self.world == 1:
            return tensor
        parts = [torch.empty_like(tensor) for _ in range(self.world)]
        dist.all_gather(parts, tensor.contiguous())
        return torch.cat(parts)

    def agree(self, answer: bool) -> bool:
        """The first rank's answer, known to all."""
        if self.world == 1:
            return answer
        return bool(self.copy_first_(torch.tensor(int(answer))).item())


@contextmanager
def joined() -> Iterator[Ranks]:
    """Join the processes that ``torchrun`` started, and leave them at the end; alone, do nothing."""
    started = int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized()
    if started:
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield Ranks.current()
        if started:
            dist.barrier()  # one that left earlier would break another that still joins
    finally:
        if started:
            dist.destroy_process_group()
