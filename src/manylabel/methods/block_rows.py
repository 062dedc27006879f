"""Rows on disk for training: batches out of a few blocks that were read, in an order that goes by blocks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from manylabel.data.rows import VectorParts
from manylabel.models import Preprocessor

WINDOW = 8  # blocks whose rows are mixed with each other


class BlockRows:
    """Rows that stay on disk; those that are asked for are read with the block that they are in.

    Parameters
    ----------
    X : VectorParts
    inputs : Preprocessor

    Notes
    -----
    The blocks of the last two windows are kept, standardised: some 16 times 8 MiB. Rows asked for in the order of
    :meth:`order` are read once in an epoch; in a random order almost every batch would read almost every block.
    """

    def __init__(self, X: VectorParts, inputs: Preprocessor) -> None:
        self.X, self.inputs, self.size = X, inputs, X.block
        self.shape, self.device = (len(X), *inputs.shape), inputs.mean.device
        self.places = torch.from_numpy(np.argsort(X.rows, kind="stable"))  # rows as they follow in the files
        self.ranks = torch.empty_like(self.places)
        self.ranks[self.places] = torch.arange(len(X))
        self.kept: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return self.shape[0]

    def order(self, generator: torch.Generator) -> Tensor:
        """A random order that reads every block once: blocks at random, rows at random within eight of them, (n,)."""
        n_blocks = -(-len(self) // self.size)
        windows = torch.split(torch.randperm(n_blocks, generator=generator), WINDOW)
        drawn = []
        for window in windows:
            rows = torch.cat([self.places[self._span(block)] for block in window.tolist()])
            drawn.append(rows[torch.randperm(len(rows), generator=generator)])
        return torch.cat(drawn)

    def __getitem__(self, rows: Tensor) -> Tensor:
        """The rows at these positions, standardised, (B, n_features)."""
        ranks = self.ranks[rows.cpu()]
        owners = ranks // self.size
        made = torch.empty(len(ranks), *self.shape[1:], device=self.device)
        for block in np.unique(owners.numpy()).tolist():
            at = (owners == block).nonzero()[:, 0]
            made[at.to(self.device)] = self._block(block)[(ranks[at] % self.size).to(self.device)]
        return made

    def take(self, rows: Tensor) -> BlockRows:
        """The rows at these positions, still on disk."""
        return BlockRows(self.X.take(rows.cpu().numpy()), self.inputs)

    def _span(self, block: int) -> slice:
        return slice(block * self.size, (block + 1) * self.size)

    def _block(self, block: int) -> Tensor:
        """A block of rows, standardised, read where it is not kept."""
        found = self.kept.pop(block, None)
        if found is None:
            if len(self.kept) >= 2 * WINDOW:
                self.kept.pop(next(iter(self.kept)))  # the one that was used longest ago
            part = self.X.take(self.places[self._span(block)].numpy())
            found = self.inputs.prepared(self.inputs.dense(part).to(self.device))
        self.kept[block] = found
        return found
