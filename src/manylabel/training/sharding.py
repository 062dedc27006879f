"""Encoders in parts (FSDP2): each rank keeps a part of weights, gradients and optimiser state."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from manylabel.training.distributed import Ranks


class ShardedParameters:
    """Parameters of which this rank trains its part; a stand-in for :class:`~manylabel.models.FlatParameters`.

    Parameters
    ----------
    network : nn.Module
        As :func:`sharded` yields it.

    Attributes
    ----------
    vectors : list of nn.Parameter
        This rank's part of each parameter, of which the parameter is a view; their gradients are the means over ranks.
    """

    sharded = True

    def __init__(self, network: nn.Module) -> None:
        self._whole: list[Any] = [p for p in network.parameters() if p.requires_grad]
        self.vectors: list[nn.Parameter] = []
        with torch.no_grad():
            for p in self._whole:
                p.grad = torch.zeros_like(p)  # backward passes add to what is there
                own = nn.Parameter(p.to_local())
                own.grad = p.grad.to_local()
                self.vectors.append(own)

    def whole(self, parts: Sequence[Tensor]) -> Tensor:
        """One vector of the parts that all ranks have of numbers for each parameter; every rank takes part."""
        from torch.distributed.tensor import DTensor

        found = []
        for p, part in zip(self._whole, parts, strict=True):
            form = {"run_check": False, "shape": p.shape, "stride": p.stride()}
            there = DTensor.from_local(part.detach(), p.device_mesh, p.placements, **form)
            found.append(there.full_tensor().reshape(-1))
        return torch.cat(found)

    def parts(self, whole: Tensor) -> list[Tensor]:
        """This rank's parts of a vector that :meth:`whole` made."""
        pieces = whole.split([p.numel() for p in self._whole])  # type: ignore[no-untyped-call]
        return [
            _part_of(piece.view(p.shape), p).to_local() for p, piece in zip(self._whole, pieces, strict=True)
        ]


@contextmanager
def sharded(network: nn.Module, on: bool) -> Iterator[nn.Module]:
    """The network to train in place of this one: over several ranks, where it is asked for, a copy in parts.

    Each rank keeps a part of every parameter. Those of a block (an item of a list or a sequence of layers) are put
    together for the time that the block computes. At the end this network gets the weights of the copy, whole.

    Parameters
    ----------
    network : nn.Module
        Without weights meanwhile.
    on : bool
    """
    ranks = Ranks.current()
    if not on or ranks.world == 1:
        yield network
        return
    for p in network.parameters():
        p.data = p.data.contiguous()  # FSDP2 takes no others
    for tensor in network.state_dict().values():
        ranks.copy_first_(tensor)
    parts = _in_parts(network)
    for p in network.parameters():
        p.data = p.data.new_empty(0)
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="FSDP2-wrapped module"
        )  # nothing here changes its output in place
        yield parts
    found = whole_state(parts)
    with torch.no_grad():
        for name, p in network.named_parameters():
            p.data = found[name]
        for name, buffer in network.named_buffers():
            if name in found:
                buffer.copy_(found[name])


def _in_parts(network: nn.Module) -> nn.Module:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    copied = copy.deepcopy(network)
    device = next(copied.parameters()).device.type
    mesh = init_device_mesh(device, (Ranks.current().world,))
    for block in list(_blocks(copied)):
        fully_shard(block, mesh=mesh)
    # by default the whole stays put together after a look at validation rows, with the weights of that moment
    fully_shard(copied, mesh=mesh, reshard_after_forward=True)
    return copied


def _blocks(network: nn.Module) -> Iterator[nn.Module]:
    """Items of the outermost lists and sequences of layers that have layers of their own."""
    for child in network.children():
        if isinstance(child, nn.ModuleList | nn.Sequential):
            yield from (
                item for item in child if any(item.children()) and any(True for _ in item.parameters())
            )
        else:
            yield from _blocks(child)


def whole_state(module: nn.Module) -> dict[str, Tensor]:
    """The state of a module with every tensor whole; where some are in parts, every rank takes part."""
    return whole_tensors(module.state_dict())


def whole_tensors(tensors: Mapping[str, Any]) -> dict[str, Tensor]:
    """Tensors, of which some may be in parts, whole."""
    return {name: tensor.full_tensor() if is_in_parts(tensor) else tensor for name, tensor in tensors.items()}


def load_state(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load a state into a module of which some tensors may be in parts; those given may be whole or in parts."""
    ours = module.state_dict()
    fitting = {
        name: _part_of(tensor, ours[name])
        if is_in_parts(ours.get(name)) and not is_in_parts(tensor)
        else tensor
        for name, tensor in tensors.items()
    }
    module.load_state_dict(fitting)


def _part_of(tensor: Tensor, like: Any) -> Any:
    """A tensor that every rank has whole, in parts as another one is."""
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


def is_in_parts(tensor: Any) -> bool:
    """Whether this rank has a part of a tensor alone."""
    return hasattr(tensor, "full_tensor")
