"""The dense backend: the equation as it stands, by autograd. Twice differentiable; holds B x N."""

from __future__ import annotations

import torch
from torch import Tensor

from manylabel.kernels.torch_ops import raised
from manylabel.losses.precision import working_dtype
from manylabel.losses.softmax.accumulator import LN2
from manylabel.losses.softmax.pair_weights import PairWeights, TileWeights
from manylabel.losses.softmax.tiles import Sides, unit


def contrast_dense(
    x: Tensor,
    keys: Tensor | None,
    weights: PairWeights,
    temperature: float | Tensor,
    normalize: Sides,
    self_offset: int | None,
    multiplicity: Tensor | None,
    uniform: bool,
) -> tuple[Tensor, Tensor]:
    """Values ``L_i`` and weight totals of every anchor, both (B,); see :func:`contrast`."""
    dtype = working_dtype(x)
    z = unit(x.to(dtype)) if normalize.anchors else x.to(dtype)
    k = z if keys is None else unit(keys.to(dtype)) if normalize.candidates else keys.to(dtype)
    s = z @ k.T / temperature  # (B, N)
    every = slice(0, len(z)), slice(0, len(k))
    w = weights.tile(*every, dtype)
    logits = s if multiplicity is None else s + multiplicity.log()
    if weights.negatives is not None:
        logits = logits + weights.negatives.tile(*every, dtype) * LN2
    if self_offset is not None:
        pair = own_pairs(len(z), len(k), self_offset, z.device)
        logits, w = logits.masked_fill(pair, -1e30), w.masked_fill(pair, 0)
    if weights.left_out is not None:
        logits = logits.masked_fill(weights.left_out.tile(*every, dtype), -1e30)
    totals = w.sum(1)
    lse = logits.logsumexp(1) if len(k) else logits.sum(1)  # of none it would be infinite
    if isinstance(weights, TileWeights) and weights.regularised:
        w = raised(w, (logits - lse[:, None]).exp().detach())
    values = totals * lse - (w * s).sum(1)
    scale = weights.row_scale(totals)
    return (values if scale is None else values * scale), totals


def own_pairs(n_rows: int, n_columns: int, offset: int, device: torch.device) -> Tensor:
    """Whether anchor i meets itself, which is candidate ``offset + i``, (n_rows, n_columns) bool."""
    candidates = torch.arange(n_columns, device=device)
    return candidates == candidates[offset : offset + n_rows, None]
