"""Pair weights in which every label of an anchor hands out one unit among the candidates that carry it."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from manylabel.labels import LabelMatrix
from manylabel.losses.base import EPS
from manylabel.losses.softmax import LabelWeights, Overlaps, TileWeights
from manylabel.losses.softmax.accumulator import without_self
from manylabel.losses.softmax.tiles import tile_shape, tiles


class UnitWeights(TileWeights):
    """``w_ia = f_ia sum_c R_ic T_ac``, ``R_ic = Y_ic / (n_ic + EPS)``, ``n_ic`` a sum of ``f_ia T_ac``.

    Every label of an anchor hands out one unit of weight among the candidates that carry it, in shares ``f``.
    """

    counts: Tensor  # (B,) labels of the anchors
    other_counts: Tensor  # (N,) labels of the candidates
    given: Overlaps  # sum_c R_ic T_ac

    def __init__(self, Y: LabelMatrix, T: LabelMatrix, dtype: torch.dtype, self_offset: int = 0) -> None:
        self.Y, self.T, self.self_offset = Y, T, self_offset
        self.counts, self.other_counts = Y.row_counts(dtype), T.row_counts(dtype)
        self.shared = Overlaps(Y, T)

    @abstractmethod
    def share(self, shared: Tensor, counts: Tensor, other_counts: Tensor, columns: slice) -> Tensor:
        """``f_ia`` from intersections (m, n) and label counts (m,), (n,); may overwrite the intersections."""

    def carried(self) -> Tensor:
        """``sum_a f_ia T_ac`` at the entries of Y, own pairs left out; a block of rows at a time."""
        dtype = self.counts.dtype
        height, width = tile_shape(self.Y.n_rows, self.T.n_rows, self.Y.device)
        candidates = [(c, self.T.take(c)) for c in tiles(0, self.T.n_rows, width)]
        parts = []
        for rows in tiles(0, self.Y.n_rows, height):
            Y = self.Y.take(rows)
            sums = torch.zeros(self.Y.n_labels, Y.n_rows, dtype=dtype, device=self.Y.device)
            for columns, T in candidates:
                shared = Y.row_sums(T.columns_first(dtype))
                f = self.share(shared, self.counts[rows], self.other_counts[columns], columns)
                sums += T.label_sums(without_self(f, rows, columns, self.self_offset, 0.0).T.contiguous())
            parts.append(Y.pick(sums))
        return torch.cat(parts) if parts else self.Y.pick(self.counts.new_zeros(self.Y.n_labels, 0))

    def tile(self, rows: slice, columns: slice, dtype: torch.dtype) -> Tensor:
        shared = self.shared.tile(rows, columns, dtype)
        f = self.share(shared, self.counts[rows], self.other_counts[columns], columns)
        return f.mul_(self.given.tile(rows, columns, dtype))


class MSCWeights(UnitWeights):
    """MSC: ``f_ia = alpha / |y_i or y_a|`` for samples and 1 for prototypes, which come last."""

    def __init__(
        self,
        Y: LabelMatrix,
        T: LabelMatrix,
        n_samples: int,
        alpha: float,
        dtype: torch.dtype,
        self_offset: int,
    ) -> None:
        super().__init__(Y, T, dtype, self_offset)
        self.n_samples, self.alpha = n_samples, alpha
        carried = self.carried()
        present = _present(Y, carried)
        self.given = Overlaps(Y.with_entries(present / (carried + EPS)), T)

    def share(self, shared: Tensor, counts: Tensor, other_counts: Tensor, columns: slice) -> Tensor:
        union = counts[:, None] + other_counts - shared  # (rows, columns)
        f = self.alpha / union.clamp_(min=1)
        f[:, max(self.n_samples - columns.start, 0) :] = 1.0
        return f


class REGWeights(UnitWeights):
    """REG: ``f_ia = (|y_i and y_a| / |y_a|)^alpha``; if alpha < 0, whether ``y_a`` lies within ``y_i``."""

    def __init__(
        self,
        Y: LabelMatrix,
        T: LabelMatrix,
        alpha: float,
        regularised: bool,
        dtype: torch.dtype,
        self_offset: int,
    ) -> None:
        super().__init__(Y, T, dtype, self_offset)
        self.alpha, self.regularised = alpha, regularised
        carried = self.carried()
        R = _present(Y, carried) / (carried + EPS) / Y.spread_rows(self.counts.clamp(min=1))
        self.totals = Y.with_entries(R * carried).row_counts(dtype)
        self.given = Overlaps(Y.with_entries(R), T)
        self.taken = Overlaps(Y, Y.with_entries(R))

    def share(self, shared: Tensor, counts: Tensor, other_counts: Tensor, columns: slice) -> Tensor:
        if self.alpha < 0:
            return (shared == other_counts).to(shared.dtype)
        if self.alpha == 0:
            return torch.ones_like(shared)
        x = shared.div_(other_counts.clamp(min=1))
        return x if self.alpha == 1 else x.pow_(self.alpha)

    def both(self, rows: slice, columns: slice, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        shared = self.shared.tile(rows, columns, dtype)  # (rows, columns), the same in both directions
        there = self.share(shared.clone(), self.counts[rows], self.counts[columns], columns)
        back = self.share(shared, self.counts[columns], self.counts[rows, None], rows)
        there.mul_(self.given.tile(rows, columns, dtype))
        return there, back.mul_(self.taken.tile(rows, columns, dtype))


class EqualREGWeights(TileWeights):
    """REG with alpha = 0: ``w_ia = (1/|y_i|) sum_{c shared} 1 / (n_c - 1 + EPS)``; see :func:`equal_reg_weights`."""

    regularised = True

    def __init__(self, Y: LabelMatrix, T: LabelMatrix, dtype: torch.dtype) -> None:
        per_label, self.part, self.totals = equal_reg_weights(Y, T, dtype)
        self.shared = Overlaps(Y, T, per_label)

    def tile(self, rows: slice, columns: slice, dtype: torch.dtype) -> Tensor:
        return self.shared.tile(rows, columns, dtype).mul_(self.part[rows, None])

    def both(self, rows: slice, columns: slice, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        shared = self.shared.tile(rows, columns, dtype)
        return shared * self.part[rows, None], shared.mul_(self.part[columns])


def equal_reg_weights(Y: LabelMatrix, T: LabelMatrix, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Where every carrier of a label, of the candidates ``T`` that the anchors ``Y`` are among, gets the same share.

    Returns
    -------
    per_label : (C,)
        ``1 / (n_c - 1 + EPS)``, 0 where no other row carries the label.
    part : (B,)
        ``1 / |y_i|``.
    totals : (B,)
        ``W_i``.
    """
    others = T.label_counts(dtype) - 1  # (C,): carriers besides the anchor
    per_label = (others > 0) / (others + EPS)
    part = Y.row_counts(dtype).clamp(min=1).reciprocal()
    return per_label, part, part * Y.row_sums((others * per_label)[:, None]).squeeze(1)


def equal_label_weights(Y: LabelMatrix, T: LabelMatrix, dtype: torch.dtype) -> LabelWeights:
    """The weights of :class:`EqualREGWeights` where no pair need be looked at."""
    per_label, part, totals = equal_reg_weights(Y, T, dtype)
    left = Y.with_entries(_present(Y, Y.spread_rows(part)) * Y.spread_rows(part))
    return LabelWeights(left, per_label, T, totals, part * Y.row_sums(per_label[:, None]).squeeze(1))


def _present(Y: LabelMatrix, like: Tensor) -> Tensor:
    """The stored entries of a binary matrix as numbers."""
    entries = Y.entries()
    return torch.ones_like(like) if entries is None else entries.to(like.dtype)
