"""The label queue: the most recent keys and their labels, as further candidates of a contrastive loss."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from manylabel.errors import ManyLabelError
from manylabel.labels import DenseLabels, LabelMatrix, Labels, PackedLabels, SummedLabels


class LabelQueue(nn.Module):
    """A ring of keys with label rows.

    Parameters
    ----------
    capacity : int
        Rows kept; any number, whatever the batch.
    dim : int
        Size D of a key.
    n_labels : int
    label_dtype : torch.dtype, default torch.uint8
        A floating type keeps soft labels; of any other type, labels are 0 or 1 and stored as bits.
    running_sums : bool, default False
        Keep the label sums of the stored keys, which MulSupCon takes: what enters is added, what leaves taken off,
        and all is summed anew whenever the ring starts over. It pays where the capacity is many batches.

    Attributes
    ----------
    keys : (capacity, D) float32 buffer
    labels : (capacity, ceil(n_labels / 8)) uint8 buffer, or (capacity, n_labels) of a floating type
        Bits as in :class:`~manylabel.labels.PackedLabels`, or soft labels.
    filled, position : int64 scalar buffers
        Rows written so far (at most ``capacity``) and the row written next.
    counts, sums : (n_labels,) and (n_labels, D) float64 buffers
        Column sums of the stored labels and label sums of the stored keys, with ``running_sums``.
        All buffers are part of ``state_dict``.

    Notes
    -----
    Rows never written are never seen: :meth:`candidates` uses the filled part only. Push after the step's candidates
    were taken, so that no key is a candidate twice.
    """

    keys: Tensor
    labels: Tensor
    filled: Tensor
    position: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(
        self,
        capacity: int,
        dim: int,
        n_labels: int,
        label_dtype: torch.dtype = torch.uint8,
        running_sums: bool = False,
    ) -> None:
        super().__init__()
        if capacity < 1:
            raise ManyLabelError(
                "LabelQueue", "a capacity of at least 1", str(capacity), "Train without a queue instead."
            )
        self.capacity, self.n_labels, self.running_sums = capacity, n_labels, running_sums
        self.soft = label_dtype.is_floating_point
        self.register_buffer("keys", torch.zeros(capacity, dim))
        shape, dtype = (n_labels, label_dtype) if self.soft else (-(-n_labels // 8), torch.uint8)
        self.register_buffer("labels", torch.zeros(capacity, shape, dtype=dtype))
        self.register_buffer("filled", torch.tensor(0))
        self.register_buffer("position", torch.tensor(0))
        if running_sums:
            self.register_buffer("counts", torch.zeros(n_labels, dtype=torch.float64))
            self.register_buffer("sums", torch.zeros(n_labels, dim, dtype=torch.float64))

    def __len__(self) -> int:
        return int(self.filled)

    @property
    def stored_labels(self) -> LabelMatrix:
        """The labels of the filled part, (len(self), n_labels); not a copy."""
        return self._wrapped(self.labels[: len(self)])

    def storable(self, labels: Labels) -> LabelMatrix:
        """Labels as the queue stores them; the methods below take any, and these without work.

        Raises
        ------
        ManyLabelError
            If the queue holds bits and an entry is neither 0 nor 1.
        """
        if not self.soft:
            return PackedLabels.pack(labels, who="LabelQueue")
        soft = LabelMatrix.of(labels, who="LabelQueue")
        return soft if isinstance(soft, DenseLabels) else DenseLabels(soft.dense(self.labels.dtype))

    def candidates(self, keys: Tensor, labels: Labels) -> tuple[Tensor, LabelMatrix]:
        """The given keys followed by the stored ones, with their labels.

        Parameters
        ----------
        keys : (B, D) tensor
        labels : (B, n_labels) tensor or label matrix

        Returns
        -------
        (B + len(self), D) keys and (B + len(self), n_labels) labels, which may know their label sums
            Copies: a later push changes neither.
        """
        n = len(self)
        all_keys = torch.cat([keys, self.keys[:n].to(keys.dtype)])
        all_labels = self.storable(labels).followed_by(self._wrapped(self.labels[:n]))
        if not self.running_sums:
            return all_keys, all_labels
        return all_keys, SummedLabels(all_labels, all_keys, *self.label_sums(keys, labels))

    @torch.no_grad()
    def label_sums(self, keys: Tensor, labels: Labels) -> tuple[Tensor, Tensor]:
        """Column sums of the labels, and label sums of the keys, of the given rows and the stored ones."""
        counts, sums = _label_sums(keys, LabelMatrix.of(labels, who="LabelQueue"))
        if sums.device.type == "cpu" and sums.dtype == torch.float32:
            # NumPy makes no copy of either in the other's type
            np.add(sums.numpy(), self.sums.numpy(), out=sums.numpy(), casting="same_kind")
        else:
            sums += self.sums
        return counts + self.counts, sums

    @torch.no_grad()
    def push(self, keys: Tensor, labels: Labels) -> None:
        """Write rows over the oldest ones; of more rows than ``capacity`` the last ones stay.

        Raises
        ------
        ManyLabelError
            If the rows do not match the queue's shapes.
        """
        labels = self.storable(labels)
        if keys.shape[1:] != self.keys.shape[1:] or labels.shape != (len(keys), self.n_labels):
            expected = f"keys (B, {self.keys.shape[1]}) and labels (B, {self.n_labels})"
            raise ManyLabelError("LabelQueue.push", expected, f"{tuple(keys.shape)} and {labels.shape}")
        if len(keys) > self.capacity:
            keys, labels = keys[-self.capacity :], labels.take(slice(-self.capacity, None))
        n, start = len(keys), int(self.position)
        first = min(n, self.capacity - start)
        if first == n:
            self._write(start, keys, labels)
        else:
            self._write(start, keys[:first], labels.take(slice(first)))
            self._write(0, keys[first:], labels.take(slice(first, None)))
        self.position.fill_((start + n) % self.capacity)
        self.filled.fill_(min(len(self) + n, self.capacity))
        if self.running_sums and start + n >= self.capacity:
            counts, sums = _label_sums(self.keys, self._wrapped(self.labels))
            self.counts, self.sums = counts, sums.double()

    def _write(self, start: int, keys: Tensor, labels: LabelMatrix) -> None:
        rows = slice(start, start + len(keys))
        if self.running_sums:  # rows never written are zeros and take nothing off
            for sign, k, y in ((-1, self.keys[rows], self._wrapped(self.labels[rows])), (1, keys, labels)):
                counts, sums = _label_sums(k.to(self.keys.dtype), y)
                self.counts.add_(counts, alpha=sign)
                self.sums.add_(sums, alpha=sign)
        self.keys[rows] = keys
        self.labels[rows] = (
            labels.bits if isinstance(labels, PackedLabels) else labels.dense(self.labels.dtype)
        )

    def _wrapped(self, stored: Tensor) -> LabelMatrix:
        """Rows of the buffer as labels."""
        return DenseLabels(stored) if self.soft else PackedLabels(stored, self.n_labels)


def _label_sums(keys: Tensor, labels: LabelMatrix) -> tuple[Tensor, Tensor]:
    """Column sums of labels (n_labels,) in float64, and label sums of keys (n_labels, D)."""
    Y = labels.compact()
    return Y.label_counts(torch.float64), Y.label_sums(keys)
