"""One call of the engine: what is contrasted, and the arithmetic that its walks over the tiles share.

Exponents are ``s / (tau ln 2)``. While they are known to stay within +-98, sums of 2^exponent neither
overflow nor vanish in float32 and no maximum is subtracted; unit vectors guarantee that for ``tau >=
0.0148``. Otherwise a running maximum is subtracted.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from manylabel.kernels.torch_ops import add_powers
from manylabel.losses.softmax.pair_weights import PairWeights
from manylabel.losses.softmax.tiles import Rows, Sides, log2_per

LN2 = math.log(2.0)
SELF_EXPONENT = (
    -1e30
)  # the exponent of an anchor's own pair: finite, so that the difference of two of them is 0
SAFE_EXPONENT = 98.0


@dataclass
class Accumulator:
    """What to contrast, fixed for one call.

    ``uniform`` promises that the values of all anchors will be multiplied by the same number: where
    gradients can be had in the forward pass, they are made there. ``attention`` sums over all candidates at
    once instead of by tiles.
    """

    weights: PairWeights
    temperature: float
    normalize: Sides
    self_offset: int | None
    multiplicity: Tensor | None
    uniform: bool = False
    attention: Callable[[Tensor, Rows, Accumulator, Tensor | None], Sums] | None = None

    @property
    def factor(self) -> float:
        return log2_per(self.temperature)

    def take_out(self, s: Tensor, rows: slice, columns: slice) -> Tensor:
        """Give the pairs that take no part the exponent of nothing, in a tile of exponents, in place.

        The others get what they weigh in the denominator, which is at most 2: one more than their exponent.
        """
        s = without_self(s, rows, columns, self.self_offset, SELF_EXPONENT)
        out, negatives = self.weights.left_out, self.weights.negatives
        if negatives is not None:
            s += negatives.tile(rows, columns, s.dtype)
        return s if out is None else s.masked_fill_(out.tile(rows, columns, s.dtype), SELF_EXPONENT)

    def bounded(self, anchors: Rows, candidates: Rows) -> bool:
        """Whether no exponent can leave the range in which sums need no maximum."""
        if self.factor > SAFE_EXPONENT and self.normalize.anchors:
            return False
        return self.factor * anchors.longest() * candidates.longest() <= SAFE_EXPONENT


class Sums:
    """Running sums over the candidates, one entry per anchor of a block.

    The average of many tiles is summed in stretches of a few, which are then added up: the gradient is often a small
    difference of large sums, and every tile added to a long sum would leave its rounding there.
    """

    def __init__(self, z: Tensor, bounded: bool, average: Tensor | None, tiled: bool) -> None:
        n = len(z)
        self.peak = None if bounded else z.new_full((n,), SELF_EXPONENT)
        self.mass = z.new_zeros(n)  # sum of 2^(exponent - peak)
        self.average = (
            average  # sum of 2^(exponent - peak) k over all stretches but the last, in given memory
        )
        self.stretch: Tensor | None = None  # the same over the last stretch; of the first, the average itself
        self.spare: Tensor | None = None  # memory of the stretches after the first
        self.pull = torch.zeros_like(z) if average is not None and tiled else None  # sum of w k
        self.total = z.new_zeros(n) if tiled else None  # sum of w
        self.score = z.new_zeros(n) if tiled else None  # sum of w exponent

    def add_weights(self, w: Tensor, s: Tensor, k: Tensor) -> None:
        """Take in a tile of weights (overwritten) and exponents."""
        assert self.total is not None
        assert self.score is not None
        self.total += w.sum(1)
        if self.pull is not None:
            self.pull.addmm_(w, k)
        self.score += w.mul_(s).sum(1)

    def begin_stretch(self) -> None:
        """Add the last stretch to the average, and start another."""
        if self.average is None:
            return
        if self.stretch is None:
            self.stretch = self.average
            return
        self.finish()
        self.spare = torch.empty_like(self.average) if self.spare is None else self.spare
        self.stretch = self.spare

    def finish(self) -> None:
        """Add the last stretch to the average."""
        if self.average is None or self.stretch is self.average:
            return
        if self.stretch is None:
            self.average.zero_()
        else:
            self.average += self.stretch

    def add_scores(self, s: Tensor, k: Tensor, multiplicity: Tensor | None, first: bool) -> None:
        """Take in a tile of exponents (overwritten), the first of a stretch or a later one."""
        if self.peak is not None:
            self._lower(s, first)
        if multiplicity is None:
            add_powers(s, self.mass)
        else:
            self.mass += s.exp2_() @ multiplicity
            k = k * multiplicity[:, None]
        if self.stretch is not None:
            self.stretch.addmm_(s, k, beta=0 if first else 1)

    def _lower(self, s: Tensor, first: bool) -> None:
        """Move the running maximum, and subtract it."""
        assert self.peak is not None
        peak = torch.maximum(self.peak, s.amax(1))
        shrink = (self.peak - peak).exp2_()
        self.mass *= shrink
        if self.average is not None and self.stretch is not self.average:
            self.average *= shrink[:, None]
        if self.stretch is not None and not first:
            self.stretch *= shrink[:, None]
        self.peak = peak
        s -= peak[:, None]

    def log2(self) -> Tensor:
        """``log2 sum_a 2^exponent`` of each anchor, (B,); finite where there was no candidate."""
        lse = self.mass.clamp_min(torch.finfo(self.mass.dtype).tiny).log2_()
        return lse if self.peak is None else lse.add_(self.peak)


def without_self(tile: Tensor, rows: slice, columns: slice, self_offset: int | None, fill: float) -> Tensor:
    """Fill the pairs of each anchor with itself, in place."""
    if self_offset is not None:
        offset = self_offset + rows.start - columns.start
        if -tile.shape[0] < offset < tile.shape[1]:
            tile.diagonal(offset).fill_(fill)
    return tile
