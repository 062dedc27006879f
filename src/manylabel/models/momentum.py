"""The momentum encoder: a slow copy of the query network that makes the keys."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from manylabel.errors import ManyLabelError
from manylabel.models.flat import FlatParameters


class MomentumEncoder(nn.Module):
    """A copy of a network whose parameters follow the original's exponentially.

    Parameters
    ----------
    query : nn.Module
        The network that is trained.
    query_parameters : FlatParameters
        The parameters of ``query``, laid flat.
    momentum : float, default 0.999
        ``m`` in ``theta_k <- m theta_k + (1 - m) theta_q``.

    Notes
    -----
    Only parameters are averaged. The key network stays in training mode, so its batch norms normalise with the
    statistics of the key batch; their running statistics are kept in its own buffers, are never copied from the query
    network and never read. The average of parameters of a half type is kept in float32, in the buffer ``average``: a
    step of it is mostly too small for their digits.

    Call :meth:`update` once per step, before the keys of the step are made.
    """

    average: Tensor | None

    def __init__(self, query: nn.Module, query_parameters: FlatParameters, momentum: float = 0.999) -> None:
        super().__init__()
        self.network = copy.deepcopy(query)
        self.momentum = momentum
        self._theirs = query_parameters
        self._ours = FlatParameters(self.network.parameters())
        self._ours.vector.grad = None
        for p in self.network.parameters():
            p.grad = None
            p.requires_grad_(False)
        ours = self._ours.vector.detach()
        self.register_buffer("average", ours.float() if ours.dtype.itemsize < 4 else None)

    @torch.no_grad()
    def update(self) -> None:
        """One step of the average.

        Raises
        ------
        ManyLabelError
            If a network was moved or converted after its parameters were laid flat.
        """
        if not (self._ours.intact and self._theirs.intact):
            hint = "Move or convert the network first, then lay its parameters flat and make the momentum encoder."
            got = "one that was moved or converted since"
            raise ManyLabelError("MomentumEncoder", "a network that lies flat", got, hint)
        if self.average is None:
            self._ours.vector.lerp_(self._theirs.vector, 1 - self.momentum)
            return
        self.average.lerp_(self._theirs.vector.to(self.average.dtype), 1 - self.momentum)
        self._ours.vector.copy_(self.average)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Embeddings without gradient, (B, ...) -> (B, D)."""
        out: Tensor = self.network(x)
        return out
