"""Whether a transform of torch is at work that only plain operators can go through."""

from __future__ import annotations

import torch
from torch.autograd import forward_ad


def transformed() -> bool:
    """Whether ``torch.func`` (grad, vmap, jvp, ...) or forward-mode differentiation is running.

    Code with a gradient of its own, and compiled code, have no rule for either.
    """
    if torch.compiler.is_compiling():
        return False
    return torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0
