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
from manylabel.losses.softmax.tiles import SMALLEST_NORM, Sides, norm_limit

_MOST_ANCHORS = 128
_MOST_PAIRS = 1 << 18  # a MiB of float32


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
    if not isinstance(weights, LabelWeights) or weights.self_weights is not None or keys.requires_grad:
        return False
    wide = keys.dtype == torch.float64 or (keys.dtype == torch.float32 and x.dtype != torch.float64)
    n = len(x)
    return (
        wide
        and 0 < n <= _MOST_ANCHORS
        and 0 < n * len(keys) <= _MOST_PAIRS
        and not torch.compiler.is_compiling()
    )


def contrast_strip(
    x: Tensor,
    keys: Tensor,
    weights: LabelWeights,
    temperature: float,
    normalize: bool,
    part: Tensor | None,
    divisor: Tensor | None,
) -> Tensor | None:
    """``sum_i L_i / (part_i divisor)``, differentiable in ``x``; None where exponents or norms leave the safe range.

    Parameters
    ----------
    x : (B, D) floating tensor
    keys : (N, D) tensor
        In working precision.
    part : (B,) tensor or None
        What each value is divided by; None for 1.
    divisor : scalar tensor or None
        What the sum is divided by; None for 1.
    """
    z = x.detach().to(keys.dtype)  # (B, D)
    lengths, key_lengths = torch.linalg.vector_norm(z, dim=1), torch.linalg.vector_norm(keys, dim=1)
    low, high = map(float, lengths.aminmax())
    key_low, key_high = map(float, key_lengths.aminmax())
    inverse = key_inverse = None
    exponent = 1 / (temperature * math.log(2.0))  # of a power of two, for a similarity of 1
    if normalize:
        limit = norm_limit(keys.dtype)
        # a row as short as nothing has no direction, one whose square overflows no norm
        if not (
            min(low, key_low) > SMALLEST_NORM and max(high, key_high) < limit and exponent <= SAFE_EXPONENT
        ):
            return None
        inverse = lengths.reciprocal_()
        z = z * inverse[:, None]
        if max(1 - key_low, key_high - 1) > 4 * torch.finfo(keys.dtype).eps:
            key_inverse = key_lengths.reciprocal_()
    elif not exponent * high * key_high <= SAFE_EXPONENT:
        return None
    problem = _Problem(weights, temperature, normalize, part, divisor, Constant(keys))
    return _Strip.apply(x, keys, problem, z, inverse, key_inverse)  # type: ignore[no-any-return, no-untyped-call]


@dataclass
class _Problem:
    weights: LabelWeights
    temperature: float
    normalize: bool
    part: Tensor | None
    divisor: Tensor | None
    keys: Constant


def _again(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    """The gradient as part of a graph, from the equation as it stands."""
    problem: _Problem = ctx.problem
    sides = Sides(problem.normalize, problem.normalize)

    def value(x: Tensor) -> Tensor:
        keys = problem.keys.unchanged()
        values, _ = contrast_dense(x, keys, problem.weights, problem.temperature, sides, None, None, False)
        total = (values if problem.part is None else values / problem.part).sum()
        return total if problem.divisor is None else total / problem.divisor

    return *gradients_of(value, (ctx.saved_tensors[0],), g), None, None, None, None, None


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
        weights, tau = problem.weights, problem.temperature
        sums = weights.right.label_sums(keys, key_inverse)  # (C, D)
        pull = weights.left.row_sums(sums * weights.per_label[:, None])  # (B, D): sum_a w_ia k_a
        exponents = torch.addmm(z.new_empty(()), z, keys.T, beta=0, alpha=1 / (tau * math.log(2.0)))  # (B, N)
        if key_inverse is not None:  # a factor of columns costs less than unit vectors of all candidates
            exponents *= key_inverse
        powers = exponents.exp2_()  # ten times faster than exp; bounded, so no maximum is subtracted
        mass = powers.sum(1)  # (B,)
        values = (mass.log() * weights.totals).sub_(torch.linalg.vecdot(z, pull), alpha=1 / tau)
        if problem.part is not None:
            values /= problem.part
        value = values.sum()
        if problem.divisor is not None:
            value /= problem.divisor
        slope = None
        if ctx.needs_input_grad[0]:
            if key_inverse is not None:
                powers *= key_inverse
            slope = (powers @ keys).mul_((weights.totals / mass)[:, None]).sub_(pull)  # (B, D)
            factor = z.new_full((len(z),), 1 / tau) if inverse is None else inverse / tau
            if inverse is not None:  # leave out what would lengthen the row; twice, as its rounding counts
                length = torch.linalg.vecdot(z, z)
                for _ in range(2):
                    slope.addcmul_(z, torch.linalg.vecdot(slope, z).div_(length)[:, None], value=-1)
            if problem.part is not None:
                factor /= problem.part
            if problem.divisor is not None:
                factor /= problem.divisor
            slope *= factor[:, None]
        ctx.problem = problem
        ctx.save_for_backward(x, slope)
        return value

    @staticmethod
    @twice_differentiable(_again)
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, slope = ctx.saved_tensors
        return (slope * g).to(x.dtype), None, None, None, None, None
