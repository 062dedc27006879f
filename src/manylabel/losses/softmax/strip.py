"""Few anchors against constant candidates in one strip: every similarity in one tile, the gradient made on the way.

Small calls are ruled by the number of operators, so here is one of each: no blocks, no running sums, and the mean is
part of the function, so that its backward pass is one multiplication.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from manylabel.losses.second_derivatives import gradients_of, twice_differentiable
from manylabel.losses.softmax.accumulator import SAFE_EXPONENT
from manylabel.losses.softmax.dense import contrast_dense
from manylabel.losses.softmax.pair_weights import LabelWeights, PairWeights
from manylabel.losses.softmax.second_derivative import Constant
from manylabel.losses.softmax.tiles import NORM_LIMITS, SMALLEST_NORM, Sides

_MOST_ANCHORS = 128
_MOST_PAIRS = 1 << 18
_TILE = 3 << 15  # pairs in memory at a time
_LN2 = math.log(2.0)


def fits(
    x: Tensor,
    keys: Tensor | None,
    weights: PairWeights,
    multiplicity: Tensor | None,
    temperature: float | Tensor,
) -> bool:
    """Whether one strip can take these: few anchors, and constant candidates in working precision, on a CPU."""
    if keys is None or multiplicity is not None or isinstance(temperature, Tensor) or x.device.type != "cpu":
        return False
    if (
        not weights.plain
        or not isinstance(weights, LabelWeights)
        or weights.self_weights is not None
        or keys.requires_grad
    ):
        return False
    wide = keys.dtype == torch.float64 or (keys.dtype == torch.float32 and x.dtype != torch.float64)
    n = x.shape[0]
    return (
        wide
        and 0 < n <= _MOST_ANCHORS
        and 0 < n * keys.shape[0] <= _MOST_PAIRS
        and not torch.compiler.is_compiling()
    )


def contrast_strip(
    x: Tensor,
    keys: Tensor,
    weights: LabelWeights,
    temperature: float,
    normalize: bool,
    part: Tensor | None,
    divisor: float,
) -> Tensor | None:
    """``sum_i L_i / (part_i divisor)``, differentiable in ``x``; None where exponents or norms leave the safe range.

    Parameters
    ----------
    x : (B, D) floating tensor
    keys : (N, D) tensor
        In working precision.
    part : (B,) tensor or None
        What each value is divided by; None for 1.
    divisor : float
        What the sum is divided by.
    """
    z = x.detach() if x.dtype == keys.dtype else x.detach().to(keys.dtype)  # (B, D)
    lengths = torch.linalg.vector_norm(z, dim=1, keepdim=True)  # (B, 1)
    key_lengths = torch.linalg.vector_norm(keys, dim=1)  # (N,)
    low, high = map(float, lengths.aminmax())
    key_low, key_high = map(float, key_lengths.aminmax())
    inverse = key_inverse = None
    exponent = 1 / (temperature * _LN2)  # of a power of two, for a similarity of 1
    if normalize:
        limit = NORM_LIMITS[keys.dtype]
        # a row as short as nothing has no direction, one whose square overflows no norm
        if not (
            min(low, key_low) > SMALLEST_NORM and max(high, key_high) < limit and exponent <= SAFE_EXPONENT
        ):
            return None
        inverse = lengths.reciprocal_()
        z = z * inverse  # (B, D)
        if max(1 - key_low, key_high - 1) > 4 * torch.finfo(keys.dtype).eps:
            key_inverse = key_lengths.reciprocal_()
    elif not exponent * high * key_high <= SAFE_EXPONENT:
        return None
    problem = _Problem(weights, temperature, normalize, part, divisor, Constant(keys, keys._version))
    return _Strip.apply(x, keys, problem, z, inverse, key_inverse)  # type: ignore[no-any-return, no-untyped-call]


@dataclass
class _Problem:
    weights: LabelWeights
    temperature: float
    normalize: bool
    part: Tensor | None
    divisor: float
    keys: Constant

    def few_pairs(self, z: Tensor, keys: Tensor) -> bool:
        """Whether the weights of all pairs cost less than label sums, which may be known."""
        right = self.weights.right
        return not right.knows_sums and right.n_labels <= z.shape[1] and z.shape[0] * keys.shape[0] <= _TILE

    def parted(self, of_anchors: Tensor) -> Tensor:
        """What belongs to anchors, (B,) or (B, ...), divided by ``part``: values and slopes are linear in it."""
        if self.part is None:
            return of_anchors
        return of_anchors / (self.part if of_anchors.dim() == 1 else self.part.unsqueeze(1))

    @property
    def scale(self) -> float:
        """From the slope of an exponent to minus that of the loss in a similarity."""
        return -1 / (self.temperature * self.divisor)


def _again(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    """The gradient as part of a graph, from the equation as it stands."""
    problem: _Problem = ctx.problem
    sides = Sides(problem.normalize, problem.normalize)

    def value(x: Tensor) -> Tensor:
        keys = problem.keys.unchanged()
        values, _ = contrast_dense(x, keys, problem.weights, problem.temperature, sides, None, None, False)
        return problem.parted(values).sum() / problem.divisor

    return *gradients_of(value, (ctx.saved_tensors[0],), g), None, None, None, None, None


def _by_pairs(
    problem: _Problem, z: Tensor, keys: Tensor, key_inverse: Tensor | None, want_slope: bool
) -> tuple[float, Tensor | None]:
    """The sum of values in bits, and the slope of the loss in ``z``, (B, D), from the weight of each pair."""
    weights, per_similarity = problem.weights, 1 / (problem.temperature * _LN2)
    left, right = weights.left.dense(keys.dtype), weights.right.dense(keys.dtype)  # (B, C), (N, C)
    w = torch.mm(problem.parted(left * weights.per_label), right.t())  # (B, N)
    # a product with a factor costs no pass of its own; beta=0 takes the shape of w alone
    s = torch.addmm(w, z, keys.t(), beta=0, alpha=per_similarity)  # (B, N)
    if key_inverse is not None:  # a factor of columns costs less than unit vectors of all candidates
        s *= key_inverse
    score = float(torch.dot(w.view(-1), s.view(-1)))
    powers = s.exp2_()  # ten times faster than exp; bounded, so no maximum is subtracted
    mass, totals = powers.sum(1), problem.parted(weights.totals)  # (B,), (B,)
    slope = None
    if want_slope:  # softmax and weights meet before they are summed: what they share leaves no rounding
        G = w.addcmul_(powers, (totals / mass).unsqueeze(1), value=-1)  # (B, N)
        G = G if key_inverse is None else G.mul_(key_inverse)
        slope = torch.addmm(z, G, keys, beta=0, alpha=problem.scale)  # (B, D)
    return float(torch.dot(mass.log2_(), totals)) - score, slope


def _by_label_sums(
    problem: _Problem, z: Tensor, keys: Tensor, key_inverse: Tensor | None, want_slope: bool
) -> tuple[float, Tensor | None]:
    """The same from label sums, a tile of candidates at a time."""
    weights, per_similarity = problem.weights, 1 / (problem.temperature * _LN2)
    sums = weights.right.label_sums(keys, key_inverse)  # (C, D)
    # (B, D): sum_a w_ia k_a
    pull = problem.parted(weights.left.row_sums(sums * weights.per_label[:, None]))
    mass, average = z.new_zeros(z.shape[0]), torch.zeros_like(z) if want_slope else None
    width = -(-keys.shape[0] // -(-z.shape[0] * keys.shape[0] // _TILE))
    scratch = z.new_empty(z.shape[0] * width)
    for start in range(0, keys.shape[0], width):
        k = keys[start : start + width]
        s = (
            scratch[: z.shape[0] * k.shape[0]]
            .view(z.shape[0], -1)
            .addmm_(z, k.T, beta=0, alpha=per_similarity)
        )  # (B, width)
        inverse = None if key_inverse is None else key_inverse[start : start + width]
        powers = (s if inverse is None else s.mul_(inverse)).exp2_()
        mass += powers.sum(1)
        if average is not None:
            average.addmm_(powers if inverse is None else powers.mul_(inverse), k)
    score = float(torch.dot(z.view(-1), pull.view(-1))) * per_similarity
    totals, slope = problem.parted(weights.totals), None  # (B,)
    if average is not None:
        slope = torch.addcmul(pull, average, (totals / mass).unsqueeze(1), value=-1).mul_(problem.scale)
    return float(torch.dot(mass.log2_(), totals)) - score, slope


class _Strip(torch.autograd.Function):
    """``(x, keys, problem, z, 1 / |x|, 1 / |keys|) -> value``."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        keys: Tensor,
        problem: _Problem,
        z: Tensor,
        inverse: Tensor | None,
        key_inverse: Tensor | None,
    ) -> Tensor:
        visit = _by_pairs if problem.few_pairs(z, keys) else _by_label_sums
        bits, slope = visit(problem, z, keys, key_inverse, ctx.needs_input_grad[0])
        if slope is not None and inverse is not None:  # leave out what would lengthen the row
            slope.addcmul_(z, torch.linalg.vecdot(slope, z).unsqueeze(1), value=-1).mul_(inverse)
        ctx.problem = problem
        ctx.save_for_backward(x, slope)
        # a number until now: operators on scalars cost as much as those on rows
        return torch.scalar_tensor(bits * _LN2 / problem.divisor, dtype=keys.dtype)

    @staticmethod
    @twice_differentiable(_again)
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, slope = ctx.saved_tensors
        dx = slope * g
        return dx if dx.dtype == x.dtype else dx.to(x.dtype), None, None, None, None, None
