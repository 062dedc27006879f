"""The precision inside the losses, whatever comes in and whatever surrounds them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

from manylabel.losses.blocks import for_blocks
from manylabel.losses.settings import check_group, check_reduction, read_temperature, switch

P = ParamSpec("P")
R = TypeVar("R")

_SHARP = 1 / 64  # a temperature below which the rounding of float32 shows in the fifth decimal of a value
_SMALL = 1 << 16  # numbers


def working_dtype(x: Tensor) -> torch.dtype:
    """float64 for float64, float32 for anything else."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def full_precision(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function outside of autocast, on the device of its first tensor argument."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        device = next((a.device.type for a in args if isinstance(a, Tensor)), "cpu")
        if device == "meta" or not torch.is_autocast_enabled(device):
            return function(*args, **kwargs)
        with torch.autocast(device, enabled=False):
            return function(*args, **kwargs)

    return run


def exact(loss: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Run a loss of the engine in full precision: float32, or float64 where that is what comes in.

    Small inputs at a very low temperature are computed in float64 on a CPU, where that costs little; not over several
    ranks, whose shards could then differ in type.
    """
    run = for_blocks(full_precision(loss))

    @wraps(loss)
    def exactly(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        if not torch.compiler.is_compiling():
            _read_settings(loss.__name__, kwargs)
        z, temperature = (args or (None,))[0], kwargs.get("temperature", 1.0)
        if not _is_sharp(temperature) or kwargs.get("group") is not None or not _is_small(z):
            return run(*args, **kwargs)
        wide = {name: _widened(value) for name, value in kwargs.items()}
        value: Tensor = run(*map(_widened, args), **wide)
        return value.float()

    return exactly


def _read_settings(who: str, settings: dict[str, Any]) -> None:
    """Check what all losses of the engine have in common; a temperature that is not learnt becomes a number."""
    if "temperature" in settings:
        settings["temperature"] = read_temperature(who, settings["temperature"])
    check_reduction(who, settings.get("reduction", "mean"))
    switch(who, "normalize", settings.get("normalize", True))
    check_group(who, settings.get("group"))


def _is_sharp(temperature: object) -> bool:
    if isinstance(temperature, Tensor):
        return not torch.compiler.is_compiling() and float(temperature.detach()) < _SHARP
    return isinstance(temperature, float) and temperature < _SHARP


def _is_small(z: object) -> bool:
    return (
        isinstance(z, Tensor) and z.dtype != torch.float64 and z.device.type == "cpu" and z.numel() <= _SMALL
    )


def _widened(value: Any) -> Any:
    wanted = isinstance(value, Tensor) and value.layout == torch.strided and value.is_floating_point()
    return value.double() if wanted else value
