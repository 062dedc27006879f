"""The label matrix: which rows carry which labels, dense or sparse behind one face.

Everything above this module asks its questions of a :class:`LabelMatrix` (row counts, label counts, label sums,
overlaps, groups of identical rows) and never looks at how the labels are laid out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from manylabel.errors import ManyLabelError

Labels: TypeAlias = "LabelMatrix | Tensor | np.ndarray[Any, Any] | Any"


class LabelMatrix(ABC):
    """Labels of ``n_rows`` rows, each a set (or a weight in [0, 1]) over ``n_labels`` labels.

    Build one with :meth:`of`. Equation symbols: Y is (n_rows, n_labels).
    """

    n_rows: int
    n_labels: int

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
            labels._check_entries(binary, who)
        return labels

    @property
    def shape(self) -> tuple[int, int]:
        return self.n_rows, self.n_labels

    def __len__(self) -> int:
        return self.n_rows

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.n_rows} rows, {self.n_labels} labels)"

    @property
    @abstractmethod
    def device(self) -> torch.device: ...

    @abstractmethod
    def row_counts(self) -> Tensor:
        """``|y_i|``: labels of each row, (n_rows,) float32."""

    @abstractmethod
    def label_counts(self) -> Tensor:
        """``n_c``: rows of each label, (n_labels,) float32."""

    @abstractmethod
    def label_sums(self, Z: Tensor) -> Tensor:
        """``Y^T Z``: the sum of the rows of Z that carry each label, (n_rows, D) -> (n_labels, D); differentiable in Z."""

    @abstractmethod
    def row_sums(self, M: Tensor) -> Tensor:
        """``Y M``: the sum of the rows of M over each row's labels, (n_labels, D) -> (n_rows, D); differentiable in M."""

    @abstractmethod
    def take(self, rows: Tensor | np.ndarray[Any, Any] | slice) -> LabelMatrix:
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
    def _check_entries(self, binary: bool, who: str) -> None: ...


class DenseLabels(LabelMatrix):
    """Labels as an (n_rows, n_labels) tensor of any dtype."""

    def __init__(self, Y: Tensor) -> None:
        self.Y = Y
        self.n_rows, self.n_labels = Y.shape

    @property
    def device(self) -> torch.device:
        return self.Y.device

    def row_counts(self) -> Tensor:
        return self.Y.sum(1, dtype=torch.float32)

    def label_counts(self) -> Tensor:
        return self.Y.sum(0, dtype=torch.float32)

    def label_sums(self, Z: Tensor) -> Tensor:
        return self.Y.to(Z.dtype).T @ Z

    def row_sums(self, M: Tensor) -> Tensor:
        return self.Y.to(M.dtype) @ M

    def take(self, rows: Tensor | np.ndarray[Any, Any] | slice) -> DenseLabels:
        return DenseLabels(self.Y[_index(rows, self.device)])

    def dense(self, dtype: torch.dtype = torch.float32) -> Tensor:
        return self.Y.to(dtype)

    def sparse(self) -> SparseLabels:
        rows, columns = self.Y.nonzero(as_tuple=True)
        offsets = _offsets(rows, self.n_rows)
        weights = self.Y[rows, columns].float() if self.Y.is_floating_point() else None
        return SparseLabels(offsets, columns, weights, self.n_labels)

    def to(self, device: torch.device | str) -> DenseLabels:
        return DenseLabels(self.Y.to(device))

    def _check_entries(self, binary: bool, who: str) -> None:
        if self.Y.dtype != torch.bool and self.Y.numel():
            _check_values(self.Y, binary, who)


class SparseLabels(LabelMatrix):
    """Labels as one list of label numbers per row (CSR).

    Parameters
    ----------
    offsets : (n_rows + 1,) int64
        Row i owns the entries ``offsets[i]:offsets[i + 1]``.
    columns : (nnz,) int64
        Label numbers, none twice in a row.
    weights : (nnz,) float, or None
        None stands for ones.
    n_labels : int
    """

    def __init__(self, offsets: Tensor, columns: Tensor, weights: Tensor | None, n_labels: int) -> None:
        self.offsets, self.columns, self.weights = offsets, columns, weights
        self.n_rows, self.n_labels = len(offsets) - 1, n_labels

    @property
    def device(self) -> torch.device:
        return self.columns.device

    @cached_property
    def rows(self) -> Tensor:
        """The row of each entry, (nnz,) int64."""
        return torch.repeat_interleave(
            torch.arange(self.n_rows, device=self.device), self.offsets.diff(), output_size=len(self.columns)
        )

    @cached_property
    def transposed(self) -> SparseLabels:
        """The rows of each label: the same entries as an (n_labels, n_rows) matrix."""
        columns, order = torch.sort(self.columns, stable=True)
        weights = None if self.weights is None else self.weights[order]
        return SparseLabels(_offsets(columns, self.n_labels), self.rows[order], weights, self.n_rows)

    def row_counts(self) -> Tensor:
        if self.weights is None:
            return self.offsets.diff().float()
        return torch.zeros(self.n_rows, device=self.device).index_add_(0, self.rows, self.weights.float())

    def label_counts(self) -> Tensor:
        return self.transposed.row_counts()

    def label_sums(self, Z: Tensor) -> Tensor:
        return _BagSum.apply(Z, self.transposed, self)  # type: ignore[no-any-return]

    def row_sums(self, M: Tensor) -> Tensor:
        return _BagSum.apply(M, self, self.transposed)  # type: ignore[no-any-return]

    def take(self, rows: Tensor | np.ndarray[Any, Any] | slice) -> SparseLabels:
        index = torch.arange(self.n_rows, device=self.device)[_index(rows, self.device)]
        lengths = self.offsets.diff()[index]
        offsets = F.pad(lengths.cumsum(0), (1, 0))
        shift = torch.repeat_interleave(self.offsets[index] - offsets[:-1], lengths)
        entries = torch.arange(int(offsets[-1]), device=self.device) + shift
        weights = None if self.weights is None else self.weights[entries]
        return SparseLabels(offsets, self.columns[entries], weights, self.n_labels)

    def dense(self, dtype: torch.dtype = torch.float32) -> Tensor:
        Y = torch.zeros(self.n_rows, self.n_labels, dtype=dtype, device=self.device)
        Y[self.rows, self.columns] = 1 if self.weights is None else self.weights.to(dtype)
        return Y

    def sparse(self) -> SparseLabels:
        return self

    def to(self, device: torch.device | str) -> SparseLabels:
        weights = None if self.weights is None else self.weights.to(device)
        return SparseLabels(self.offsets.to(device), self.columns.to(device), weights, self.n_labels)

    def _check_entries(self, binary: bool, who: str) -> None:
        if self.weights is not None and len(self.weights):
            _check_values(self.weights, binary, who)


class _BagSum(torch.autograd.Function):
    """``A M`` for a sparse A, by indexed addition; the gradient is ``A^T g`` by the same means."""

    @staticmethod
    def forward(ctx: Any, M: Tensor, A: SparseLabels, At: SparseLabels) -> Tensor:
        ctx.At = At
        weights = None if A.weights is None else A.weights.to(M.dtype)
        return F.embedding_bag(
            A.columns, M, A.offsets, mode="sum", include_last_offset=True, per_sample_weights=weights
        )

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        return _BagSum.apply(g.contiguous(), ctx.At, ctx.At.transposed), None, None


def _wrap(Y: Labels, who: str) -> LabelMatrix:
    if isinstance(Y, LabelMatrix):
        return Y
    if isinstance(Y, Tensor):
        _check_two_axes(tuple(Y.shape), who)
        return DenseLabels(Y) if Y.layout == torch.strided else _from_sparse_tensor(Y)
    if hasattr(Y, "tocsr"):
        csr = Y.tocsr()
        csr.sum_duplicates()
        csr.eliminate_zeros()
        return _from_csr(torch.from_numpy(csr.indptr), torch.from_numpy(csr.indices), torch.from_numpy(csr.data), csr.shape[1])
    array = np.asarray(Y)
    _check_two_axes(array.shape, who)
    if array.dtype.kind not in "biuf":
        raise ManyLabelError(who, "0/1 numbers or booleans", f"entries of type {array.dtype}", "Encode the labels as a 0/1 matrix.")
    return DenseLabels(torch.from_numpy(np.ascontiguousarray(array)))


def _from_sparse_tensor(Y: Tensor) -> SparseLabels:
    csr = Y.coalesce().to_sparse_csr() if Y.layout == torch.sparse_coo else Y.to_sparse_csr()
    return _from_csr(csr.crow_indices(), csr.col_indices(), csr.values(), csr.shape[1])


def _from_csr(offsets: Tensor, columns: Tensor, values: Tensor, n_labels: int) -> SparseLabels:
    stored = values != 0
    if not bool(stored.all()):  # explicit zeros are not labels
        rows = torch.repeat_interleave(torch.arange(len(offsets) - 1, device=offsets.device), offsets.diff().long())
        offsets, columns, values = _offsets(rows[stored], len(offsets) - 1), columns[stored], values[stored]
    weights = None if bool((values == 1).all()) else values.float()
    return SparseLabels(offsets.long(), columns.long(), weights, n_labels)


def _check_two_axes(shape: tuple[int, ...], who: str) -> None:
    if len(shape) != 2:
        raise ManyLabelError(who, "labels of shape (n_rows, n_labels)", f"shape {tuple(shape)}", "Pass one 0/1 row per sample.")


def _check_values(values: Tensor, binary: bool, who: str) -> None:
    if values.is_floating_point() and bool(values.isnan().any()):
        raise ManyLabelError(who, "labels without NaN", "NaN", "Replace missing labels by 0 or drop their rows.")
    low, high = values.aminmax()
    if float(low) < 0 or float(high) > 1:
        raise ManyLabelError(who, "labels in [0, 1]", f"values from {float(low):g} to {float(high):g}", "Encode the labels as a 0/1 matrix.")
    if binary and values.is_floating_point() and bool(((values != 0) & (values != 1)).any()):
        raise ManyLabelError(who, "labels that are 0 or 1", "values in between", "Only MulSupCon takes soft labels; round them for any other loss.")


def _index(rows: Tensor | np.ndarray[Any, Any] | slice, device: torch.device) -> Tensor | slice:
    return rows if isinstance(rows, slice) else torch.as_tensor(rows, device=device)


def _offsets(sorted_rows: Tensor, n_rows: int) -> Tensor:
    return F.pad(torch.bincount(sorted_rows, minlength=n_rows).cumsum(0), (1, 0))
