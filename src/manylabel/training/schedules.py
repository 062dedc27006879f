"""Learning-rate schedules: the factor of the base rate at each step."""

from __future__ import annotations

import math

_ONE_CYCLE_START = 1 / 25


def factor(
    schedule: str,
    step: int,
    steps: int,
    *,
    warmup: float = 0.0,
    floor: float = 0.0,
    period: int = 0,
    decay: float = 1.0,
) -> float:
    """The learning rate at ``step`` as a share of the base rate.

    Parameters
    ----------
    schedule : "constant", "linear", "cosine", "one_cycle", "warm_restarts", "step" or "plateau"
        ``linear`` falls to ``floor`` at the last step; ``one_cycle`` rises along a cosine from a 25th and falls along
        another, that of L. Smith and N. Topin, *Super-Convergence*, 2019, without their cycle of the momentum;
        ``plateau`` is constant here; :class:`Plateau` lowers it.
    step, steps : int
        Steps done and planned.
    warmup : float, default 0
        Share of the steps over which the rate rises, linearly from 0 but for ``one_cycle``.
    floor : float, default 0
        The lowest share; lines and cosines end there.
    period : int, default 0
        Steps of the first cosine of ``warm_restarts``; each further one is twice as long. Steps between two
        drops of ``step``.
    decay : float, default 1
        What each drop of ``step`` multiplies the rate by.
    """
    if schedule == "one_cycle":
        peak, last = warmup * steps - 1, max(1, steps - 1)
        if step < peak:
            return 1 - _cosine(step / peak, 0.0) * (1 - _ONE_CYCLE_START)
        return _cosine((step - peak) / max(1.0, last - peak), floor)
    rising = round(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    if schedule == "linear":
        return max(floor, 1 - (1 - floor) * (step - rising) / max(1, steps - rising))
    if schedule == "cosine":
        return _cosine((step - rising) / max(1, steps - rising), floor)
    if schedule == "warm_restarts":
        step, length = step - rising, max(1, period)
        while step >= length:
            step, length = step - length, 2 * length
        return _cosine(step / length, floor)
    if schedule == "step":
        return max(floor, decay ** ((step - rising) // max(1, period)))
    return 1.0


def _cosine(progress: float, floor: float) -> float:
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))


class Plateau:
    """A factor of a tenth each time a loss has not fallen for ``patience`` epochs.

    Parameters
    ----------
    patience : int, default 2
        Epochs without improvement that are allowed.
    cooldown : int, default 1
        Epochs after a drop that do not count.
    threshold : float, default 1e-3
        Relative improvement that counts.
    """

    def __init__(self, patience: int = 2, cooldown: int = 1, threshold: float = 1e-3) -> None:
        self.patience, self.cooldown, self.threshold = patience, cooldown, threshold
        self.state = {"factor": 1.0, "best": math.inf, "bad": 0.0, "resting": 0.0}

    @property
    def factor(self) -> float:
        return self.state["factor"]

    def update(self, loss: float) -> None:
        """Take the loss of one epoch."""
        s = self.state
        if loss < s["best"] * (1 - self.threshold):
            s["best"], s["bad"] = loss, 0.0
        elif s["resting"] <= 0:
            s["bad"] += 1
        s["resting"] -= 1
        if s["bad"] > self.patience:
            s["factor"], s["bad"], s["resting"] = 0.1 * s["factor"], 0.0, float(self.cooldown)
