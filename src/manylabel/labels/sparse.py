"""Labels as lists of label numbers, row by row."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from manylabel.errors import ManyLabelError
from manylabel.kernels.transforms import transformed
from manylabel.labels.base import LabelLists, LabelMatrix, RowIndex, row_index
from manylabel.labels.checks import check_line, check_lists, described
from manylabel.labels.hashing import label_hashes
from manylabel.labels.products import LabelSums, RowSums

_BLOCK = 2048  # rows


class SparseLabels(LabelLists):
    """Labels as one list of label numbers per row (CSR).

    Parameters
    ----------
    offsets : (n_rows + 1,) integer
        Row i owns the entries ``offsets[i]:offsets[i + 1]``.
    columns : (nnz,) integer
        Label numbers, none twice in a row.
    weights : (nnz,) float, or None
        None stands for ones.
    n_labels : int
    trusted : bool, default False
        A promise that the lists are right, as those made from another label matrix are; they are not looked at then.

    Raises
    ------
    ManyLabelError
        If offsets fall or reach past the entries, or a label number lies out of range.
    """

    def __init__(
        self,
        offsets: Tensor,
        columns: Tensor,
        weights: Tensor | None,
        n_labels: int,
        *,
        trusted: bool = False,
    ) -> None:
        if not trusted:
            check_lists(offsets, columns, n_labels, "SparseLabels")
            _check_weights(weights, columns)
            offsets, columns = offsets.clone(), columns.clone()  # what was checked stays as it was
        self.offsets, self.columns, self.weights = offsets.int(), columns.int(), weights
        self.n_rows, self.n_labels, self.device = len(offsets) - 1, n_labels, columns.device

    @property
    def rows(self) -> Tensor:
        """The row of each entry, (nnz,) int32."""
        rows = torch.arange(self.n_rows, dtype=torch.int32, device=self.device)
        return torch.repeat_interleave(rows, self.offsets.diff(), output_size=len(self.columns))

    @property
    def transposed(self) -> SparseLabels:
        """The rows of each label: the same entries as an (n_labels, n_rows) matrix."""
        known, unknown = self._by_label, self._unknown
        return known if unknown is None else known.with_unknown(unknown.transposed)

    @cached_property
    def _by_label(self) -> SparseLabels:
        columns, order = torch.sort(self.columns, stable=True)
        weights = None if self.weights is None else self.weights[order]
        return SparseLabels(
            offsets_of(columns, self.n_labels), self.rows[order], weights, self.n_rows, trusted=True
        )

    def row_counts(self, dtype: torch.dtype = torch.float32) -> Tensor:
        if self.weights is None:
            return self.offsets.diff().to(dtype)
        return torch.zeros(self.n_rows, dtype=dtype, device=self.device).index_add_(
            0, self.rows, self.weights.to(dtype)
        )

    def _label_counts(self, dtype: torch.dtype) -> Tensor:
        weights = None if self.weights is None else self.weights.to(dtype)
        if weights is not None and weights.requires_grad:  # bincount has no gradient
            return weights.new_zeros(self.n_labels).index_add(0, self.columns, weights)
        return torch.bincount(self.columns, weights, self.n_labels).to(dtype)

    def _label_sums(self, Z: Tensor, factors: Tensor | None) -> Tensor:
        if factors is not None:
            return self._label_products(Z, factors)
        if self._by_autograd():
            return self.dense(Z.dtype).T @ Z
        return LabelSums.apply(Z, self)  # type: ignore[no-any-return, no-untyped-call]

    def _label_products(self, Z: Tensor, factors: Tensor | None) -> Tensor:
        """``Y^T diag(factors) Z`` without gradient, label after label."""
        sums = Z.new_zeros(self.n_labels, Z.shape[1])
        for rows in self._stretches():
            part = torch.zeros_like(sums) if rows.start else sums
            some = None if factors is None else factors[rows]
            self._take(rows)._add_by_labels(Z[rows], some, part)
            if rows.start:
                sums += part
        return sums

    def _by_autograd(self) -> bool:
        """Whether products must be plain operators: weights want a gradient, or torch.func transforms the call."""
        wanted = self.weights is not None and self.weights.requires_grad and torch.is_grad_enabled()
        return wanted or transformed()

    def _stretches(self) -> list[slice]:
        """Rows whose embeddings are summed before they join the others, and stay in a cache meanwhile."""
        if self.n_rows <= 8 * _BLOCK or self.n_labels > _BLOCK or self.device.type != "cpu":
            return [slice(0, self.n_rows)]
        return [slice(start, start + _BLOCK) for start in range(0, self.n_rows, _BLOCK)]

    def _add_by_labels(self, Z: Tensor, factors: Tensor | None, sums: Tensor) -> None:
        entries = self._by_label
        if factors is not None:
            spread = entries.spread_labels(factors)
            entries = entries._with_entries(spread if entries.weights is None else spread * entries.weights)
        sums += entries._row_products(Z)

    def _row_sums(self, M: Tensor) -> Tensor:
        if self._by_autograd():
            return self.dense(M.dtype) @ M
        return RowSums.apply(M, self)  # type: ignore[no-any-return, no-untyped-call]

    def _row_products(self, M: Tensor) -> Tensor:
        """``Y M`` by indexed addition, without gradient."""
        weights = None if self.weights is None else self.weights.to(M.dtype)
        return F.embedding_bag(
            self.columns, M, self.offsets, mode="sum", include_last_offset=True, per_sample_weights=weights
        )

    def _take(self, rows: RowIndex) -> SparseLabels:
        if isinstance(rows, slice) and rows.step in (None, 1):
            return self._block(*rows.indices(self.n_rows)[:2])
        index = torch.arange(self.n_rows, device=self.device)[row_index(rows, self.n_rows, self.device)]
        lengths = self.offsets.diff()[index]
        offsets = F.pad(lengths.cumsum(0), (1, 0))
        shift = torch.repeat_interleave(self.offsets[index] - offsets[:-1], lengths)
        entries = torch.arange(int(offsets[-1]), device=self.device) + shift
        weights = None if self.weights is None else self.weights[entries]
        return SparseLabels(offsets, self.columns[entries], weights, self.n_labels, trusted=True)

    def _block(self, start: int, stop: int) -> SparseLabels:
        """Consecutive rows, as views of the lists."""
        if (start, stop) == (0, self.n_rows):
            return self
        stop = max(start, stop)
        offsets = self.offsets[start : stop + 1]
        entries = slice(int(offsets[0]), int(offsets[-1]))
        weights = None if self.weights is None else self.weights[entries]
        return SparseLabels(offsets - offsets[0], self.columns[entries], weights, self.n_labels, trusted=True)

    def dense(self, dtype: torch.dtype = torch.float32) -> Tensor:
        Y = torch.zeros(self.n_rows, self.n_labels, dtype=dtype, device=self.device)
        Y[self.rows, self.columns] = 1 if self.weights is None else self.weights.to(dtype)
        return Y

    def columns_first(self, dtype: torch.dtype = torch.float32) -> Tensor:
        Yt = torch.zeros(self.n_labels, self.n_rows, dtype=dtype, device=self.device)
        Yt[self.columns, self.rows] = 1 if self.weights is None else self.weights.to(dtype)
        return Yt

    def _lists(self) -> SparseLabels:
        return self

    def _to(self, device: torch.device | str) -> SparseLabels:
        weights = None if self.weights is None else self.weights.to(device)
        return SparseLabels(
            self.offsets.to(device), self.columns.to(device), weights, self.n_labels, trusted=True
        )

    def entries(self) -> Tensor | None:
        return self.weights

    def _with_entries(self, values: Tensor) -> SparseLabels:
        check_line("labels", "values, one for each label of a row", values, len(self.columns))
        return SparseLabels(self.offsets, self.columns, values, self.n_labels, trusted=True)

    def spread_rows(self, v: Tensor) -> Tensor:
        check_line("labels", "numbers, one for each row", v, self.n_rows)
        return v.index_select(0, self.rows)

    def spread_labels(self, v: Tensor) -> Tensor:
        check_line("labels", "numbers, one for each label", v, self.n_labels)
        return v.index_select(0, self.columns)

    def pick(self, columns_first: Tensor) -> Tensor:
        return columns_first[self.columns, self.rows]

    def _hide(self, which: Tensor) -> None:
        hidden, left = self._some(which, weighted=False), self._some(~which)
        self.__dict__.pop("_by_label", None)
        self.offsets, self.columns, self.weights = left.offsets, left.columns, left.weights
        if left.weights is not None and not left.weights.requires_grad and bool((left.weights == 1).all()):
            self.weights = None
        self._mark(hidden)

    def _some(self, kept: Tensor, weighted: bool = True) -> SparseLabels:
        """Some of the entries, (nnz,) bool, or ones in their places."""
        weights = self.weights[kept] if weighted and self.weights is not None else None
        offsets = F.pad(kept.cumsum(0), (1, 0))[self.offsets]
        return SparseLabels(offsets, self.columns[kept], weights, self.n_labels, trusted=True)

    def union(self, other: LabelLists) -> SparseLabels:
        width = max(self.n_labels, 1)
        places = torch.unique(torch.cat([m.rows.long() * width + m.columns for m in (self, other)]))
        offsets = offsets_of(places // width, self.n_rows)
        return SparseLabels(offsets, places % width, None, self.n_labels, trusted=True)

    def without(self, other: LabelLists) -> SparseLabels:
        own, gone = (m.rows.long() * m.n_labels + m.columns for m in (self, other))
        return self._some(~torch.isin(own, gone))

    def _concat(self, other: LabelMatrix) -> SparseLabels:
        tail = other._lists()
        offsets = torch.cat([self.offsets, self.offsets[-1] + tail.offsets[1:]])
        weights = None
        if self.weights is not None or tail.weights is not None:
            weights = torch.cat(
                [m.columns.new_ones(len(m.columns)) if m.weights is None else m.weights for m in (self, tail)]
            )
        return SparseLabels(
            offsets, torch.cat([self.columns, tail.columns]), weights, self.n_labels, trusted=True
        )

    def _with_identity(self) -> SparseLabels:
        numbers = torch.arange(self.n_labels, dtype=torch.int32, device=self.device)
        offsets = torch.cat([self.offsets, self.offsets[-1] + 1 + numbers])
        weights = None if self.weights is None else torch.cat([self.weights, torch.ones_like(numbers)])
        return SparseLabels(offsets, torch.cat([self.columns, numbers]), weights, self.n_labels, trusted=True)

    def occurring(self) -> Tensor:
        """The labels that some row carries, in order."""
        return torch.bincount(self.columns, minlength=self.n_labels).nonzero().squeeze(1)

    def select_labels(self, labels: Tensor) -> SparseLabels:
        return self._along(self._select(labels), lambda unknown: unknown.sparse().select_labels(labels))

    def _select(self, labels: Tensor) -> SparseLabels:
        numbers = torch.full((self.n_labels,), -1, dtype=torch.int32, device=self.device)
        numbers[labels] = torch.arange(len(labels), dtype=torch.int32, device=self.device)
        columns = numbers.index_select(0, self.columns)
        left = self._some(columns >= 0)
        return SparseLabels(left.offsets, columns[columns >= 0], left.weights, len(labels), trusted=True)

    def row_hashes(self) -> Tensor:
        running = F.pad(label_hashes(self.n_labels, self.device)[self.columns].cumsum(0), (1, 0))
        return running[self.offsets].diff()


def _check_weights(weights: Tensor | None, columns: Tensor) -> None:
    if weights is not None and (not isinstance(weights, Tensor) or weights.shape != columns.shape):
        raise ManyLabelError("SparseLabels", f"{len(columns)} weights or None", described(weights))
    devices = {t.device for t in (columns, weights) if t is not None}
    if len(devices) > 1 or columns.device.type == "meta":
        got = " and ".join(sorted(map(str, devices)))
        raise ManyLabelError(
            "SparseLabels", "lists on one device that has data", got, "Move them with .to()."
        )


def offsets_of(sorted_rows: Tensor, n_rows: int) -> Tensor:
    """Where the entries of each row begin, (n_rows + 1,), from the row of each entry in order."""
    return F.pad(torch.bincount(sorted_rows, minlength=n_rows).cumsum(0), (1, 0))
