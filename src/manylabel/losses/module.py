"""The module face of the contrastive losses: settings in the constructor, one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor, nn

from manylabel.labels import Labels
from manylabel.losses.settings import check_group, check_reduction, check_temperature, switch
from manylabel.losses.softmax import Engine

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


class LossModule(nn.Module):
    """Settings of a loss; subclasses name the pure function.

    Attributes
    ----------
    engine : Engine
        ``engine.ran`` tells which rung the last call used.
    group : torch.distributed.ProcessGroup or None
        The ranks that hold the batch together; None for this process alone.
    divisor : scalar tensor or None
        What "mean" divides the values of ``reduction="none"`` by, as the last call found it: their sum over
        ``divisor`` is the mean. 0 where nothing counted, and the mean is 0 then; that of all ranks with a group;
        None before the first call, and after a call of compiled code.

    Notes
    -----
    A temperature that is a parameter is one of the module's parameters and learnt on every engine, one number for all
    pairs. It must stay above 0.

    With a group (``torch.distributed.group.WORLD`` for all processes), every rank passes its own anchors, and
    its own keys where there are keys; shards may differ in size. Candidates are those of all ranks. Each rank
    returns the loss of the whole batch, and differentiating it on all ranks gives each parameter as many
    times its gradient as there are ranks, which the mean that ``DistributedDataParallel`` takes turns into
    the gradient of one process with the whole batch. ``reduction="none"`` gives the values of the anchors of
    this rank.
    """

    function: ClassVar[Callable[..., Tensor]]

    def __init__(
        self,
        temperature: float | Tensor = 0.1,
        reduction: str = "mean",
        normalize: bool = True,
        engine: str | Engine = "auto",
        group: ProcessGroup | None = None,
    ) -> None:
        super().__init__()
        who = type(self).__name__
        check_temperature(who, temperature)
        check_reduction(who, reduction)
        check_group(who, group)
        self.temperature, self.reduction = temperature, reduction
        self.normalize = switch(who, "normalize", normalize)
        self.engine, self.group = Engine.of(engine), group

    @property
    def divisor(self) -> Tensor | tuple[Tensor, ...] | None:
        """The divisor of the last call that was not compiled."""
        return self.engine.divisor

    def settings(self) -> dict[str, Any]:
        """The keyword arguments of the function."""
        return {
            "temperature": self.temperature,
            "reduction": self.reduction,
            "normalize": self.normalize,
            "engine": self.engine,
            "group": self.group,
        }

    def extra_repr(self) -> str:
        shown = {name: value for name, value in self.settings().items() if name not in ("engine", "group")}
        return ", ".join(f"{name}={value}" for name, value in shown.items())


class ContrastiveLoss(LossModule):
    """A loss of anchors against candidates, or of a batch against itself."""

    def forward(
        self, z: Tensor, Y: Labels, keys: Tensor | None = None, Y_keys: Labels | None = None
    ) -> Tensor:
        """The loss of anchors ``z`` (B, D) with labels ``Y``, against ``keys`` or against each other."""
        return type(self).function(z, Y, keys, Y_keys, **self.settings())


class PrototypeLoss(LossModule):
    """A loss that takes the prototypes of the labels third."""

    def forward(self, z: Tensor, Y: Labels, prototypes: Tensor) -> Tensor:
        """The loss of anchors ``z`` (B, D) with labels ``Y`` and prototypes (C, D)."""
        return type(self).function(z, Y, prototypes, **self.settings())
