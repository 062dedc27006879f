"""Rows on the device of the network, dense, sparse or as bytes, whose batches are indexed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from manylabel.data import Rows, VectorParts
from manylabel.data.rows import SparseParts
from manylabel.labels import DenseLabels, LabelMatrix
from manylabel.methods.block_rows import BlockRows, SparseBlockRows
from manylabel.methods.sparse_rows import SparseRows
from manylabel.models import Preprocessor
from manylabel.models.inputs import ImagePreprocessor
from manylabel.models.inputs.vectors import OfFeatures

_RESIDENT_BYTES = 2**32  # of pictures that are kept on the device; more are fetched by the batch


class PictureRows:
    """Pictures kept as bytes, in memory or in a mapped file; those that are asked for become numbers on the device.

    Parameters
    ----------
    values : (n, channels, height, width) uint8 tensor
    inputs : ImagePreprocessor
    """

    def __init__(self, values: Tensor, inputs: ImagePreprocessor) -> None:
        self.inputs, self.device = inputs, inputs.mean.device
        self.values = values.to(self.device) if values.numel() <= _RESIDENT_BYTES else values
        self.shape = tuple(values.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Tensor) -> Tensor:
        """The pictures at these positions in [0, 1], (B, channels, height, width)."""
        taken = self.values[rows.to(self.values.device)].to(self.device)
        return self.inputs.prepared(self.inputs.from_bytes(taken))

    def take(self, rows: Tensor) -> PictureRows:
        """The pictures at these positions, still bytes."""
        return PictureRows(self.values[rows.to(self.values.device)], self.inputs)


@dataclass(frozen=True)
class DeviceRows:
    """Rows on the device of the network.

    Attributes
    ----------
    X : (n, ...) float32 tensor, SparseRows or BlockRows (n, n_features), PictureRows (n, channels, height, width)
        Standardised vectors, or pictures in [0, 1]; ``X[rows]`` is a tensor, or an EntryBatch of sparse rows.
    Y : LabelMatrix (n, n_labels)
        Few labels as a dense uint8 tensor, or float32 for soft ones; many as lists.
    weights : (n,) or (n, n_labels) float32 tensor, or None
        How much rows, or their label entries, count in training.
    dense_bytes : int, for all of them
        Bytes of sparse rows or texts that are made dense once.
    dense_label_bytes : int, for all of them
        Bytes of labels that are: rows of them are cheaper to take than lists.
    """

    dense_bytes: ClassVar[int] = 2**28
    dense_label_bytes: ClassVar[int] = 2**25

    X: Tensor | SparseRows | BlockRows | PictureRows
    Y: LabelMatrix
    weights: Tensor | None = None

    @classmethod
    def of(cls, rows: Rows, inputs: Preprocessor, entries: bool = False) -> DeviceRows:
        """Make rows ready; vectors are standardised here, once, unless they would take too much memory dense.

        Batches of sparse rows stay lists of ``entries`` where that is asked for and no mean is taken out.
        """
        device = inputs.mean.device
        Y = _labels(rows.Y, cls.dense_label_bytes).to(device)
        weights = None if rows.weights is None else torch.tensor(rows.weights, device=device)
        large = 4 * len(rows) * inputs.shape[0] > cls.dense_bytes
        if large and isinstance(rows.X, SparseParts) and isinstance(inputs, OfFeatures):
            return cls(SparseBlockRows(rows.X, inputs, entries), Y, weights)
        if large and rows.X.is_sparse and isinstance(inputs, OfFeatures):
            return cls(SparseRows.of(inputs.csr(rows.X), inputs, entries), Y, weights)
        if large and isinstance(rows.X, VectorParts):
            return cls(BlockRows(rows.X, inputs), Y, weights)
        if isinstance(inputs, ImagePreprocessor) and rows.X.dtype == torch.uint8:
            return cls(PictureRows(inputs.read(rows.X).values, inputs), Y, weights)
        return cls(inputs.prepared(inputs.dense(rows.X).to(device)), Y, weights)

    def __len__(self) -> int:
        return len(self.X)

    @property
    def in_entries(self) -> bool:
        """Whether batches are an :class:`~manylabel.models.inputs.EntryBatch`."""
        return isinstance(self.X, SparseRows | SparseBlockRows) and self.X.entries

    def windows(self, generator: torch.Generator) -> list[Tensor]:
        """A random order of the rows for an epoch, in pieces of several blocks where they are read from disk."""
        if isinstance(self.X, BlockRows):
            return self.X.windows(generator)
        return [torch.randperm(len(self), generator=generator)]

    def parts(self, size: int) -> Iterator[Any]:
        """The features of so many rows at a time."""
        if isinstance(self.X, Tensor):
            yield from torch.split(self.X, size)
            return
        for rows in torch.split(torch.arange(len(self), device=self.Y.device), size):
            yield self.X[rows]

    def take(self, rows: Tensor) -> DeviceRows:
        """The rows at these positions."""
        X = self.X[rows] if isinstance(self.X, Tensor) else self.X.take(rows)
        return DeviceRows(X, self.Y.take(rows), self.weights_of(rows))

    def weights_of(self, rows: Tensor) -> Tensor | None:
        """The weights of the rows at these positions, (B,) or (B, n_labels); None where all rows count alike."""
        return None if self.weights is None else self.weights[rows]


def label_dtype(Y: LabelMatrix) -> torch.dtype:
    """The smallest type of dense labels: uint8, or float32 for soft ones."""
    return torch.uint8 if Y.binary else torch.float32


def _labels(Y: LabelMatrix, most: int) -> LabelMatrix:
    """Labels in the layout of which batches are taken fast, as long as that is small; soft ones in float32."""
    dtype = label_dtype(Y)
    if Y.n_rows * Y.n_labels * dtype.itemsize <= most:
        dense = LabelMatrix.of(Y.dense(dtype), binary=dtype == torch.uint8)
        return dense.with_unknown(DenseLabels(Y.unknown.dense(torch.bool)) if Y.has_unknown else None)
    entries = Y.sparse()
    return entries if entries.weights is None else entries.with_entries(entries.weights.to(dtype))


@torch.no_grad()
def embed(encoder: nn.Module, rows: DeviceRows, inputs: Preprocessor) -> Tensor:
    """Representations of rows as they are, encoder in evaluation mode; (n, H)."""
    mode = encoder.training
    encoder.eval()
    Z = torch.cat([encoder(inputs.finished(x)) for x in rows.parts(inputs.block)]).float()
    encoder.train(mode)
    return Z
