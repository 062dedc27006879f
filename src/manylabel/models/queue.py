"""The label queue: the most recent keys and their labels, as further candidates of a contrastive loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from manylabel.errors import ManyLabelError
from manylabel.labels import DenseLabels, LabelMatrix

_FEW = 64  # labels


class SummedLabels(DenseLabels):
    """Labels of keys whose label sums are known.

    Parameters
    ----------
    Y : (n, n_labels) tensor
        Checked already: entries in [0, 1].
    keys : (n, D) tensor
        Not to be changed afterwards.
    counts : (n_labels,) tensor
        Column sums of Y.
    sums : (n_labels, D) tensor
        ``Y^T keys``.
    """

    def __init__(self, Y: Tensor, keys: Tensor, counts: Tensor, sums: Tensor) -> None:
        super().__init__(Y)
        self.keys, self.counts, self.sums = keys, counts, sums
        self._checked = "soft" if Y.is_floating_point() else "binary"

    def compact(self) -> LabelMatrix:
        return self

    def label_counts(self, dtype: torch.dtype = torch.float32) -> Tensor:
        return self.counts.to(dtype)

    def label_sums(self, Z: Tensor, factors: Tensor | None = None) -> Tensor:
        """``Y^T Z``: what is known if Z are the keys, else computed."""
        if factors is None and not torch.compiler.is_compiling() and self._are_keys(Z):
            return self.sums.to(Z.dtype)
        return DenseLabels(self.Y).compact().label_sums(Z, factors)

    def _are_keys(self, Z: Tensor) -> bool:
        same = Z.data_ptr() == self.keys.data_ptr() and Z.shape == self.keys.shape
        return same and Z.dtype == self.keys.dtype and not Z.requires_grad


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
        Storage of the labels; a floating type for soft labels.
    running_sums : bool, default False
        Keep the label sums of the stored keys, which MulSupCon takes: what enters is added, what leaves taken off,
        and all is summed anew whenever the ring starts over. It pays where the capacity is many batches.

    Attributes
    ----------
    keys : (capacity, D) float32 buffer
    labels : (capacity, n_labels) buffer
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
        self.capacity, self.running_sums = capacity, running_sums
        self.register_buffer("keys", torch.zeros(capacity, dim))
        self.register_buffer("labels", torch.zeros(capacity, n_labels, dtype=label_dtype))
        self.register_buffer("filled", torch.tensor(0))
        self.register_buffer("position", torch.tensor(0))
        if running_sums:
            self.register_buffer("counts", torch.zeros(n_labels, dtype=torch.float64))
            self.register_buffer("sums", torch.zeros(n_labels, dim, dtype=torch.float64))

    def __len__(self) -> int:
        return int(self.filled)

    def candidates(self, keys: Tensor, labels: Tensor) -> tuple[Tensor, Tensor | LabelMatrix]:
        """The given keys followed by the stored ones, with their labels.

        Parameters
        ----------
        keys : (B, D) tensor
        labels : (B, n_labels) tensor

        Returns
        -------
        (B + len(self), D) keys and (B + len(self), n_labels) labels, as a tensor or with their label sums
        """
        n = len(self)
        all_keys = torch.cat([keys, self.keys[:n].to(keys.dtype)])
        all_labels = torch.cat([labels, self.labels[:n].to(labels.dtype)])
        if not self.running_sums:
            return all_keys, all_labels
        return all_keys, SummedLabels(all_labels, all_keys, *self.label_sums(keys, labels))

    @torch.no_grad()
    def label_sums(self, keys: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Column sums of the labels, and label sums of the keys, of the given rows and the stored ones."""
        counts, sums = _label_sums(keys, labels)
        for start in range(0, len(sums), _FEW):
            part = slice(start, start + _FEW)
            sums[part] += self.sums[part]  # a few labels at a time: the stored ones are float64
        return counts + self.counts, sums

    @torch.no_grad()
    def push(self, keys: Tensor, labels: Tensor) -> None:
        """Write rows over the oldest ones; of more rows than ``capacity`` the last ones stay.

        Raises
        ------
        ManyLabelError
            If the rows do not match the queue's shapes.
        """
        if keys.shape[1:] != self.keys.shape[1:] or labels.shape != (len(keys), self.labels.shape[1]):
            expected = f"keys (B, {self.keys.shape[1]}) and labels (B, {self.labels.shape[1]})"
            raise ManyLabelError(
                "LabelQueue.push", expected, f"{tuple(keys.shape)} and {tuple(labels.shape)}"
            )
        keys, labels = keys[-self.capacity :], labels[-self.capacity :]
        n, start = len(keys), int(self.position)
        first = min(n, self.capacity - start)
        self._write(start, keys[:first], labels[:first])
        self._write(0, keys[first:], labels[first:])
        self.position.fill_((start + n) % self.capacity)
        self.filled.fill_(min(len(self) + n, self.capacity))
        if self.running_sums and start + n >= self.capacity:
            counts, sums = _label_sums(self.keys, self.labels)
            self.counts, self.sums = counts, sums.double()

    def _write(self, start: int, keys: Tensor, labels: Tensor) -> None:
        rows = slice(start, start + len(keys))
        if self.running_sums and len(keys):  # rows never written are zeros and take nothing off
            for sign, k, y in ((-1, self.keys[rows], self.labels[rows]), (1, keys, labels)):
                counts, sums = _label_sums(k.to(self.keys.dtype), y)
                self.counts.add_(counts, alpha=sign)
                self.sums.add_(sums, alpha=sign)
        self.keys[rows], self.labels[rows] = keys, labels


def _label_sums(keys: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Column sums of labels (n_labels,) in float64, and label sums of keys (n_labels, D)."""
    Y = LabelMatrix.of(labels, who="LabelQueue").compact()
    return Y.label_counts(torch.float64), Y.label_sums(keys)
