"""Groups of rows with the same labels."""

from __future__ import annotations

import torch
from torch import Tensor


def match_groups(own: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Number equal values: (n,) and (m,) integers -> ids in [0, n) and in [0, n] (n: not in own)."""
    ordered = own.sort().values
    ids = torch.searchsorted(ordered, own)
    if other is own:
        return ids, ids
    if not len(own):
        return ids, torch.zeros_like(other)
    place = torch.searchsorted(ordered, other)
    found = ordered[place.clamp(max=len(own) - 1)] == other
    return ids, torch.where(found, place, len(own))


def label_hashes(n_labels: int, device: torch.device) -> Tensor:
    """A fixed, well mixed int64 for each label number (the finaliser of splitmix64, which wraps)."""
    x = torch.arange(1, n_labels + 1, dtype=torch.int64, device=device) * -7046029254386353131
    for shift, factor in ((30, -4658895280553007687), (27, -7723592293110705685)):
        x = (x ^ _shifted(x, shift)) * factor
    return x ^ _shifted(x, 31)


def _shifted(x: Tensor, bits: int) -> Tensor:
    """Shift right and fill with zeros, as unsigned numbers do."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)
