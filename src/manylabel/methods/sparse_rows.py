"""Sparse rows for training: lists of entries on the device of the network, whose batches are indexed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from manylabel.models import Preprocessor
from manylabel.models.inputs import EntryBatch


class SparseRows:
    """Rows kept as lists of entries; those that are asked for are standardised, and made dense if they have to be.

    Parameters
    ----------
    offsets : (n + 1,) int64 tensor
        Row i owns the entries ``offsets[i]:offsets[i + 1]``.
    columns : (nnz,) integer tensor
    values : (nnz,) tensor of the type of ``inputs``
    inputs : Preprocessor
    entries : bool, default False
        Whether batches stay lists of entries, which they can where no mean is taken out.
    """

    def __init__(
        self, offsets: Tensor, columns: Tensor, values: Tensor, inputs: Preprocessor, entries: bool = False
    ) -> None:
        self.offsets, self.columns, self.values, self.inputs = offsets, columns, values, inputs
        self.shape, self.device = (len(offsets) - 1, *inputs.shape), values.device
        self.entries = entries and not bool(inputs.mean.any())

    @classmethod
    def of(cls, X: Any, inputs: Preprocessor, entries: bool = False) -> SparseRows:
        """From a SciPy CSR matrix (n, n_features)."""
        device = inputs.mean.device
        parts = (torch.from_numpy(part).to(device) for part in (X.indptr, X.indices, X.data))
        offsets, columns, values = parts
        return cls(offsets.long(), columns, values.to(inputs.dtype), inputs, entries)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Tensor) -> Any:
        """The rows at these positions, a tensor or an EntryBatch (B, n_features)."""
        row, entries = self._entries(rows)
        if self.entries:
            columns = self.columns[entries].long()
            values = (self.values[entries] / self.inputs.scale[columns]).float()
            return EntryBatch(self._offsets(rows), columns, values, self.shape[1])
        x = self.values.new_zeros(len(rows), self.shape[1])
        x[row, self.columns[entries].long()] = self.values[entries]
        return self.inputs(x)

    def take(self, rows: Tensor) -> SparseRows:
        """The rows at these positions, still sparse."""
        _, entries = self._entries(rows)
        columns, values = self.columns[entries], self.values[entries]
        return SparseRows(self._offsets(rows), columns, values, self.inputs, self.entries)

    def _offsets(self, rows: Tensor) -> Tensor:
        """Where the entries of some rows begin among those of these rows alone, (B + 1,)."""
        return F.pad((self.offsets[rows + 1] - self.offsets[rows]).cumsum(0), (1, 0))

    def _entries(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """The entries of some rows, and the position among ``rows`` of each."""
        lengths = self.offsets[rows + 1] - self.offsets[rows]
        row = torch.repeat_interleave(torch.arange(len(rows), device=self.device), lengths)
        shift = self.offsets[rows] - (lengths.cumsum(0) - lengths)
        return row, torch.arange(len(row), device=self.device) + shift[row]
