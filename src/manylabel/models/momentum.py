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
    query_parameters : FlatParameters or None, default None
        The parameters of ``query``, laid flat, which makes an update one call; without them, the networks may move to
        another device afterwards, as they do in trainers of other libraries.
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

    def __init__(
        self, query: nn.Module, query_parameters: FlatParameters | None = None, momentum: float = 0.999
    ) -> None:
        super().__init__()
        self.network = copy.deepcopy(query)
        self.momentum = momentum
        self._flat: tuple[FlatParameters, ...] = ()
        self._theirs, self._ours = _trained(query), _trained(self.network)
        if query_parameters is not None:
            self._flat = query_parameters, FlatParameters(self._ours)
            self._theirs, self._ours = ([flat.vector] for flat in self._flat)
            self._ours[0].grad = None
        self._dtype = self._ours[0].dtype if self._ours else torch.float32
        for p in self.network.parameters():
            p.grad = None
            p.requires_grad_(False)
        small = self._dtype.itemsize < 4
        self.register_buffer("average", _joined(self._ours).float() if small else None)

    @torch.no_grad()
    def update(self) -> None:
        """One step of the average.

        Raises
        ------
        ManyLabelError
            If a network was converted to another type since, or moved after its parameters were laid flat.
        """
        if not all(flat.intact for flat in self._flat) or any(p.dtype != self._dtype for p in self._ours):
            hint = "Move or convert the network first, then lay its parameters flat and make the momentum encoder."
            got = "one that was moved or converted since"
            expected = "a network that lies flat" if self._flat else f"a network of {self._dtype}"
            raise ManyLabelError("MomentumEncoder", expected, got, hint)
        if self.average is None:
            for ours, theirs in zip(self._ours, self._theirs, strict=True):
                ours.lerp_(theirs, 1 - self.momentum)
            return
        self.average.lerp_(_joined(self._theirs).to(self.average.dtype), 1 - self.momentum)
        sizes = [p.numel() for p in self._ours]
        parts = self.average.split(sizes)  # type: ignore[no-untyped-call]
        for ours, part in zip(self._ours, parts, strict=True):
            ours.copy_(part.view_as(ours))

    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        """Embeddings without gradient, (B, ...) -> (B, D)."""
        out: Tensor = self.network(x)
        return out


def _trained(network: nn.Module) -> list[nn.Parameter]:
    return [p for p in network.parameters() if p.requires_grad]


def _joined(parameters: list[nn.Parameter]) -> Tensor:
    """All parameters as one vector."""
    return torch.cat([p.detach().reshape(-1) for p in parameters])
