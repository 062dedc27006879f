"""The label queue: the most recent keys and their labels, as further candidates of a contrastive loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from manylabel.errors import ManyLabelError


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

    Attributes
    ----------
    keys : (capacity, D) float32 buffer
    labels : (capacity, n_labels) buffer
    filled, position : int64 scalar buffers
        Rows written so far (at most ``capacity``) and the row written next. All four are part of ``state_dict``.

    Notes
    -----
    Rows never written are never seen: :meth:`candidates` uses the filled part only. Push after the step's candidates
    were taken, so that no key is a candidate twice.
    """

    keys: Tensor
    labels: Tensor
    filled: Tensor
    position: Tensor

    def __init__(
        self, capacity: int, dim: int, n_labels: int, label_dtype: torch.dtype = torch.uint8
    ) -> None:
        super().__init__()
        if capacity < 1:
            raise ManyLabelError(
                "LabelQueue", "a capacity of at least 1", str(capacity), "Train without a queue instead."
            )
        self.capacity = capacity
        self.register_buffer("keys", torch.zeros(capacity, dim))
        self.register_buffer("labels", torch.zeros(capacity, n_labels, dtype=label_dtype))
        self.register_buffer("filled", torch.tensor(0))
        self.register_buffer("position", torch.tensor(0))

    def __len__(self) -> int:
        return int(self.filled)

    def candidates(self, keys: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The given keys followed by the stored ones, with their labels.

        Parameters
        ----------
        keys : (B, D) tensor
        labels : (B, n_labels) tensor

        Returns
        -------
        (B + len(self), D) keys and (B + len(self), n_labels) labels
        """
        n = len(self)
        return torch.cat([keys, self.keys[:n].to(keys.dtype)]), torch.cat(
            [labels, self.labels[:n].to(labels.dtype)]
        )

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
        for ring, rows in ((self.keys, keys.detach()), (self.labels, labels)):
            ring[start : start + first] = rows[:first]
            ring[: n - first] = rows[first:]
        self.position.fill_((start + n) % self.capacity)
        self.filled.fill_(min(len(self) + n, self.capacity))
