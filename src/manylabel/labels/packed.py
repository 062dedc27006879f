"""Labels as bits, eight to a byte."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from manylabel.errors import ManyLabelError
from manylabel.kernels.transforms import transformed
from manylabel.labels.base import LabelMatrix, Labels, RowIndex, row_index
from manylabel.labels.checks import described
from manylabel.labels.convert import as_labels
from manylabel.labels.dense import DenseLabels
from manylabel.labels.products import LabelSums, RowSums
from manylabel.labels.sparse import SparseLabels

_BLOCK = 1 << 19  # entries unpacked at a time
_GATHER = 0x8040201008040201 - (1 << 64)  # times eight bytes of 0 or 1: their bits, in the highest byte


class PackedLabels(LabelMatrix):
    """Binary labels as bits: an eighth of the memory of a dense matrix of bytes.

    Rows are unpacked a block at a time; no dense matrix of all rows is made unless :meth:`dense` is asked for it.

    Parameters
    ----------
    bits : (n_rows, ceil(n_labels / 8)) uint8
        As of ``numpy.packbits``: label ``8 b + j`` is bit ``7 - j`` of byte b; what is left of the last byte is 0.
    n_labels : int
    trusted : bool, default False
        A promise that the bits are so; they are not looked at then.
    """

    def __init__(self, bits: Tensor, n_labels: int, *, trusted: bool = False) -> None:
        if not trusted:
            check_bits(bits, n_labels, "PackedLabels")
        self.bits, self.n_rows, self.n_labels, self.device = bits, len(bits), n_labels, bits.device

    @staticmethod
    def pack(Y: Labels, *, who: str = "labels") -> PackedLabels:
        """Pack labels of any layout.

        Raises
        ------
        ManyLabelError
            If an entry is neither 0 nor 1.
        """
        if isinstance(Y, PackedLabels):
            return Y
        labels = as_labels(Y, binary=True, who=who)
        packed = PackedLabels(_packed(labels.dense(torch.uint8)), labels.n_labels, trusted=True)
        return labels._along(packed, PackedLabels.pack)

    def _compact(self) -> LabelMatrix:
        """Few entries are unpacked; of many, lists if most are 0, else as they are; so too where sums are known."""
        if self._known is not None:
            return self
        if self.n_rows * self.n_labels <= _BLOCK:
            return DenseLabels(self.dense(torch.uint8))._compact()
        few = 8 * int(_ones(self.bits).sum()) < self.n_rows * self.n_labels
        return self._lists() if few else self

    def row_counts(self, dtype: torch.dtype = torch.float32) -> Tensor:
        return _ones(self.bits).sum(1).to(dtype)

    def _label_counts(self, dtype: torch.dtype) -> Tensor:
        counts = [((self.bits >> place) & 1).sum(0) for place in range(7, -1, -1)]
        return torch.stack(counts, 1).flatten()[: self.n_labels].to(dtype)

    def _label_sums(self, Z: Tensor, factors: Tensor | None) -> Tensor:
        if factors is None and transformed():
            return self.dense(Z.dtype).T @ Z
        if factors is None:
            return LabelSums.apply(Z, self)  # type: ignore[no-any-return, no-untyped-call]
        return self._label_products(Z, factors)

    def _row_sums(self, M: Tensor) -> Tensor:
        if transformed():
            return self.dense(M.dtype) @ M
        return RowSums.apply(M, self)  # type: ignore[no-any-return, no-untyped-call]

    def _label_products(self, Z: Tensor, factors: Tensor | None) -> Tensor:
        sums = Z.new_zeros(self.n_labels, Z.shape[1])
        for rows, Y in self._blocks(Z.dtype):
            sums.addmm_((Y if factors is None else Y * factors[rows, None]).T, Z[rows])
        return sums

    def _row_products(self, M: Tensor) -> Tensor:
        sums = M.new_empty(self.n_rows, M.shape[1])
        for rows, Y in self._blocks(M.dtype):
            torch.mm(Y, M, out=sums[rows])
        return sums

    def _blocks(self, dtype: torch.dtype) -> Iterator[tuple[slice, Tensor]]:
        height = max(_BLOCK // max(self.n_labels, 1), 1)
        for start in range(0, self.n_rows, height):
            rows = slice(start, start + height)
            yield rows, self._take(rows).dense(dtype)

    def _take(self, rows: RowIndex) -> PackedLabels:
        return PackedLabels(self.bits[row_index(rows, self.n_rows, self.device)], self.n_labels, trusted=True)

    def dense(self, dtype: torch.dtype = torch.float32) -> Tensor:
        return _unpacked(self.bits)[:, : self.n_labels].to(dtype)

    def _lists(self) -> SparseLabels:
        flat, n_bytes = self.bits.flatten(), self.bits.shape[1]
        occupied = flat.nonzero().squeeze(1)  # bytes with a label
        found = _unpacked(flat[occupied, None]).flatten().nonzero().squeeze(1)
        first = occupied.remainder_(max(n_bytes, 1)).mul_(8)  # the first label of each of them
        columns = first.index_select(0, found >> 3).add_(found & 7)
        offsets = F.pad(_ones(self.bits).sum(1).cumsum(0), (1, 0))
        return SparseLabels(offsets, columns, None, self.n_labels, trusted=True)

    def _to(self, device: torch.device | str) -> PackedLabels:
        return PackedLabels(self.bits.to(device), self.n_labels, trusted=True)

    def entries(self) -> None:
        return None

    def _concat(self, other: LabelMatrix) -> LabelMatrix:
        if not isinstance(other, PackedLabels):
            return self._lists()._concat(other)
        return PackedLabels(torch.cat([self.bits, other.bits]), self.n_labels, trusted=True)


def check_bits(bits: Tensor, n_labels: int, who: str) -> None:
    """Refuse bits of another shape or type, and labels beyond the last one."""
    width = -(-n_labels // 8)
    if not isinstance(bits, Tensor) or bits.dtype != torch.uint8 or bits.shape[1:] != (width,):
        raise ManyLabelError(who, f"uint8 bits of shape (n_rows, {width})", described(bits))
    spare = 8 * width - n_labels
    if spare and bool((bits[:, -1] & ((1 << spare) - 1)).any()):
        raise ManyLabelError(who, f"bits of {n_labels} labels", "bits beyond the last label")


def _packed(entries: Tensor) -> Tensor:
    """Bytes of 0 or 1 as bits, (n, m) -> (n, ceil(m / 8)) uint8; NumPy has it ready where it can reach."""
    if entries.device.type == "cpu" and not transformed():
        return torch.from_numpy(np.packbits(entries.numpy(), axis=1))
    return _packed_by_words(entries)


def _packed_by_words(entries: Tensor) -> Tensor:
    n, m = entries.shape
    words = F.pad(entries, (0, -m % 8)).flatten().view(torch.int64).view(n, -(-m // 8))
    return (words * _GATHER >> 56).to(torch.uint8)


@lru_cache
def _bytes_of(device: torch.device) -> Tensor:
    """The eight bits of each byte as bytes, in one word, (256,) int64."""
    places = torch.arange(7, -1, -1, device=device)
    bits = (torch.arange(256, device=device)[:, None] >> places) & 1
    return bits.to(torch.uint8).view(torch.int64).squeeze(1)


def _unpacked(bits: Tensor) -> Tensor:
    """The bits of each byte as bytes, (n, m) -> (n, 8 m) uint8."""
    if bits.device.type == "cpu" and not transformed():
        return torch.from_numpy(np.unpackbits(bits.numpy(), axis=1))
    return _unpacked_by_words(bits)


def _unpacked_by_words(bits: Tensor) -> Tensor:
    words = _bytes_of(bits.device).index_select(0, bits.flatten().int())
    return words.view(bits.shape).view(torch.uint8)


def _ones(bits: Tensor) -> Tensor:
    """How many bits of each byte are 1, by sums of neighbouring bits, pairs and fours."""
    pairs = bits - ((bits >> 1) & 0x55)
    fours = (pairs & 0x33) + ((pairs >> 2) & 0x33)
    return (fours + (fours >> 4)) & 0x0F
