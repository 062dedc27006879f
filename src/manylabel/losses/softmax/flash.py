"""The flash backend: attention over constant candidates whose values are the candidates themselves.

Attention with queries z, keys k and values k gives the softmax average of the candidates and the logsumexp in
one operator, which is all that the gradient needs. The operators are not part of torch's public interface:
they are asked for by name, tried out once on each kind of device, and left alone where the answer is wrong.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from manylabel.losses.softmax.accumulator import LN2, Accumulator, Sums
from manylabel.losses.softmax.against_keys import AgainstKeys
from manylabel.losses.softmax.pair_weights import LabelWeights, PairWeights
from manylabel.losses.softmax.tiles import Rows, Sides, stretch_length, tiles

_STRETCH = 1 << 13  # candidates


def fits(
    x: Tensor, keys: Tensor | None, weights: PairWeights, self_offset: int | None, multiplicity: Tensor | None
) -> bool:
    """Whether attention can do it: constant candidates, label sums, no pair left out, and it works here."""
    plain = self_offset is None and multiplicity is None and isinstance(weights, LabelWeights)
    plain = plain and weights.plain
    if not plain or keys is None or keys.requires_grad or not len(keys) or not len(x):
        return False
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    return works(x.device.type, dtype, x.shape[1])


def contrast_flash(
    x: Tensor,
    keys: Tensor | None,
    weights: PairWeights,
    temperature: float,
    normalize: Sides,
    self_offset: int | None,
    multiplicity: Tensor | None,
    uniform: bool,
) -> tuple[Tensor, Tensor]:
    """Values ``L_i`` and weight totals of every anchor, both (B,); see :func:`contrast`."""
    accumulator = Accumulator(
        weights, temperature, normalize, self_offset, multiplicity, uniform, attention=attended
    )
    return AgainstKeys.apply(x, keys, accumulator)  # type: ignore[no-any-return, no-untyped-call]


def attended(z: Tensor, candidates: Rows, accumulator: Accumulator, average: Tensor | None) -> Sums:
    """What a walk over all tiles would have summed, the average into the memory given for it.

    Attention adds up a stretch of candidates at a time, as the walk does; averages of stretches are averaged by mass.
    """
    sums = Sums(z, bounded=False, average=average, tiled=False)
    total: Tensor | None = None
    for columns in tiles(0, candidates.n, stretch_length(_STRETCH)):
        found, lse = attention(z, candidates.tile(columns), 1 / accumulator.temperature)
        before, total = total, lse if total is None else torch.logaddexp(total, lse)
        if average is not None and before is None:
            average.copy_(found)
        elif average is not None and before is not None:
            average.lerp_(found, (lse - total).exp_()[:, None])
    assert total is not None
    sums.mass.fill_(1)
    sums.peak = total / LN2
    return sums


def attention(z: Tensor, k: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Softmax averages of k, (B, D), and logsumexps of ``scale z k^T``, (B,)."""
    q, k = z[None, None], k[None, None]
    if z.device.type == "cuda":
        operator = torch.ops.aten._scaled_dot_product_efficient_attention
        average, lse, *_ = operator(q, k, k, None, True, 0.0, False, scale=scale)
    else:
        operator = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
        average, lse = operator(q, k, k, 0.0, False, attn_mask=None, scale=scale)
    return average[0, 0], lse[0, 0, : len(z)]


@lru_cache
def works(device: str, dtype: torch.dtype, dim: int) -> bool:
    """Whether this version of torch has the operator on a device, and it is right on a small example."""
    z, k = (torch.linspace(-1, 1, n * dim, dtype=dtype, device=device).sin().view(n, dim) for n in (3, 70))
    try:
        average, lse = attention(z, k, 2.0)
    except (AttributeError, NotImplementedError, RuntimeError, TypeError, ValueError):
        return False
    s = 2.0 * z @ k.T
    tolerance = 1e-5 * max(1.0, float(s.abs().max()))
    right = (average - s.softmax(1) @ k).abs().max() + (lse - s.logsumexp(1)).abs().max()
    return bool(right < tolerance)
