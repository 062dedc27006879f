"""The streamed rung: tiles of similarities, base-2 exponentials, own gradients; never B x N."""

from __future__ import annotations

from torch import Tensor

from manylabel.losses.softmax.anchored import Anchored
from manylabel.losses.softmax.job import Job
from manylabel.losses.softmax.lopsided import Lopsided
from manylabel.losses.softmax.mutual import Mutual
from manylabel.losses.softmax.rows import Sides
from manylabel.losses.softmax.weights import PairWeights, TileWeights


def contrast_streamed(
    x: Tensor,
    keys: Tensor | None,
    weights: PairWeights,
    temperature: float,
    normalize: Sides,
    own: int | None,
    multiplicity: Tensor | None,
    uniform: bool,
) -> tuple[Tensor, Tensor]:
    """Values ``L_i`` and weight totals of every anchor, both (B,); see :func:`contrast`."""
    job = Job(weights, temperature, normalize, own, multiplicity, uniform)
    if keys is None:
        assert own == 0
        assert multiplicity is None
        if isinstance(weights, TileWeights) and not weights.symmetric:
            return Lopsided.apply(x, job)  # type: ignore[no-any-return, no-untyped-call]
        return Mutual.apply(x, job)  # type: ignore[no-any-return, no-untyped-call]
    return Anchored.apply(x, keys, job)  # type: ignore[no-any-return, no-untyped-call]
