"""The precision inside the losses, whatever comes in and whatever surrounds them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")


def working_dtype(x: Tensor) -> torch.dtype:
    """float64 for float64, float32 for anything else."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def full_precision(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function outside of autocast, on the device of its first tensor argument."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        device = next((a.device.type for a in args if isinstance(a, Tensor)), "cpu")
        if not torch.is_autocast_enabled(device):
            return function(*args, **kwargs)
        with torch.autocast(device, enabled=False):
            return function(*args, **kwargs)

    return run
