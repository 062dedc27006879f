"""The momentum encoder: a slow copy of the query network that makes the keys."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

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
    network and never read. Call :meth:`update` once per step, before the keys of the step are made.
    """

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

    @torch.no_grad()
    def update(self) -> None:
        """One step of the average."""
        self._ours.vector.lerp_(self._theirs.vector, 1 - self.momentum)

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Embeddings without gradient, (B, ...) -> (B, D)."""
        out: Tensor = self.network(x)
        return out
