"""Compiled code behind functions on tensors, where it gains a fifth or more over torch's operators.

It takes float32 on a CPU. Callers ask :func:`compiles` first, and have a form by torch's operators for everything else.
"""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor

from manylabel.kernels.loading import compiled
from manylabel.kernels.transforms import transformed


def compiles(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether there is compiled code for such tensors."""
    there = dtype == torch.float32 and device.type == "cpu"
    return there and not torch.compiler.is_compiling() and not transformed() and compiled() is not None


def label_bits(offsets: Tensor, labels: Tensor, n_labels: int) -> Tensor:
    """Which of n rows, given as lists, carry each label, a bit for each: (n_labels, ceil(n / 32))."""
    bits = torch.zeros((n_labels, -(-(len(offsets) - 1) // 32)), dtype=torch.uint32)
    _code().set_bits(offsets.numpy(), labels.numpy(), bits.numpy())
    return bits


def shared_labels(offsets: Tensor, labels: Tensor, bits: Tensor, n: int) -> Tensor:
    """1 where a row of m lists shares a label with one of n rows, given as bits, else 0: (m, n)."""
    tile = torch.empty(len(offsets) - 1, n, dtype=torch.float32)
    _code().mark_shared(offsets.numpy(), labels.numpy(), bits.numpy(), tile.numpy())
    return tile


def visit_kmcl_rows(*tensors: Tensor) -> None:
    """Take in rows (sample, label) of KMCL's contrastive term, as ``numba_cpu.visit_rows`` says."""
    _code().visit_rows(*(t.numpy() for t in tensors))


def _code() -> ModuleType:
    code = compiled()
    assert code is not None
    return code
