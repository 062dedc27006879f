"""Second derivatives of functions with a gradient of their own: through the dense form, where they are asked for.

``create_graph=True`` asks for a gradient that is itself part of a graph. A gradient of one's own is not: it would count
as a constant, and a penalty on it would vanish without a word. There the equation is run again by plain operators.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from manylabel.losses.precision import full_precision

Backward = Callable[..., Any]


def twice_differentiable(
    again: Backward, surroundings: Callable[[Tensor], AbstractContextManager[Any]] = full_precision
) -> Callable[[Backward], Backward]:
    """Let a backward pass whose gradient will be differentiated run ``again(ctx, *gradients)`` instead.

    Autocast of the caller would surround both: they are run in full precision, the first one in ``surroundings``.
    """

    def decorate(backward: Backward) -> Backward:
        @wraps(backward)
        def run(ctx: Any, *gradients: Tensor) -> Any:
            if torch.is_grad_enabled():
                with full_precision(gradients[0]):
                    return again(ctx, *gradients)
            with surroundings(gradients[0]):
                return backward(ctx, *gradients)

        return run

    return decorate


def gradients_of(
    function: Callable[..., Tensor], inputs: Sequence[Tensor | None], g: Tensor
) -> list[Tensor | None]:
    """Differentiable gradients of ``function(*inputs)``, weighted by ``g``; None for inputs that want none.

    Inputs that are one and the same tensor each get the gradient of their own place.
    """
    inputs = [None if t is None else t.view_as(t) for t in inputs]
    values = function(*inputs)
    wanted = [t for t in inputs if t is not None and t.requires_grad]
    found = iter(
        torch.autograd.grad(values, wanted, g, create_graph=True, allow_unused=True, materialize_grads=True)
    )
    return [next(found) if t is not None and t.requires_grad else None for t in inputs]
