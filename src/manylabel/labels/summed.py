"""Labels of keys whose label sums are known."""

from __future__ import annotations

import torch
from torch import Tensor

from manylabel.errors import ManyLabelError
from manylabel.labels.matrix import LabelMatrix, RowIndex
from manylabel.labels.sparse import SparseLabels


class SummedLabels(LabelMatrix):
    """Labels of any layout, along with their counts and the label sums of certain keys.

    Parameters
    ----------
    labels : LabelMatrix (n, n_labels)
    keys : (n, D) tensor
        Not to be changed afterwards.
    counts : (n_labels,) tensor
        Column sums of the labels.
    sums : (n_labels, D) tensor
        ``Y^T keys``.
    """

    def __init__(self, labels: LabelMatrix, keys: Tensor, counts: Tensor, sums: Tensor) -> None:
        wanted = ((len(labels), keys.shape[-1]), (labels.n_labels,), (labels.n_labels, keys.shape[-1]))
        got = tuple(tuple(t.shape) for t in (keys, counts, sums))
        if got != wanted:
            expected = f"keys, counts and sums of shapes {', '.join(map(str, wanted))}"
            raise ManyLabelError("SummedLabels", expected, ", ".join(map(str, got)))
        self.labels, self.keys, self.counts, self.sums = labels, keys, counts, sums
        self.n_rows, self.n_labels = labels.shape

    def check(self, binary: bool, who: str) -> None:
        self.labels.check(binary, who)

    @property
    def device(self) -> torch.device:
        return self.labels.device

    def label_counts(self, dtype: torch.dtype = torch.float32) -> Tensor:
        return self.counts.to(dtype)

    def label_sums(self, Z: Tensor, factors: Tensor | None = None) -> Tensor:
        """``Y^T Z``: what is known if Z are the keys, else computed."""
        if factors is None and not torch.compiler.is_compiling() and self._are_keys(Z):
            return self.sums.to(Z.dtype)
        return self.labels.compact().label_sums(Z, factors)

    def _are_keys(self, Z: Tensor) -> bool:
        same = Z.data_ptr() == self.keys.data_ptr() and Z.shape == self.keys.shape
        return same and Z.dtype == self.keys.dtype and not Z.requires_grad

    def row_counts(self, dtype: torch.dtype = torch.float32) -> Tensor:
        return self.labels.row_counts(dtype)

    def row_sums(self, M: Tensor) -> Tensor:
        return self.labels.row_sums(M)

    def columns_first(self, dtype: torch.dtype = torch.float32) -> Tensor:
        return self.labels.columns_first(dtype)

    def take(self, rows: RowIndex) -> LabelMatrix:
        return self.labels.take(rows)

    def dense(self, dtype: torch.dtype = torch.float32) -> Tensor:
        return self.labels.dense(dtype)

    def sparse(self) -> SparseLabels:
        return self.labels.sparse()

    def to(self, device: torch.device | str) -> LabelMatrix:
        return self.labels.to(device)

    def entries(self) -> Tensor | None:
        return self.labels.entries()

    def with_entries(self, values: Tensor) -> LabelMatrix:
        return self.labels.with_entries(values)

    def spread_rows(self, v: Tensor) -> Tensor:
        return self.labels.spread_rows(v)

    def spread_labels(self, v: Tensor) -> Tensor:
        return self.labels.spread_labels(v)

    def pick(self, columns_first: Tensor) -> Tensor:
        return self.labels.pick(columns_first)

    def followed_by(self, other: LabelMatrix) -> LabelMatrix:
        return self.labels.followed_by(other)

    def with_identity(self) -> LabelMatrix:
        return self.labels.with_identity()

    def row_hashes(self) -> Tensor:
        return self.labels.row_hashes()
