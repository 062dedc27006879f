"""The module face of the contrastive losses: settings in the constructor, one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor, nn

from manylabel.labels import Labels
from manylabel.losses.batch import check_reduction, check_temperature
from manylabel.losses.softmax import Engine


class ContrastiveLoss(nn.Module):
    """Settings of a contrastive loss; subclasses name the pure function.

    Attributes
    ----------
    engine : Engine
        ``engine.ran`` tells which rung the last call used.
    """

    function: ClassVar[Callable[..., Tensor]]

    def __init__(
        self,
        temperature: float = 0.1,
        reduction: str = "mean",
        normalize: bool = True,
        engine: str | Engine = "auto",
    ) -> None:
        super().__init__()
        check_temperature(type(self).__name__, temperature)
        check_reduction(type(self).__name__, reduction)
        self.temperature, self.reduction, self.normalize = temperature, reduction, normalize
        self.engine = Engine.of(engine)

    def forward(
        self, z: Tensor, Y: Labels, keys: Tensor | None = None, Y_keys: Labels | None = None
    ) -> Tensor:
        """The loss of anchors ``z`` (B, D) with labels ``Y``, against ``keys`` or against each other."""
        return type(self).function(z, Y, keys, Y_keys, **self.settings())

    def settings(self) -> dict[str, Any]:
        """The keyword arguments of the function."""
        return {
            "temperature": self.temperature,
            "reduction": self.reduction,
            "normalize": self.normalize,
            "engine": self.engine,
        }

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.settings().items() if name != "engine")
