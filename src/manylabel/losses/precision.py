"""The precision inside the losses, whatever comes in and whatever surrounds them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from manylabel.losses.threads import side_by_side, threads_for

SHARP = 1 / 64  # a temperature below which the rounding of float32 shows in the fifth decimal of a value
_SMALL = 1 << 16  # numbers
AS_IT_IS = nullcontext()


def working_dtype(x: Tensor) -> torch.dtype:
    """float64 for float64, float32 for anything else."""
    return torch.float64 if x.dtype == torch.float64 else torch.float32


def full_precision(x: object) -> AbstractContextManager[Any]:
    """Leave autocast on the device of a tensor."""
    device = x.device.type if isinstance(x, Tensor) else "cpu"
    if device == "meta" or not torch.is_autocast_enabled(device):
        return AS_IT_IS
    return torch.autocast(device, enabled=False)


def computing(x: object) -> AbstractContextManager[Any]:
    """Leave autocast, and let blocks of rows be worked on side by side."""
    if (
        torch.compiler.is_compiling()
        or torch.get_num_threads() == 1
        or not isinstance(x, Tensor)
        or threads_for(x) < 2
    ):
        return full_precision(x)
    return _exact_and_side_by_side(x)


@contextmanager
def _exact_and_side_by_side(x: Tensor) -> Iterator[None]:
    with full_precision(x), side_by_side(x):
        yield


def is_sharp(temperature: float | Tensor) -> bool:
    """Whether a temperature is so low that float32 is not precise enough."""
    if isinstance(temperature, Tensor):
        return not torch.compiler.is_compiling() and float(temperature.detach()) < SHARP
    return temperature < SHARP


def is_small(z: object) -> bool:
    """Whether rows are few, and on a CPU, where float64 costs little."""
    return (
        isinstance(z, Tensor) and z.dtype != torch.float64 and z.device.type == "cpu" and z.numel() <= _SMALL
    )


def widened(value: Any) -> Any:
    """Floating tensors in float64, anything else as it is."""
    wanted = isinstance(value, Tensor) and value.layout == torch.strided and value.is_floating_point()
    return value.double() if wanted else value
