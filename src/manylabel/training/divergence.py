"""Training that diverges stops at its step: a loss that is NaN, a gradient without a norm, a lost gradient scale."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from manylabel.errors import ManyLabelError

LEAST_SCALE = 2.0**-14
"""Smallest normal number of float16: under a smaller scale the gradient of a loss of 1 is lost."""

_AT_ONCE = 32  # steps that a GPU works on before anybody waits for what it found
_SHOWN = 10
_HINT = "Lower the learning rate, set `clip`, raise the temperature, or look at these rows."


class Diverged(ManyLabelError):
    """A step after which training could not go on.

    Attributes
    ----------
    rows : tuple of int
        Positions of the rows of the step among the training rows.
    """

    def __init__(self, who: str, expected: str, got: str, hint: str = "", rows: tuple[int, ...] = ()) -> None:
        super().__init__(who, expected, got, hint)
        self.rows = rows

    def __reduce__(self) -> tuple[type, tuple[str, str, str, str, tuple[int, ...]]]:  # type: ignore[override]
        return type(self), (self.who, self.expected, self.got, self.hint, self.rows)


class Sighting(NamedTuple):
    """What a step showed: its loss, the norm of its gradient, 0 where float16 skips it, and the scale that it needs."""

    step: int
    loss: Tensor
    norm: Tensor
    scale: float = 1.0


class Watch:
    """Looks at every step; on a GPU at several together, as each look waits for all work.

    Parameters
    ----------
    device : torch.device
    """

    def __init__(self, device: torch.device) -> None:
        self.at_once = 1 if device.type == "cpu" else _AT_ONCE
        self._seen: list[Sighting] = []

    def see(self, sighting: Sighting) -> tuple[int, str, str] | None:
        """The step, what was expected and what came, where a step that was seen must be the last; else None."""
        self._seen.append(sighting)
        return self.look() if len(self._seen) >= self.at_once else None

    def look(self) -> tuple[int, str, str] | None:
        """The same for the steps that nobody has looked at yet."""
        seen, self._seen = self._seen, []
        if not seen:
            return None
        values = torch.stack([torch.stack([s.loss.float(), s.norm.float()]) for s in seen]).tolist()
        for sighting, (loss, norm) in zip(seen, values, strict=True):
            if not math.isfinite(loss):
                return sighting.step, "a finite loss", str(loss)
            if not math.isfinite(norm):
                return sighting.step, "a finite norm of the gradient", str(norm)
            if sighting.scale < LEAST_SCALE:
                expected = f"a gradient scale of at least {LEAST_SCALE:g}"
                return sighting.step, expected, f"{sighting.scale:g}"
        return None


def diverged(
    stage: str, epoch: int, step: int, expected: str, got: str, rows: list[int], kept: str
) -> Diverged:
    """The error for a step; ``kept`` is where a state before it stands, or empty."""
    shown = ", ".join(map(str, rows[:_SHOWN]))
    more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    hint = f"{_HINT} {kept} keeps the last state before." if kept else _HINT
    who = f"stage {stage}, epoch {epoch}, step {step}"
    return Diverged(who, expected, f"{got} on the training rows {shown}{more}", hint, tuple(rows))
