"""What becomes of the terms of a loss on logits: sums, means over rows or entries, of one process or of all ranks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from manylabel.losses.distributed import Shard
from manylabel.losses.sample_weight import TINY, of_rows


def of_all_ranks(shard: Shard, *parts: Tensor | None) -> tuple[Any, ...]:
    """Tensors (B, ...) with the rows of all ranks; None for those that no rank has.

    A rank of which all labels are known takes its part in the exchange of what is known on the others.
    """
    x, y, known, weight = parts
    assert x is not None
    assert y is not None
    some = shard.total(x.new_tensor([known is not None])) > 0
    if known is None and bool(some):
        known = torch.ones_like(y, dtype=torch.bool)
    known = None if known is None else shard.rows(known.to(torch.uint8)).bool()
    return shard.rows(x), shard.rows(y), known, None if weight is None else shard.rows(weight)


def _mean(total: Tensor, count: Tensor | int, least: float, shard: Shard | None) -> Tensor:
    """A sum over what it counts, at least ``least``; with a shard, over those of all ranks."""
    if shard is None:
        return total / (count.clamp(min=least) if isinstance(count, Tensor) else max(count, 1))
    count = torch.as_tensor(count, dtype=total.dtype, device=total.device).detach()
    return shard.total(total) / shard.total(count).clamp(min=least)


def _sum(total: Tensor, shard: Shard | None) -> Tensor:
    return total if shard is None else shard.total(total)


def reduce_terms(terms: Tensor, reduction: str, known: Tensor | None, shard: Shard | None) -> Tensor:
    """Mean over rows and labels, their sum, the sums of rows, or the mean of these; of what is known (B, C)."""
    if reduction == "none":
        return terms.sum(1) if known is None else _masked(terms, known).sum(1)
    if shard is not None and known is None:  # another rank may have unknown entries
        known = torch.ones_like(terms, dtype=torch.bool)
    if known is not None:
        return _reduce_known(terms, reduction, known, shard)
    if reduction == "sum":
        return terms.sum()
    return _mean(terms.sum(), len(terms) if reduction == "rows" else terms.numel(), 1, None)


def _masked(terms: Tensor, known: Tensor) -> Tensor:
    return terms.masked_fill(~known, 0) if terms.shape == known.shape else terms


def _reduce_known(terms: Tensor, reduction: str, known: Tensor, shard: Shard | None) -> Tensor:
    total = _masked(terms, known).sum()
    if reduction == "sum":
        return _sum(total, shard)
    per_row = reduction == "rows" or terms.shape != known.shape
    return _mean(total, (known.any(1) if per_row else known).sum(), 1, shard)


def reduce_weighted(
    terms: Tensor,
    reduction: str,
    known: Tensor,
    weight: Tensor,
    each: Tensor | None,
    shard: Shard | None,
) -> Tensor:
    """The same of rows or entries that weigh (B, 1) or (B, C), each label so often, (C,)."""
    rows, per_entry = of_rows(weight, known, each), terms.shape == known.shape
    entries = weight if each is None else weight * each
    terms = terms.masked_fill(~known, 0) * entries if per_entry else terms * rows
    if reduction in ("none", "sum"):
        return terms.sum(1) if reduction == "none" else _sum(terms.sum(), shard)
    whole_rows = reduction == "rows" or not per_entry
    counted = rows * known.any(1, keepdim=True) if whole_rows else entries * known
    return _mean(terms.sum(), counted.sum(), TINY, shard)
