"""The face of the label matrix, and what all layouts have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from manylabel.arrays import as_tensor
from manylabel.errors import ManyLabelError
from manylabel.labels.checks import described
from manylabel.labels.groups import match_groups

if TYPE_CHECKING:
    from manylabel.labels.sparse import SparseLabels

Labels: TypeAlias = "LabelMatrix | Tensor | np.ndarray[Any, Any] | Any"
RowIndex: TypeAlias = "Tensor | np.ndarray[Any, Any] | slice"


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
        from manylabel.labels.reading import wrap

        labels = wrap(Y, who)
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
            _check_values(entries.detach(), binary, who)
        self._checked = "binary" if binary else "soft"

    @property
    def binary(self) -> bool:
        """Whether every entry is 0 or 1; under a compiler, whether the type of the entries says so."""
        entries = self.entries()
        if entries is None or not entries.is_floating_point():
            return True
        if torch.compiler.is_compiling():
            return False
        if entries.requires_grad:  # what a label weighs may change
            return False
        if self._is_binary is None:
            self._is_binary = bool((entries == entries.round()).all())
        return self._is_binary

    @property
    def requires_grad(self) -> bool:
        """Whether the entries are part of a graph."""
        entries = self.entries()
        return entries is not None and entries.requires_grad

    def check_same_labels(self, other: LabelMatrix) -> None:
        """Refuse rows of another number of labels, or on another device, to follow these."""
        if not isinstance(other, LabelMatrix):
            hint = "Wrap it with LabelMatrix.of."
            raise ManyLabelError("followed_by", "a LabelMatrix", type(other).__name__, hint)
        if other.n_labels != self.n_labels or other.device != self.device:
            expected = f"rows of {self.n_labels} labels on {self.device}"
            got = f"{other.n_labels} labels on {other.device}"
            raise ManyLabelError("followed_by", expected, got, "Use the same label columns for both.")

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
            "Encode the labels as a 0/1 matrix; lists of label numbers become one by MultiLabelBinarizer of "
            "scikit-learn.",
        )
    if binary and values.is_floating_point() and bool((values != values.round()).any()):
        raise ManyLabelError(
            who,
            "labels that are 0 or 1",
            "values in between",
            "Soft labels are for the MulSupCon losses and bce; round them for any other loss.",
        )


def row_index(rows: RowIndex, n_rows: int, device: torch.device) -> Tensor | slice:
    """Row numbers on the device of the labels; slices that go forward stay slices.

    Raises
    ------
    ManyLabelError
        If a row is not there, or rows are given by something other than whole numbers or a mask of all rows.
    """
    if isinstance(rows, slice):
        if rows.step is None or rows.step > 0:
            return rows
        return torch.tensor(range(*rows.indices(n_rows)), dtype=torch.int64, device=device)
    index = as_tensor(rows, "take", "row numbers")
    if not index.numel() and index.dim() == 1:
        return index.to(device, torch.int64) if index.dtype != torch.bool or n_rows else index.to(device)
    mask = index.dtype == torch.bool
    if index.dim() != 1 or index.is_floating_point() or (mask and len(index) != n_rows):
        expected = f"a vector of row numbers, or a mask of {n_rows} rows"
        raise ManyLabelError("take", expected, described(index), "Pass positions as whole numbers.")
    if not mask and index.device.type == "cpu" and not torch.compiler.is_compiling():
        low, high = (int(bound) for bound in index.aminmax())
        if low < -n_rows or high >= n_rows:
            raise ManyLabelError("take", f"rows among {n_rows}", f"rows from {low} to {high}")
    return index.to(device) if mask else index.to(device, torch.int64)  # torch takes bytes for a mask
