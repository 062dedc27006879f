"""The label queue: the most recent keys and their labels, as further candidates of a contrastive loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from manylabel.errors import ManyLabelError, NotFinite
from manylabel.labels import DenseLabels, LabelMatrix, Labels, PackedLabels, as_labels
from manylabel.labels.packed import check_bits
from manylabel.losses.settings import switch, whole


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
        Bits as in :class:`~manylabel.labels.PackedLabels`, or soft labels; 0 where a label is unknown.
    unknown : (capacity, ceil(n_labels / 8)) uint8 buffer
        Which label entries are unknown, as bits.
    filled, position : int64 scalar buffers
        Rows written so far (at most ``capacity``) and the row written next.
    counts, sums : (n_labels,) and (n_labels, D) float64 buffers
        Column sums of the stored labels and label sums of the stored keys, with ``running_sums``.
        All buffers are part of ``state_dict``.

    Notes
    -----
    Rows never written are never seen: :meth:`candidates` uses the filled part only. Push after the step's candidates
    were taken, so that no key is a candidate twice.
    Counts and sums stay float64 when a module around the queue is taken to another type; stored keys go along.
    """

    keys: Tensor
    labels: Tensor
    unknown: Tensor
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
        capacity = whole("LabelQueue", "capacity", capacity, hint="Train without a queue instead.")
        dim, n_labels = whole("LabelQueue", "dim", dim), whole("LabelQueue", "n_labels", n_labels)
        if not isinstance(label_dtype, torch.dtype) or label_dtype.is_complex:
            hint = "Leave it out, or name a floating type for soft labels."
            raise ManyLabelError(
                "LabelQueue", "label_dtype as a real torch.dtype", f"{label_dtype!r:.60}", hint
            )
        self.capacity, self.n_labels = capacity, n_labels
        self.running_sums = switch("LabelQueue", "running_sums", running_sums)
        self.soft = label_dtype.is_floating_point
        self.register_buffer("keys", torch.zeros(capacity, dim))
        shape, dtype = (n_labels, label_dtype) if self.soft else (-(-n_labels // 8), torch.uint8)
        self.register_buffer("labels", torch.zeros(capacity, shape, dtype=dtype))
        self.register_buffer("unknown", torch.zeros(capacity, -(-n_labels // 8), dtype=torch.uint8))
        self._has_unknown = False  # whether a row with unknown entries was ever written
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
        return self._wrapped(slice(len(self)))

    def storable(self, labels: Labels) -> LabelMatrix:
        """Labels as the queue stores them; the methods below take any, and these without work.

        Raises
        ------
        ManyLabelError
            If the queue holds bits and an entry is neither 0 nor 1.
        """
        if not self.soft:
            return PackedLabels.pack(labels, who="LabelQueue")
        soft = as_labels(labels, who="LabelQueue")
        if isinstance(soft, DenseLabels):
            return soft
        return DenseLabels(soft.dense(self.labels.dtype)).with_unknown(
            soft.unknown if soft.has_unknown else None
        )

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

        Raises
        ------
        ManyLabelError
            If the rows do not match the queue's shapes or device.
        """
        n, own = len(self), self.storable(labels)
        self._check(keys, own, "candidates")
        all_keys = torch.cat([keys, self.keys[:n].to(keys.dtype)])
        all_labels = own.concat(self._wrapped(slice(n)))
        if not self.running_sums:
            return all_keys, all_labels
        return all_keys, all_labels.with_sums(all_keys, *self.label_sums(keys, labels))

    @torch.no_grad()
    def label_sums(self, keys: Tensor, labels: Labels) -> tuple[Tensor, Tensor]:
        """Column sums of the labels, and label sums of the keys, of the given rows and the stored ones."""
        Y = as_labels(labels, who="LabelQueue")
        self._check(keys, Y, "label_sums")
        counts, sums = _label_sums(keys, Y)
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
            If the rows do not match the queue's shapes or device, or a key is not finite.
        """
        labels = self.storable(labels)
        self._check(keys, labels, "push")
        if not bool(keys.isfinite().all()):  # it would stay in the running sums for good
            hint = "Training has diverged: lower the learning rate, or clip gradients."
            raise NotFinite("LabelQueue.push", "finite keys", "NaN or infinite ones", hint)
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
            self._sum_anew()

    def _sum_anew(self) -> None:
        """Sums of what is stored, without the rounding of all that came and went."""
        counts, sums = _label_sums(self.keys, self._wrapped(slice(None)))
        self.counts, self.sums = counts, sums.double()

    def _check(self, keys: Tensor, labels: LabelMatrix, what: str) -> None:
        """Refuse rows of other shapes, or on another device."""
        width = self.keys.shape[1]
        right = isinstance(keys, Tensor) and keys.dim() == 2 and keys.is_floating_point()
        if not right or keys.shape[1] != width or labels.shape != (len(keys), self.n_labels):
            got = (
                f"{tuple(keys.shape)} and {labels.shape}" if isinstance(keys, Tensor) else type(keys).__name__
            )
            hint = f"This queue was made for keys of size {width} and {self.n_labels} labels."
            expected = f"floating keys (B, {width}) and labels (B, {self.n_labels})"
            raise ManyLabelError(f"LabelQueue.{what}", expected, got, hint)
        if keys.device != self.keys.device or labels.device != self.keys.device:
            got = f"keys on {keys.device} and labels on {labels.device}"
            hint = "Move all to one device with .to()."
            raise ManyLabelError(f"LabelQueue.{what}", f"rows on {self.keys.device}", got, hint)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> LabelQueue:
        """What ``.to``, ``.half`` and the like do: sums move to another device, but never round to another type."""
        kept = {name: getattr(self, name) for name in ("counts", "sums") if self.running_sums}
        kept_type = self.keys.dtype
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, before in kept.items():
            after = getattr(self, name)
            if after.dtype != before.dtype:
                setattr(self, name, before.to(after.device))
        if kept and self.keys.dtype != kept_type and self.keys.device.type != "meta":
            self._sum_anew()  # of keys as they are now
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Take a state up, but none whose numbers point outside of the ring."""
        for name in ("filled", "position"):
            if (value := state_dict.get(prefix + name)) is not None:
                most = self.capacity if name == "filled" else self.capacity - 1
                if not isinstance(value, Tensor) or value.numel() != 1 or not 0 <= int(value) <= most:
                    got = repr(value)[:60]
                    hint = "The state is damaged, or of another queue."
                    raise ManyLabelError("LabelQueue", f"{name} from 0 to {most} in its state", got, hint)
        for name in ("unknown",) if self.soft else ("labels", "unknown"):
            bits = state_dict.get(prefix + name)
            if isinstance(bits, Tensor) and bits.shape == getattr(self, name).shape:
                check_bits(bits, self.n_labels, "LabelQueue")
        super()._load_from_state_dict(state_dict, prefix, *args)
        self._has_unknown = bool(self.unknown.any())

    def _write(self, start: int, keys: Tensor, labels: LabelMatrix) -> None:
        rows = slice(start, start + len(keys))
        if self.running_sums:  # rows never written are zeros and take nothing off
            for sign, k, y in ((-1, self.keys[rows], self._wrapped(rows)), (1, keys, labels)):
                counts, sums = _label_sums(k.to(self.keys.dtype), y)
                self.counts.add_(counts, alpha=sign)
                self.sums.add_(sums, alpha=sign)
        self.keys[rows] = keys
        self.labels[rows] = (
            labels.bits if isinstance(labels, PackedLabels) else labels.dense(self.labels.dtype)
        )
        self._has_unknown = self._has_unknown or labels.has_unknown
        if self._has_unknown:
            self.unknown[rows] = PackedLabels.pack(labels.unknown).bits

    def _wrapped(self, rows: slice) -> LabelMatrix:
        """Rows of the buffers as labels."""
        stored = self.labels[rows]
        labels = DenseLabels(stored) if self.soft else PackedLabels(stored, self.n_labels, trusted=True)
        if not self._has_unknown:
            return labels
        return labels.with_unknown(PackedLabels(self.unknown[rows], self.n_labels, trusted=True))


def _label_sums(keys: Tensor, labels: LabelMatrix) -> tuple[Tensor, Tensor]:
    """Column sums of labels (n_labels,) in float64, and label sums of keys (n_labels, D), of half types in float32."""
    Y = labels.compact()
    return Y.label_counts(torch.float64), Y.label_sums(keys.float() if keys.dtype.itemsize < 4 else keys)
