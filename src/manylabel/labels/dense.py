"""Labels as a dense matrix."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from manylabel.errors import ManyLabelError
from manylabel.kernels.transforms import transformed
from manylabel.labels.base import LabelMatrix, RowIndex, row_index
from manylabel.labels.checks import described
from manylabel.labels.hashing import label_hashes
from manylabel.labels.sparse import SparseLabels

# Entries; below this, products with the dense matrix are cheaper than listing its labels.
_COMPACT_FROM = 1 << 16


class DenseLabels(LabelMatrix):
    """Labels as an (n_rows, n_labels) tensor of any dtype."""

    def __init__(self, Y: Tensor) -> None:
        if not isinstance(Y, Tensor) or Y.dim() != 2 or Y.layout != torch.strided:
            hint = "Use LabelMatrix.of for anything else."
            raise ManyLabelError("DenseLabels", "a dense (n_rows, n_labels) tensor", described(Y), hint)
        self.Y = Y
        (self.n_rows, self.n_labels), self.device = Y.shape, Y.device
        self._converted: Tensor | None = None
        if Y.dtype == torch.bool:  # nothing to look at
            self._checked = "binary"

    @property
    def requires_grad(self) -> bool:
        return self.Y.requires_grad

    def _compact(self) -> LabelMatrix:
        if self.Y.numel() < _COMPACT_FROM or torch.compiler.is_compiling() or transformed():
            return self
        labels = self._lists()
        return labels if 8 * len(labels.columns) < self.Y.numel() else self

    def row_counts(self, dtype: torch.dtype = torch.float32) -> Tensor:
        return self.dense(dtype).sum(1)

    def _label_counts(self, dtype: torch.dtype) -> Tensor:
        return self.dense(dtype).sum(0)

    def _label_sums(self, Z: Tensor, factors: Tensor | None) -> Tensor:
        Yt = self.dense(Z.dtype).T
        return (Yt if factors is None else Yt * factors) @ Z

    def _row_sums(self, M: Tensor) -> Tensor:
        return self.dense(M.dtype) @ M

    def _take(self, rows: RowIndex) -> DenseLabels:
        taken = DenseLabels(self.Y[row_index(rows, self.n_rows, self.device)])
        taken._checked = self._checked  # a batch needs no second look at each step
        return taken

    def dense(self, dtype: torch.dtype = torch.float32) -> Tensor:
        if self.Y.dtype == dtype or self.Y.numel() > _COMPACT_FROM or self.Y.requires_grad:
            return self.Y.to(dtype)
        if self._converted is None or self._converted.dtype != dtype:
            self._converted = self.Y.to(dtype)  # small, and asked for several times by one loss
        return self._converted

    def _lists(self) -> SparseLabels:
        entries = self.Y.reshape(-1)
        flat = _places(entries)
        weights = entries[flat] if entries.is_floating_point() else None
        if weights is not None and not weights.requires_grad and bool((weights == 1).all()):
            weights = None
        ends = torch.arange(self.n_rows + 1, device=self.device) * self.n_labels
        offsets = torch.searchsorted(flat, ends)
        return SparseLabels(
            offsets, flat.remainder(max(self.n_labels, 1)), weights, self.n_labels, trusted=True
        )

    def _to(self, device: torch.device | str) -> DenseLabels:
        return DenseLabels(self.Y.to(device))

    def _hide(self, which: Tensor) -> None:
        self.Y, self._converted = self.Y.masked_fill(which, 0), None
        self._mark(DenseLabels(which))

    def entries(self) -> Tensor:
        return self.Y

    def _with_entries(self, values: Tensor) -> DenseLabels:
        if values.shape != self.Y.shape:
            raise ManyLabelError("labels", f"values of shape {tuple(self.Y.shape)}", described(values))
        return DenseLabels(values)

    def spread_rows(self, v: Tensor) -> Tensor:
        return v[:, None]

    def spread_labels(self, v: Tensor) -> Tensor:
        return v

    def pick(self, columns_first: Tensor) -> Tensor:
        return columns_first.T

    def _concat(self, other: LabelMatrix) -> LabelMatrix:
        if not isinstance(other, DenseLabels):
            return self._lists()._concat(other)
        return DenseLabels(torch.cat([self.Y, other.Y]))

    def _with_identity(self) -> DenseLabels:
        eye = torch.eye(self.n_labels, dtype=self.Y.dtype, device=self.device)
        return DenseLabels(torch.cat([self.Y, eye]))

    def row_hashes(self) -> Tensor:
        return (self.Y.bool() * label_hashes(self.n_labels, self.device)).sum(1)


def _places(entries: Tensor) -> Tensor:
    """Where entries are not 0; NumPy is several times faster for bytes of 0 or 1, where it can reach them."""
    if entries.device.type == "cpu" and entries.dtype in (torch.bool, torch.uint8) and not transformed():
        return torch.from_numpy(np.flatnonzero(entries.numpy().view(np.bool_)))
    return entries.nonzero().squeeze(1)
