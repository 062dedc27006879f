"""Random views of a batch: masked vectors, augmented pictures. All draws come from torch's default generator."""

from __future__ import annotations

import torch
from torch import Tensor

_LEVELS = 1 << 16


def keep_mask(shape: torch.Size | tuple[int, ...], p: float, device: torch.device | str = "cpu") -> Tensor:
    """A float32 mask whose entries are independently 0 with probability ``p``, else 1.

    Parameters
    ----------
    shape : tuple of int
    p : float, from 0 to below 1
        On the CPU rounded to a multiple of 2**-16: one 64-bit draw decides four entries, which takes a quarter of
        the time of drawing each.
    device : torch.device, default the CPU
    """
    device = torch.device(device)
    if device.type != "cpu":
        return (torch.rand(shape, device=device) >= p).float()
    n = torch.Size(shape).numel()
    # from -2**63 with no upper end: random_() alone leaves the top bit 0, which would bias every fourth entry
    draws = torch.empty((n + 3) // 4, dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
    return (draws[:n] >= round(p * _LEVELS) - _LEVELS // 2).float().view(shape)


def mask(x: Tensor, p: float) -> Tensor:
    """Zero each entry of ``x`` with probability ``p``; the others stay as they are."""
    return x * keep_mask(x.shape, p, x.device).to(x.dtype)
