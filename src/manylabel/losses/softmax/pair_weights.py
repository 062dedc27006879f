"""What a loss tells the engine: how much each candidate counts as a positive of each anchor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from threading import local
from typing import TypeGuard

import torch
from torch import Tensor

from manylabel.kernels.choice import compiles, label_bits, shared_labels
from manylabel.labels import LabelMatrix, SparseLabels


class _Last(local):
    """What was made last, in each thread."""

    table_of: tuple[slice, torch.dtype] | None = None
    table: Tensor
    bits_of: slice | None = None
    bits: Tensor


class Overlaps:
    """Tiles of ``Y diag(per_label) T^T``, made one after another.

    The table of a block of columns is kept until another block is asked for.

    Parameters
    ----------
    Y : LabelMatrix (B, C)
    T : LabelMatrix (N, C)
    per_label : (C,) tensor, optional
        None stands for ones: the number of labels that two rows share.
    """

    def __init__(self, Y: LabelMatrix, T: LabelMatrix, per_label: Tensor | None = None) -> None:
        self.Y, self.T, self.per_label = Y, T, per_label
        self._last: _Last | None = None if torch.compiler.is_compiling() else _Last()
        self._pieces: dict[tuple[int, int], LabelMatrix] = {}

    def tile(self, rows: slice, columns: slice, dtype: torch.dtype) -> Tensor:
        """Some rows and columns, (rows, columns); the caller may overwrite it."""
        return self._piece(rows).row_sums(self.table(columns, dtype))

    def shared(self, rows: slice, columns: slice, dtype: torch.dtype) -> Tensor:
        """1 where a row and a column share a label, else 0, (rows, columns), of binary labels without ``per_label``.

        The caller may overwrite it.
        """
        assert self.per_label is None
        Y, T, last = self._piece(rows), self.T, self._last
        if last is None or not compiles(dtype, Y.device) or not (_are_lists(Y) and _are_lists(T)):
            return Y.row_sums(self.table(columns, dtype)).sign_()
        if last.bits_of != columns:
            last.bits, last.bits_of = label_bits(*_lists(T.take(columns)), T.n_labels), columns
        return shared_labels(*_lists(Y), last.bits, columns.stop - columns.start)

    def table(self, columns: slice, dtype: torch.dtype) -> Tensor:
        """The labels of some columns, label by label, (C, columns)."""
        last = self._last
        if last is None:
            return self._table(columns, dtype)
        if last.table_of != (columns, dtype):
            last.table, last.table_of = self._table(columns, dtype), (columns, dtype)
        return last.table

    def _piece(self, rows: slice) -> LabelMatrix:
        piece = self._pieces.get((rows.start, rows.stop))
        if piece is None:
            piece = self._pieces[rows.start, rows.stop] = self.Y.take(rows)
        return piece

    def _table(self, columns: slice, dtype: torch.dtype) -> Tensor:
        table = self.T.take(columns).columns_first(dtype)
        return table if self.per_label is None else table * self.per_label.to(dtype)[:, None]


def _lists(labels: SparseLabels) -> tuple[Tensor, Tensor]:
    return labels.offsets, labels.columns


def _are_lists(labels: LabelMatrix) -> TypeGuard[SparseLabels]:
    return isinstance(labels, SparseLabels) and labels.weights is None


class LeftOut:
    """Candidates that leave the denominator of an anchor, because of what is unknown about their labels.

    Between rows: those that share no known label with the anchor and do not know some label that it carries; they may
    be positives of exactly this anchor. Between a row and the prototype of a label: where that label of the row is
    unknown. A pair that is left out shares no label, so its weight is 0 in any loss of shared labels.

    Parameters
    ----------
    Y : LabelMatrix (B, C)
    T : LabelMatrix (N, C)
    rows : bool
        Whether rows leave denominators of rows.
    prototypes : (B,) and (N,) bool tensors, optional
        Which anchors, and which candidates, are prototypes.
    """

    def __init__(
        self, Y: LabelMatrix, T: LabelMatrix, rows: bool, prototypes: tuple[Tensor, Tensor] | None = None
    ) -> None:
        self.rows, self.prototypes = rows, prototypes
        self.shared = Overlaps(Y, T)
        self.hidden = Overlaps(Y, T.unknown) if T.has_unknown else None  # labels of an anchor, unknown there
        of_prototypes = Y.has_unknown and prototypes is not None
        self.asked = Overlaps(Y.unknown, T) if of_prototypes else None  # the same from the other side

    def tile(self, rows: slice, columns: slice, dtype: torch.dtype) -> Tensor:
        """Whether some candidates leave the denominators of some anchors, (rows, columns) bool."""
        out = torch.zeros((), dtype=torch.bool, device=self.shared.Y.device)
        if self.hidden is not None:
            out = self.hidden.shared(rows, columns, dtype) > self.shared.shared(rows, columns, dtype)
            if not self.rows:
                assert self.prototypes is not None
                out = out & self.prototypes[0][rows, None]
        if self.asked is not None:
            assert self.prototypes is not None
            out = out | ((self.asked.shared(rows, columns, dtype) > 0) & self.prototypes[1][columns])
        return out.expand(rows.stop - rows.start, columns.stop - columns.start)


class LabelAware:
    """What a candidate weighs in the denominator of an anchor: ``2 - |y_i and y_a| / max(|y_i|, |y_a|)``.

    Rows with the same labels weigh 1, rows that share none 2, two rows without labels 2.

    Parameters
    ----------
    Y : LabelMatrix (B, C)
    T : LabelMatrix (N, C)
    dtype : torch.dtype
    ones : PairWeights, optional
        Pairs with a weight in it weigh 1 whatever their labels.
    """

    def __init__(
        self, Y: LabelMatrix, T: LabelMatrix, dtype: torch.dtype, ones: PairWeights | None = None
    ) -> None:
        self.overlaps, self.ones = Overlaps(Y, T), ones
        self.counts, self.other_counts = Y.row_counts(dtype), T.row_counts(dtype)

    def tile(self, rows: slice, columns: slice, dtype: torch.dtype) -> Tensor:
        """Logarithms to the base 2, which are added to exponents, (rows, columns)."""
        most = torch.maximum(self.counts[rows, None], self.other_counts[columns]).clamp_min(1)
        # nothing in place: soft labels may be part of a graph
        w = (2 - self.overlaps.tile(rows, columns, dtype) / most).log2()
        return w if self.ones is None else w.masked_fill(self.ones.tile(rows, columns, dtype) > 0, 0)


class PairWeights(ABC):
    """Pair weights ``w_ia`` of B anchors and N candidates, never all at once.

    The engine computes ``L_i = W_i lse_i - sum_a w_ia s_ia / tau`` with ``W_i = sum_a w_ia``. Weights come
    in one of two forms: :class:`LabelWeights` factorise into label sums, :class:`TileWeights` are made a
    tile at a time.
    """

    learnt: str | None = (
        None  # what the weights depend on that only plain operators can differentiate, by name
    )
    left_out: LeftOut | None = None  # pairs that take no part
    negatives: LabelAware | None = None  # what pairs weigh in the denominator; None for 1
    decoupled = False  # whether the denominator of a positive has no other positives in it

    @property
    def plain(self) -> bool:
        """Whether one logsumexp over all candidates alike serves all positives of an anchor."""
        return self.left_out is None and self.negatives is None and not self.decoupled

    @abstractmethod
    def tile(self, rows: slice, columns: slice, dtype: torch.dtype) -> Tensor:
        """Weights of some anchors and candidates, (rows, columns); own pairs may hold anything."""

    def row_scale(self, totals: Tensor) -> Tensor | None:
        """The factor still missing in each anchor's weights, from the row sums of its tiles; None for 1."""
        return None


@dataclass(eq=False)
class LabelWeights(PairWeights):
    """``w_ia = sum_c left_ic per_label_c right_ac``, own pairs left out.

    Parameters
    ----------
    left : LabelMatrix (B, C)
    per_label : (C,) tensor
    right : LabelMatrix (N, C)
    totals : (B,) tensor
        ``W_i``, own pair left out.
    self_weights : (B,) tensor, optional
        ``w_ii`` where each anchor is one of the candidates and must be left out.
    """

    left: LabelMatrix
    per_label: Tensor
    right: LabelMatrix
    totals: Tensor
    self_weights: Tensor | None = None

    def tile(self, rows: slice, columns: slice, dtype: torch.dtype) -> Tensor:
        table = self.right.take(columns).columns_first(dtype) * self.per_label.to(dtype)[:, None]
        return self.left.take(rows).row_sums(table)

    def weighted(self, left: LabelMatrix, dtype: torch.dtype) -> LabelMatrix:
        """``left_ic per_label_c`` of some rows of ``left``, (rows, C)."""
        entries, per_label = left.entries(), left.spread_labels(self.per_label.to(dtype))
        return left.with_entries(per_label if entries is None else entries.to(dtype) * per_label)

    def anchor_sums(self, anchors: Tensor) -> Tensor:
        """``diag(per_label) left^T z``, (C, D)."""
        return self.left.label_sums(anchors) * self.per_label[:, None]


class TileWeights(PairWeights):
    """Weights made from the labels of a tile's rows and columns.

    Attributes
    ----------
    symmetric : bool
        Whether ``tile(rows, columns)`` is the transpose of ``tile(columns, rows)`` when the batch is
        contrasted with itself. If not, ``totals`` must be known, as where weights are regularised.
    one_sided : bool
        Whether a batch against itself is to be taken as anchors and candidates that are not the same.
    regularised : bool
        Whether a positive that is already likelier than its weight is not pushed away: the linear term then
        has ``max(w_ia, p_ia)`` in place of ``w_ia``, without gradient, on pairs with ``w_ia > 0``.
    totals : (B,) tensor
        ``W_i``, own pair left out, where it is known before the tiles are visited.
    """

    symmetric = False
    one_sided = False
    regularised = False
    totals: Tensor

    def both(self, rows: slice, columns: slice, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """``w_ia`` and ``w_ai`` of some rows i and columns a of the same batch, both (rows, columns)."""
        w = self.tile(rows, columns, dtype)
        return w, w.clone() if self.symmetric else self.tile(columns, rows, dtype).T.contiguous()
