"""All parameters of a group as one vector: one call per step for the optimiser, the average and the gradient norm."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn


class FlatParameters:
    """Parameters laid end to end in one buffer, of which each becomes a view.

    Optimiser, exponential average, gradient norm and the sum over ranks then cost one call instead of one per
    parameter. Lay parameters flat after the module is on its device; moving it afterwards breaks the views, and so does
    converting its memory format: the vector is trained then, and the module no longer sees it. Channels-last weights
    become contiguous ones, as files hold them; pictures may be channels-last all the same. Matrices that lie column
    after column stay so.

    Parameters
    ----------
    parameters : iterable of nn.Parameter
        Of one dtype and device. Those without ``requires_grad`` are left alone.

    Attributes
    ----------
    vector : nn.Parameter (n,)
        The values; ``vector.grad`` is the buffer that backward passes add to.
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self.parameters = [p for p in parameters if p.requires_grad]
        values = [_as_it_lies(p.detach()).reshape(-1) for p in self.parameters] or [torch.zeros(0)]
        self.vector = nn.Parameter(torch.cat(values))
        self.vector.grad = torch.zeros_like(self.vector)
        start = 0
        for p in self.parameters:
            stop = start + p.numel()
            p.grad = _laid_as(p, self.vector.grad[start:stop])
            p.data = _laid_as(p, self.vector.detach()[start:stop])
            start = stop

    sharded = False
    """Whether each rank trains a part of the values."""

    @property
    def vectors(self) -> list[nn.Parameter]:
        """What an optimiser trains: the one vector."""
        return [self.vector]

    def whole(self, parts: Sequence[Tensor]) -> Tensor:
        """Numbers for each value, (n,), from those for the tensors of :attr:`vectors`."""
        return parts[0]

    def parts(self, whole: Tensor) -> list[Tensor]:
        """Numbers for the tensors of :attr:`vectors`, from those for each value, (n,)."""
        return [whole]

    @property
    def intact(self) -> bool:
        """Whether the parameters still are views of the vector, which moving or converting their module ends."""
        first = self.parameters[0].detach()
        return first.data_ptr() == self.vector.data_ptr() and first.dtype == self.vector.dtype

    @property
    def grad(self) -> Tensor:
        """The gradient of every parameter, (n,)."""
        assert self.vector.grad is not None
        return self.vector.grad


def _is_by_columns(p: Tensor) -> bool:
    return p.dim() == 2 and not p.is_contiguous() and p.T.is_contiguous()


def _as_it_lies(p: Tensor) -> Tensor:
    """The same numbers, contiguous where they lie row after row or column after column."""
    return p.T if _is_by_columns(p) else p


def _laid_as(p: Tensor, numbers: Tensor) -> Tensor:
    """A view of so many numbers with the shape of ``p``, as :func:`_as_it_lies` takes it apart."""
    return numbers.view(p.T.shape).T if _is_by_columns(p) else numbers.view_as(p)
