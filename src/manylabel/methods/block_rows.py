"""Rows on disk for training: batches out of a few blocks that were read, in an order that goes by blocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from manylabel.data.rows import SparseParts, VectorParts
from manylabel.methods.sparse_rows import SparseRows
from manylabel.models import Preprocessor
from manylabel.models.inputs.vectors import OfFeatures

WINDOW = 8  # blocks whose rows are mixed with each other


class BlockRows:
    """Rows that stay on disk; those that are asked for are read with the block that they are in.

    Parameters
    ----------
    X : VectorParts or SparseParts
    inputs : Preprocessor

    Notes
    -----
    The blocks of the last two windows are kept, standardised: some 16 times 8 MiB. Rows asked for in the order of
    :meth:`windows` are read once in an epoch; in a random order almost every batch would read almost every block.
    """

    def __init__(self, X: VectorParts | SparseParts, inputs: Preprocessor) -> None:
        self.X, self.inputs, self.size = X, inputs, X.block
        self.shape, self.device = (len(X), *inputs.shape), inputs.mean.device
        self.places = torch.from_numpy(np.argsort(X.rows, kind="stable"))  # rows as they follow in the files
        self.ranks = torch.empty_like(self.places)
        self.ranks[self.places] = torch.arange(len(X))
        self.kept: dict[int, Any] = {}

    def __len__(self) -> int:
        return self.shape[0]

    def windows(self, generator: torch.Generator) -> list[Tensor]:
        """A random order that reads every block once: blocks at random, in windows of eight the rows at random."""
        n_blocks = -(-len(self) // self.size)
        drawn = []
        for window in torch.split(torch.randperm(n_blocks, generator=generator), WINDOW):
            rows = torch.cat([self.places[self._span(block)] for block in window.tolist()])
            drawn.append(rows[torch.randperm(len(rows), generator=generator)])
        return drawn

    def __getitem__(self, rows: Tensor) -> Any:
        """The rows at these positions, standardised, (B, n_features)."""
        made = torch.empty(len(rows), *self.shape[1:], device=self.device)
        for at, block, places in self._pieces(rows):
            made[at.to(self.device)] = block[places.to(self.device)]
        return made

    def _pieces(self, rows: Tensor) -> Iterator[tuple[Tensor, Any, Tensor]]:
        """Which of the rows are of one block, the block, and their places in it."""
        ranks = self.ranks[rows.cpu()]
        owners = ranks // self.size
        for block in np.unique(owners.numpy()).tolist():
            at = (owners == block).nonzero()[:, 0]
            yield at, self._block(block), ranks[at] % self.size

    def take(self, rows: Tensor) -> BlockRows:
        """The rows at these positions, still on disk."""
        return self._of(self.X.take(rows.cpu().numpy()))

    def _of(self, X: Any) -> Self:
        return type(self)(X, self.inputs)

    def _span(self, block: int) -> slice:
        return slice(block * self.size, (block + 1) * self.size)

    def _block(self, block: int) -> Any:
        """A block of rows, read where it is not kept."""
        found = self.kept.pop(block, None)
        if found is None:
            if len(self.kept) >= 2 * WINDOW:
                self.kept.pop(next(iter(self.kept)))  # the one that was used longest ago
            found = self._read(self.X.take(self.places[self._span(block)].numpy()))
        self.kept[block] = found
        return found

    def _read(self, part: Any) -> Any:
        """Rows as they are kept: standardised, (n, n_features)."""
        return self.inputs.prepared(self.inputs.dense(part).to(self.device))


class SparseBlockRows(BlockRows):
    """Sparse rows that stay on disk; blocks are kept as lists of entries.

    Parameters
    ----------
    X : SparseParts
    inputs : OfFeatures
    entries : bool, default False
        As :class:`SparseRows` takes it.
    """

    inputs: OfFeatures

    def __init__(self, X: SparseParts, inputs: OfFeatures, entries: bool = False) -> None:
        super().__init__(X, inputs)
        self.entries = entries

    def __getitem__(self, rows: Tensor) -> Any:
        """The rows at these positions, standardised, a tensor or an EntryBatch (B, n_features)."""
        import scipy.sparse as sp

        pieces = [(at, block[places.numpy()]) for at, block, places in self._pieces(rows)]
        order = torch.argsort(torch.cat([at for at, _ in pieces]))
        joined = sp.vstack([found for _, found in pieces], format="csr")[order.numpy()]
        return SparseRows.of(joined, self.inputs, self.entries)[torch.arange(len(rows), device=self.device)]

    def _of(self, X: Any) -> Self:
        return type(self)(X, self.inputs, self.entries)

    def _read(self, part: Any) -> Any:
        return self.inputs.csr(part)
