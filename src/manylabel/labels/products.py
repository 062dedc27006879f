"""Products of a label matrix with embeddings whose gradient asks the labels again instead of keeping a dense copy."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor


class Products(Protocol):
    """Labels that know both products without gradient."""

    def _row_products(self, M: Tensor) -> Tensor:
        """``Y M``, (n_labels, D) -> (n_rows, D)."""

    def _label_products(self, Z: Tensor, factors: Tensor | None) -> Tensor:
        """``Y^T diag(factors) Z``, (n_rows, D) -> (n_labels, D)."""

    def row_sums(self, M: Tensor) -> Tensor: ...

    def label_sums(self, Z: Tensor) -> Tensor: ...


class RowSums(torch.autograd.Function):
    """``Y M``; the gradient is ``Y^T g``."""

    @staticmethod
    def forward(ctx: Any, M: Tensor, Y: Products) -> Tensor:
        ctx.Y = Y
        return Y._row_products(M)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        return ctx.Y.label_sums(g.contiguous()), None


class LabelSums(torch.autograd.Function):
    """``Y^T Z``; the gradient is ``Y g``."""

    @staticmethod
    def forward(ctx: Any, Z: Tensor, Y: Products) -> Tensor:
        ctx.Y = Y
        return Y._label_products(Z, None)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        return ctx.Y.row_sums(g.contiguous()), None
