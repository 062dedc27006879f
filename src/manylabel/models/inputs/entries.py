"""A batch of sparse rows as lists of entries, which a linear layer takes without a dense batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from manylabel.models.inputs.augment import keep_mask


class EntryBatch:
    """Standardised sparse rows of a batch; what is not stored is 0.

    Parameters
    ----------
    offsets : (B + 1,) int64 tensor
        Row i owns the entries ``offsets[i]:offsets[i + 1]``, and the first offset is 0.
    columns : (nnz,) int64 tensor
    values : (nnz,) float32 tensor
    n_features : int
    """

    ndim = 2

    def __init__(self, offsets: Tensor, columns: Tensor, values: Tensor, n_features: int) -> None:
        self.offsets, self.columns, self.values, self.n_features = offsets, columns, values, n_features

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, rows: slice) -> EntryBatch:
        """Consecutive rows."""
        start, stop, _ = rows.indices(len(self))
        offsets = self.offsets[start : max(start, stop) + 1]
        entries = slice(int(offsets[0]), int(offsets[-1]))
        return EntryBatch(offsets - offsets[0], self.columns[entries], self.values[entries], self.n_features)

    def repeat(self, times: int, *_: int) -> EntryBatch:
        """These rows so many times, one after the other."""
        ends = torch.cat([self.offsets[1:] + i * len(self.columns) for i in range(times)])
        columns, values = self.columns.repeat(times), self.values.repeat(times)
        return EntryBatch(F.pad(ends, (1, 0)), columns, values, self.n_features)

    def masked(self, p: float) -> EntryBatch:
        """Zero each entry with probability ``p``; the others stay as they are."""
        kept = keep_mask(self.values.shape, p, self.values.device)
        return EntryBatch(self.offsets, self.columns, self.values * kept, self.n_features)

    def through(self, layer: nn.Linear) -> Tensor:
        """What a linear layer makes of the rows, (B, H): sums of a column of its weights for each entry.

        Weights that lie :func:`by_columns` are read, and get their gradient, as they lie; others are copied first.
        """
        sums = F.embedding_bag(
            self.columns,
            layer.weight.T.contiguous(),  # (n_features, H)
            self.offsets,
            mode="sum",
            include_last_offset=True,
            per_sample_weights=self.values,
        )
        return sums + layer.bias


def by_columns(layer: nn.Linear) -> None:
    """Lay the weights (H, n_features) of a layer out column after column, as entries read and change them."""
    layer.weight.data = layer.weight.detach().T.contiguous().T


def first_layer(x: Tensor | EntryBatch, layer: nn.Linear) -> Tensor:
    """A linear layer on rows, dense or as entries."""
    return x.through(layer) if isinstance(x, EntryBatch) else layer(x)
