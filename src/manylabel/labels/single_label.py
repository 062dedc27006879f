"""At most one label per row."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from manylabel.errors import ManyLabelError
from manylabel.labels.base import LabelMatrix, RowIndex, row_index
from manylabel.labels.checks import check_numbers, described
from manylabel.labels.hashing import label_hashes
from manylabel.labels.sparse import SparseLabels


class SingleLabel(LabelMatrix):
    """At most one label per row, as its number.

    Parameters
    ----------
    ids : (n_rows,) int64 in [0, n_labels]
        ``n_labels`` stands for no label.
    n_labels : int
    trusted : bool, default False
        A promise that the numbers lie in range; they are not looked at then.
    """

    def __init__(self, ids: Tensor, n_labels: int, *, trusted: bool = False) -> None:
        if not trusted:
            if not isinstance(ids, Tensor) or ids.dim() != 1 or ids.dtype != torch.int64:
                raise ManyLabelError("SingleLabel", "a vector of int64 label numbers", described(ids))
            check_numbers(ids, n_labels + 1, "SingleLabel")
        self.ids, self.n_rows, self.n_labels, self.device = ids, len(ids), n_labels, ids.device

    @property
    def present(self) -> Tensor:
        """Which rows have a label, (n_rows,) bool."""
        return self.ids < self.n_labels

    def row_counts(self, dtype: torch.dtype = torch.float32) -> Tensor:
        return self.present.to(dtype)

    def _label_counts(self, dtype: torch.dtype) -> Tensor:
        return self.label_sums(torch.ones(self.n_rows, 1, dtype=dtype, device=self.device)).squeeze(1)

    def _label_sums(self, Z: Tensor, factors: Tensor | None) -> Tensor:
        sums = Z.new_zeros(self.n_labels + 1, Z.shape[1])
        if factors is None:
            return sums.index_add(0, self.ids, Z)[:-1]
        for start in range(0, self.n_rows, 4096):
            rows = slice(start, start + 4096)
            sums.index_add_(0, self.ids[rows], Z[rows] * factors[rows, None])
        return sums[:-1]

    def _row_sums(self, M: Tensor) -> Tensor:
        return F.pad(M, (0, 0, 0, 1)).index_select(0, self.ids)

    def _take(self, rows: RowIndex) -> SingleLabel:
        return SingleLabel(self.ids[row_index(rows, self.n_rows, self.device)], self.n_labels, trusted=True)

    def dense(self, dtype: torch.dtype = torch.float32) -> Tensor:
        return (self.ids[:, None] == torch.arange(self.n_labels, device=self.device)).to(dtype)

    def _lists(self) -> SparseLabels:
        offsets = F.pad(self.present.cumsum(0), (1, 0))
        return SparseLabels(offsets, self.ids[self.present], None, self.n_labels, trusted=True)

    def _to(self, device: torch.device | str) -> SingleLabel:
        return SingleLabel(self.ids.to(device), self.n_labels, trusted=True)

    def entries(self) -> None:
        return None

    def _with_entries(self, values: Tensor) -> LabelMatrix:
        return self._lists()._with_entries(values[self.present])

    def spread_rows(self, v: Tensor) -> Tensor:
        return v

    def spread_labels(self, v: Tensor) -> Tensor:
        return F.pad(v, (0, 1)).index_select(0, self.ids)

    def pick(self, columns_first: Tensor) -> Tensor:
        rows = torch.arange(self.n_rows, device=self.device)
        return F.pad(columns_first, (0, 0, 0, 1))[self.ids, rows]

    def _with_identity(self) -> SingleLabel:
        return SingleLabel(
            torch.cat([self.ids, torch.arange(self.n_labels, device=self.device)]),
            self.n_labels,
            trusted=True,
        )

    def row_hashes(self) -> Tensor:
        return F.pad(label_hashes(self.n_labels, self.device), (0, 1)).index_select(0, self.ids)
