"""The label matrix: which rows carry which labels, dense or sparse behind one face.

Everything above this module asks its questions of a :class:`LabelMatrix` (row counts, label counts, label
sums, overlaps, groups of identical rows) and never looks at how the labels are laid out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from manylabel.errors import ManyLabelError

Labels: TypeAlias = "LabelMatrix | Tensor | np.ndarray[Any, Any] | Any"
RowIndex: TypeAlias = "Tensor | np.ndarray[Any, Any] | slice"

_COMPACT_FROM = (
    1 << 17
)  # entries; below this, products with the dense matrix are cheaper than listing its labels
_BLOCK = 2048  # rows
_ALL = slice(None)


class LabelMatrix(ABC):
    """Labels of ``n_rows`` rows, each a set (or a weight in [0, 1]) over ``n_labels`` labels.

    Build one with :meth:`of`. Equation symbols: Y is (n_rows, n_labels).
    """

    n_rows: int
    n_labels: int
    _checked: str = "no"
    _is_binary: bool | None = None

    @staticmethod
    def of(Y: Labels, *, binary: bool = False, who: str = "labels") -> LabelMatrix:
        """Wrap labels of any layout.

        Parameters
        ----------
        Y : (n_rows, n_labels) tensor (dense, COO or CSR), array, SciPy sparse matrix, or LabelMatrix
            Bool, integer or floating entries in [0, 1]; sparse input stays sparse.
        binary : bool, default False
            Refuse entries other than 0 and 1.
        who : str
            Named in the error message.

        Raises
        ------
        ManyLabelError
            If Y is not two-dimensional, holds NaN, or holds entries outside [0, 1] (or {0, 1}).
        """
        labels = _wrap(Y, who)
        if not torch.compiler.is_compiling():
            labels.check(binary, who)
        return labels

    @property
    def shape(self) -> tuple[int, int]:
        return self.n_rows, self.n_labels

    def __len__(self) -> int:
        return self.n_rows

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.n_rows} rows, {self.n_labels} labels)"

    def check(self, binary: bool, who: str) -> None:
        """Refuse NaN and entries outside [0, 1], or outside {0, 1}; each matrix is read once."""
        if self._checked == "binary" or (self._checked == "soft" and not binary):
            return
        entries = self.entries()
        if entries is not None and entries.dtype != torch.bool and entries.numel():
            _check_values(entries, binary, who)
        self._checked = "binary" if binary else "soft"

    @property
    def binary(self) -> bool:
        """Whether every entry is 0 or 1; under a compiler, whether the type of the entries says so."""
        entries = self.entries()
        if entries is None or not entries.is_floating_point():
            return True
        if torch.compiler.is_compiling():
            return False
        if self._is_binary is None:
            self._is_binary = bool((entries == entries.round()).all())
        return self._is_binary

    def only_label(self, who: str) -> Tensor:
        """The one label number of each row, -1 for rows without, (n_rows,) int64.

        Raises
        ------
        ManyLabelError
            If a row has more than one label.
        """
        counts = self.row_counts()
        if not torch.compiler.is_compiling() and bool((counts > 1).any()):
            raise ManyLabelError(
                who,
                "one label per row",
                f"up to {int(counts.max())}",
                "Use MulSupCon, ALL or ANY for several labels a row.",
            )
        numbers = torch.arange(1, self.n_labels + 1, dtype=torch.float64, device=self.device)[:, None]
        return self.row_sums(numbers).squeeze(1).long() - 1

    def compact(self) -> LabelMatrix:
        """The same labels in the cheaper layout: lists where the matrix is large and mostly 0."""
        return self

    def kept(self) -> LabelMatrix:
        """The same labels, prepared once for the many calls that will see them."""
        return self

    def columns_first(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """``Y^T`` as a dense, contiguous (n_labels, n_rows) tensor."""
        return self.dense(dtype).T.contiguous()

    def groups(self, other: LabelMatrix | None = None) -> tuple[Tensor, Tensor]:
        """Number the groups of rows with identical label sets.

        Parameters
        ----------
        other : LabelMatrix (n_other, n_labels), default this matrix

        Returns
        -------
        ids : (n_rows,) int64 in [0, n_rows)
            Equal for rows with the same set; sets without labels form a group of their own.
        other_ids : (n_other,) int64 in [0, n_rows]
            ``n_rows`` where no row of this matrix has that set.

        Notes
        -----
        Sets are compared by 64-bit sums of one fixed number per label: two different sets are taken for equal
        with a probability of 2^-64 per pair. Shapes do not depend on the labels.
        """
        own = self.row_hashes()
        return match_groups(own, own if other is None else other.row_hashes())

    @property
    @abstractmethod
    def device(self) -> torch.device: ...

    @abstractmethod
    def row_counts(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """``|y_i|``: labels of each row, (n_rows,)."""

    @abstractmethod
    def label_counts(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """``n_c``: rows of each label, (n_labels,)."""

    @abstractmethod
    def label_sums(self, Z: Tensor, factors: Tensor | None = None) -> Tensor:
        """``Y^T Z``: sums of the rows of Z that carry each label, (n_rows, D) -> (n_labels, D).

        With ``factors`` (n_rows,), of ``diag(factors) Z``, which is not made; then not differentiable.
        """

    @abstractmethod
    def row_sums(self, M: Tensor) -> Tensor:
        """``Y M``: sums of the rows of M over each row's labels, (n_labels, D) -> (n_rows, D)."""

    @abstractmethod
    def take(self, rows: RowIndex) -> LabelMatrix:
        """The labels of some rows, by position (repeats allowed)."""

    @abstractmethod
    def dense(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Y as a dense (n_rows, n_labels) tensor."""

    @abstractmethod
    def sparse(self) -> SparseLabels:
        """The same labels as lists of label numbers."""

    @abstractmethod
    def to(self, device: torch.device | str) -> LabelMatrix:
        """The same labels on another device."""

    @abstractmethod
    def entries(self) -> Tensor | None:
        """The stored values: all of Y, or those of the labels present; None stands for ones."""

    @abstractmethod
    def with_entries(self, values: Tensor) -> LabelMatrix:
        """The same labels with other stored values (see :meth:`entries`)."""

    @abstractmethod
    def spread_rows(self, v: Tensor) -> Tensor:
        """One number per row, (n_rows,), in a shape that broadcasts against :meth:`entries`."""

    @abstractmethod
    def spread_labels(self, v: Tensor) -> Tensor:
        """One number per label, (n_labels,), in a shape that broadcasts against :meth:`entries`."""

    @abstractmethod
    def pick(self, columns_first: Tensor) -> Tensor:
        """The values at the stored entries, in their shape, from a dense (n_labels, n_rows) tensor."""

    @abstractmethod
    def followed_by(self, other: LabelMatrix) -> LabelMatrix:
        """These rows and then those of another matrix over the same labels."""

    @abstractmethod
    def with_identity(self) -> LabelMatrix:
        """These rows, then one row for each label with that label alone, (n_rows + n_labels, n_labels)."""

    @abstractmethod
    def row_hashes(self) -> Tensor:
        """A 64-bit number per row, equal for equal label sets, (n_rows,) int64."""


class DenseLabels(LabelMatrix):
    """Labels as an (n_rows, n_labels) tensor of any dtype."""

    def __init__(self, Y: Tensor) -> None:
        self.Y = Y
        self.n_rows, self.n_labels = Y.shape
        self._converted: Tensor | None = None

    @property
    def device(self) -> torch.device:
        return self.Y.device

    def compact(self) -> LabelMatrix:
        if self.Y.numel() < _COMPACT_FROM or torch.compiler.is_compiling():
            return self
        labels = self.sparse()
        return labels if 8 * len(labels.columns) < self.Y.numel() else self

    def row_counts(self, dtype: torch.dtype = torch.float32) -> Tensor:
        return self.dense(dtype).sum(1)

    def label_counts(self, dtype: torch.dtype = torch.float32) -> Tensor:
        return self.dense(dtype).sum(0)

    def label_sums(self, Z: Tensor, factors: Tensor | None = None) -> Tensor:
        Yt = self.dense(Z.dtype).T
        return (Yt if factors is None else Yt * factors) @ Z

    def row_sums(self, M: Tensor) -> Tensor:
        return self.dense(M.dtype) @ M

    def take(self, rows: RowIndex) -> DenseLabels:
        return DenseLabels(self.Y[_index(rows, self.device)])

    def dense(self, dtype: torch.dtype = torch.float32) -> Tensor:
        if self.Y.dtype == dtype or self.Y.numel() > _COMPACT_FROM:
            return self.Y.to(dtype)
        if self._converted is None or self._converted.dtype != dtype:
            self._converted = self.Y.to(dtype)  # small, and asked for several times by one loss
        return self._converted

    def sparse(self) -> SparseLabels:
        flat = self.Y.reshape(-1).nonzero().squeeze(1)
        rows = flat.div(max(self.n_labels, 1), rounding_mode="floor")
        weights = self.Y.reshape(-1)[flat] if self.Y.is_floating_point() else None
        if weights is not None and bool((weights == 1).all()):
            weights = None
        return SparseLabels(_offsets(rows, self.n_rows), flat - rows * self.n_labels, weights, self.n_labels)

    def to(self, device: torch.device | str) -> DenseLabels:
        return DenseLabels(self.Y.to(device))

    def entries(self) -> Tensor:
        return self.Y

    def with_entries(self, values: Tensor) -> DenseLabels:
        return DenseLabels(values)

    def spread_rows(self, v: Tensor) -> Tensor:
        return v[:, None]

    def spread_labels(self, v: Tensor) -> Tensor:
        return v

    def pick(self, columns_first: Tensor) -> Tensor:
        return columns_first.T

    def followed_by(self, other: LabelMatrix) -> LabelMatrix:
        if not isinstance(other, DenseLabels):
            return self.sparse().followed_by(other)
        return DenseLabels(torch.cat([self.Y, other.Y]))

    def with_identity(self) -> DenseLabels:
        eye = torch.eye(self.n_labels, dtype=self.Y.dtype, device=self.device)
        return DenseLabels(torch.cat([self.Y, eye]))

    def row_hashes(self) -> Tensor:
        return (self.Y.bool() * _label_hashes(self.n_labels, self.device)).sum(1)


class SparseLabels(LabelMatrix):
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
    """

    def __init__(self, offsets: Tensor, columns: Tensor, weights: Tensor | None, n_labels: int) -> None:
        assert len(columns) < 2**31
        self.offsets, self.columns, self.weights = offsets.int(), columns.int(), weights
        self.n_rows, self.n_labels = len(offsets) - 1, n_labels
        self._blocks: list[tuple[slice, SparseLabels]] | None = None
        self._counts: Tensor | None = None

    @property
    def device(self) -> torch.device:
        return self.columns.device

    @property
    def rows(self) -> Tensor:
        """The row of each entry, (nnz,) int32."""
        rows = torch.arange(self.n_rows, dtype=torch.int32, device=self.device)
        return torch.repeat_interleave(rows, self.offsets.diff(), output_size=len(self.columns))

    @cached_property
    def transposed(self) -> SparseLabels:
        """The rows of each label: the same entries as an (n_labels, n_rows) matrix."""
        columns, order = torch.sort(self.columns, stable=True)
        weights = None if self.weights is None else self.weights[order]
        return SparseLabels(_offsets(columns, self.n_labels), self.rows[order], weights, self.n_rows)

    def row_counts(self, dtype: torch.dtype = torch.float32) -> Tensor:
        if self.weights is None:
            return self.offsets.diff().to(dtype)
        return torch.zeros(self.n_rows, dtype=dtype, device=self.device).index_add_(
            0, self.rows, self.weights.to(dtype)
        )

    def label_counts(self, dtype: torch.dtype = torch.float32) -> Tensor:
        if self._counts is not None:
            return self._counts.to(dtype)
        weights = None if self.weights is None else self.weights.to(dtype)
        return torch.bincount(self.columns, weights, self.n_labels).to(dtype)

    def kept(self) -> SparseLabels:
        self._counts = self.label_counts(torch.float64)
        self._blocks = list(self._made_blocks())
        return self

    def _made_blocks(self) -> Iterator[tuple[slice, SparseLabels]]:
        """The rows of each label, in pieces whose embeddings stay in a cache while they are summed."""
        if self.n_rows <= 8 * _BLOCK or self.n_labels > _BLOCK or self.device.type != "cpu":
            yield _ALL, self.transposed
            return
        for start in range(0, self.n_rows, _BLOCK):
            rows = slice(start, start + _BLOCK)
            yield rows, self.take(rows).transposed

    def label_sums(self, Z: Tensor, factors: Tensor | None = None) -> Tensor:
        if factors is None:
            return _LabelSums.apply(Z, self)  # type: ignore[no-any-return, no-untyped-call]
        return self._sum_blocks(Z, factors)

    def _sum_blocks(self, Z: Tensor, factors: Tensor | None) -> Tensor:
        sums: Tensor | None = None
        for rows, entries in self._blocks or self._made_blocks():
            if factors is not None:
                weights = factors[rows].index_select(0, entries.columns)
                entries = entries.with_entries(
                    weights if entries.weights is None else weights * entries.weights
                )
            part = entries._bag(Z[rows])
            sums = part if sums is None else sums.add_(part)
        assert sums is not None
        return sums

    def row_sums(self, M: Tensor) -> Tensor:
        return _RowSums.apply(M, self)  # type: ignore[no-any-return, no-untyped-call]

    def _bag(self, M: Tensor) -> Tensor:
        """``Y M`` by indexed addition, without gradient."""
        weights = None if self.weights is None else self.weights.to(M.dtype)
        return F.embedding_bag(
            self.columns, M, self.offsets, mode="sum", include_last_offset=True, per_sample_weights=weights
        )

    def take(self, rows: RowIndex) -> SparseLabels:
        if isinstance(rows, slice) and rows.step in (None, 1):
            return self._block(*rows.indices(self.n_rows)[:2])
        index = torch.arange(self.n_rows, device=self.device)[_index(rows, self.device)]
        lengths = self.offsets.diff()[index]
        offsets = F.pad(lengths.cumsum(0), (1, 0))
        shift = torch.repeat_interleave(self.offsets[index] - offsets[:-1], lengths)
        entries = torch.arange(int(offsets[-1]), device=self.device) + shift
        weights = None if self.weights is None else self.weights[entries]
        return SparseLabels(offsets, self.columns[entries], weights, self.n_labels)

    def _block(self, start: int, stop: int) -> SparseLabels:
        """Consecutive rows, as views of the lists."""
        if (start, stop) == (0, self.n_rows):
            return self
        stop = max(start, stop)
        offsets = self.offsets[start : stop + 1]
        entries = slice(int(offsets[0]), int(offsets[-1]))
        weights = None if self.weights is None else self.weights[entries]
        return SparseLabels(offsets - offsets[0], self.columns[entries], weights, self.n_labels)

    def dense(self, dtype: torch.dtype = torch.float32) -> Tensor:
        Y = torch.zeros(self.n_rows, self.n_labels, dtype=dtype, device=self.device)
        Y[self.rows, self.columns] = 1 if self.weights is None else self.weights.to(dtype)
        return Y

    def columns_first(self, dtype: torch.dtype = torch.float32) -> Tensor:
        Yt = torch.zeros(self.n_labels, self.n_rows, dtype=dtype, device=self.device)
        Yt[self.columns, self.rows] = 1 if self.weights is None else self.weights.to(dtype)
        return Yt

    def sparse(self) -> SparseLabels:
        return self

    def to(self, device: torch.device | str) -> SparseLabels:
        weights = None if self.weights is None else self.weights.to(device)
        return SparseLabels(self.offsets.to(device), self.columns.to(device), weights, self.n_labels)

    def entries(self) -> Tensor | None:
        return self.weights

    def with_entries(self, values: Tensor) -> SparseLabels:
        return SparseLabels(self.offsets, self.columns, values, self.n_labels)

    def spread_rows(self, v: Tensor) -> Tensor:
        return v.index_select(0, self.rows)

    def spread_labels(self, v: Tensor) -> Tensor:
        return v.index_select(0, self.columns)

    def pick(self, columns_first: Tensor) -> Tensor:
        return columns_first[self.columns, self.rows]

    def followed_by(self, other: LabelMatrix) -> SparseLabels:
        tail = other.sparse()
        offsets = torch.cat([self.offsets, self.offsets[-1] + tail.offsets[1:]])
        weights = None
        if self.weights is not None or tail.weights is not None:
            weights = torch.cat(
                [m.columns.new_ones(len(m.columns)) if m.weights is None else m.weights for m in (self, tail)]
            )
        return SparseLabels(offsets, torch.cat([self.columns, tail.columns]), weights, self.n_labels)

    def with_identity(self) -> SparseLabels:
        numbers = torch.arange(self.n_labels, dtype=torch.int32, device=self.device)
        offsets = torch.cat([self.offsets, self.offsets[-1] + 1 + numbers])
        weights = None if self.weights is None else torch.cat([self.weights, torch.ones_like(numbers)])
        return SparseLabels(offsets, torch.cat([self.columns, numbers]), weights, self.n_labels)

    def occurring(self) -> Tensor:
        """The labels that some row carries, in order."""
        return torch.bincount(self.columns, minlength=self.n_labels).nonzero().squeeze(1)

    def only(self, labels: Tensor) -> SparseLabels:
        """These rows with some of the labels, numbered anew in the order given."""
        numbers = torch.full((self.n_labels,), -1, dtype=torch.int32, device=self.device)
        numbers[labels] = torch.arange(len(labels), dtype=torch.int32, device=self.device)
        columns = numbers.index_select(0, self.columns)
        kept = columns >= 0
        offsets = F.pad(kept.cumsum(0), (1, 0))[self.offsets]
        return SparseLabels(
            offsets, columns[kept], None if self.weights is None else self.weights[kept], len(labels)
        )

    def row_hashes(self) -> Tensor:
        running = F.pad(_label_hashes(self.n_labels, self.device)[self.columns].cumsum(0), (1, 0))
        return running[self.offsets].diff()


class OneLabel(LabelMatrix):
    """At most one label per row, as its number.

    Parameters
    ----------
    ids : (n_rows,) int64 in [0, n_labels]
        ``n_labels`` stands for no label.
    n_labels : int
    """

    def __init__(self, ids: Tensor, n_labels: int) -> None:
        self.ids, self.n_rows, self.n_labels = ids, len(ids), n_labels

    @property
    def device(self) -> torch.device:
        return self.ids.device

    @property
    def present(self) -> Tensor:
        """Which rows have a label, (n_rows,) bool."""
        return self.ids < self.n_labels

    def row_counts(self, dtype: torch.dtype = torch.float32) -> Tensor:
        return self.present.to(dtype)

    def label_counts(self, dtype: torch.dtype = torch.float32) -> Tensor:
        return self.label_sums(torch.ones(self.n_rows, 1, dtype=dtype, device=self.device)).squeeze(1)

    def label_sums(self, Z: Tensor, factors: Tensor | None = None) -> Tensor:
        sums = Z.new_zeros(self.n_labels + 1, Z.shape[1])
        if factors is None:
            return sums.index_add(0, self.ids, Z)[:-1]
        for start in range(0, self.n_rows, 4096):
            rows = slice(start, start + 4096)
            sums.index_add_(0, self.ids[rows], Z[rows] * factors[rows, None])
        return sums[:-1]

    def row_sums(self, M: Tensor) -> Tensor:
        return F.pad(M, (0, 0, 0, 1)).index_select(0, self.ids)

    def take(self, rows: RowIndex) -> OneLabel:
        return OneLabel(self.ids[_index(rows, self.device)], self.n_labels)

    def dense(self, dtype: torch.dtype = torch.float32) -> Tensor:
        return (self.ids[:, None] == torch.arange(self.n_labels, device=self.device)).to(dtype)

    def sparse(self) -> SparseLabels:
        offsets = F.pad(self.present.cumsum(0), (1, 0))
        return SparseLabels(offsets, self.ids[self.present], None, self.n_labels)

    def to(self, device: torch.device | str) -> OneLabel:
        return OneLabel(self.ids.to(device), self.n_labels)

    def entries(self) -> None:
        return None

    def with_entries(self, values: Tensor) -> LabelMatrix:
        return self.sparse().with_entries(values[self.present])

    def spread_rows(self, v: Tensor) -> Tensor:
        return v

    def spread_labels(self, v: Tensor) -> Tensor:
        return F.pad(v, (0, 1)).index_select(0, self.ids)

    def pick(self, columns_first: Tensor) -> Tensor:
        rows = torch.arange(self.n_rows, device=self.device)
        return F.pad(columns_first, (0, 0, 0, 1))[self.ids, rows]

    def followed_by(self, other: LabelMatrix) -> LabelMatrix:
        return self.sparse().followed_by(other)

    def with_identity(self) -> OneLabel:
        return OneLabel(torch.cat([self.ids, torch.arange(self.n_labels, device=self.device)]), self.n_labels)

    def row_hashes(self) -> Tensor:
        return F.pad(_label_hashes(self.n_labels, self.device), (0, 1)).index_select(0, self.ids)


class _RowSums(torch.autograd.Function):
    """``Y M`` for listed labels; the gradient is ``Y^T g``."""

    @staticmethod
    def forward(ctx: Any, M: Tensor, Y: SparseLabels) -> Tensor:
        ctx.Y = Y
        return Y._bag(M)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        return ctx.Y.label_sums(g.contiguous()), None


class _LabelSums(torch.autograd.Function):
    """``Y^T Z`` for listed labels; the gradient is ``Y g``."""

    @staticmethod
    def forward(ctx: Any, Z: Tensor, Y: SparseLabels) -> Tensor:
        ctx.Y = Y
        return Y._sum_blocks(Z, None)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None]:
        return ctx.Y.row_sums(g.contiguous()), None


def match_groups(own: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Number equal values: (n,) and (m,) integers -> ids in [0, n) and in [0, n] (n: not in own)."""
    ordered = own.sort().values
    ids = torch.searchsorted(ordered, own)
    if other is own:
        return ids, ids
    place = torch.searchsorted(ordered, other)
    found = ordered[place.clamp(max=len(own) - 1)] == other
    return ids, torch.where(found, place, len(own))


def _label_hashes(n_labels: int, device: torch.device) -> Tensor:
    """A fixed, well mixed int64 for each label number (the finaliser of splitmix64, which wraps)."""
    x = torch.arange(1, n_labels + 1, dtype=torch.int64, device=device) * -7046029254386353131
    for shift, factor in ((30, -4658895280553007687), (27, -7723592293110705685)):
        x = (x ^ _shifted(x, shift)) * factor
    return x ^ _shifted(x, 31)


def _shifted(x: Tensor, bits: int) -> Tensor:
    """Shift right and fill with zeros, as unsigned numbers do."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _wrap(Y: Labels, who: str) -> LabelMatrix:
    if isinstance(Y, LabelMatrix):
        return Y
    if isinstance(Y, Tensor):
        _check_two_axes(tuple(Y.shape), who)
        return DenseLabels(Y) if Y.layout == torch.strided else _from_sparse_tensor(Y)
    if hasattr(Y, "tocsr"):
        csr = Y.tocsr()
        csr.sum_duplicates()
        offsets, columns, values = (torch.from_numpy(a) for a in (csr.indptr, csr.indices, csr.data))
        return _from_csr(offsets, columns, values, csr.shape[1])
    array = np.asarray(Y)
    _check_two_axes(array.shape, who)
    if array.dtype.kind not in "biuf":
        raise ManyLabelError(
            who,
            "0/1 numbers or booleans",
            f"entries of type {array.dtype}",
            "Encode the labels as a 0/1 matrix.",
        )
    return DenseLabels(torch.from_numpy(np.ascontiguousarray(array)))


def _from_sparse_tensor(Y: Tensor) -> SparseLabels:
    if Y.layout == torch.sparse_csr:
        return _from_csr(Y.crow_indices(), Y.col_indices(), Y.values(), Y.shape[1])
    coo = (Y if Y.layout == torch.sparse_coo else Y.to_sparse(layout=torch.sparse_coo)).coalesce()
    rows, columns = coo.indices()
    return _from_csr(_offsets(rows, Y.shape[0]), columns, coo.values(), Y.shape[1])


def _from_csr(offsets: Tensor, columns: Tensor, values: Tensor, n_labels: int) -> SparseLabels:
    stored = values != 0
    if not bool(stored.all()):  # explicit zeros are not labels
        rows = torch.repeat_interleave(
            torch.arange(len(offsets) - 1, device=offsets.device), offsets.diff().long()
        )
        offsets, columns, values = _offsets(rows[stored], len(offsets) - 1), columns[stored], values[stored]
    weights = None if bool((values == 1).all()) else values
    return SparseLabels(offsets, columns, weights, n_labels)


def _check_two_axes(shape: tuple[int, ...], who: str) -> None:
    if len(shape) != 2:
        raise ManyLabelError(
            who, "labels of shape (n_rows, n_labels)", f"shape {tuple(shape)}", "Pass one 0/1 row per sample."
        )


def _check_values(values: Tensor, binary: bool, who: str) -> None:
    low, high = (float(v) for v in values.aminmax())  # NaN comes through both
    if low != low or high != high:
        raise ManyLabelError(
            who, "labels without NaN", "NaN", "Replace missing labels by 0 or drop their rows."
        )
    if low < 0 or high > 1:
        raise ManyLabelError(
            who,
            "labels in [0, 1]",
            f"values from {low:g} to {high:g}",
            "Encode the labels as a 0/1 matrix.",
        )
    if binary and values.is_floating_point() and bool((values != values.round()).any()):
        raise ManyLabelError(
            who,
            "labels that are 0 or 1",
            "values in between",
            "Only MulSupCon takes soft labels; round them for any other loss.",
        )


def _index(rows: RowIndex, device: torch.device) -> Tensor | slice:
    return rows if isinstance(rows, slice) else torch.as_tensor(rows, device=device)


def _offsets(sorted_rows: Tensor, n_rows: int) -> Tensor:
    return F.pad(torch.bincount(sorted_rows, minlength=n_rows).cumsum(0), (1, 0))
