"""The streamed backend: tiles of similarities, base-2 exponentials, own gradients; never B x N."""

from __future__ import annotations

from torch import Tensor

from manylabel.losses.softmax.accumulator import Accumulator
from manylabel.losses.softmax.against_keys import AgainstKeys
from manylabel.losses.softmax.in_batch import InBatch
from manylabel.losses.softmax.in_batch_asymmetric import InBatchAsymmetric
from manylabel.losses.softmax.pair_weights import PairWeights, TileWeights
from manylabel.losses.softmax.tiles import Sides


def contrast_streamed(
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
    accumulator = Accumulator(weights, temperature, normalize, self_offset, multiplicity, uniform)
    if keys is None:
        assert self_offset == 0
        assert multiplicity is None
        if isinstance(weights, TileWeights) and not weights.symmetric:
            return InBatchAsymmetric.apply(x, accumulator)  # type: ignore[no-any-return, no-untyped-call]
        return InBatch.apply(x, accumulator)  # type: ignore[no-any-return, no-untyped-call]
    return AgainstKeys.apply(x, keys, accumulator)  # type: ignore[no-any-return, no-untyped-call]
