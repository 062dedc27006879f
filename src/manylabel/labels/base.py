"""The face of the label matrix, and what all layouts have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from copy import copy
from typing import Any, ClassVar, NamedTuple, Self, TypeAlias, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from manylabel.arrays import as_tensor
from manylabel.errors import ManyLabelError
from manylabel.labels.checks import described
from manylabel.labels.hashing import match_groups

Labels: TypeAlias = "LabelMatrix | Tensor | np.ndarray[Any, Any] | Any"
RowIndex: TypeAlias = "Tensor | np.ndarray[Any, Any] | slice"
Layout = TypeVar("Layout", bound="LabelMatrix")


class KnownSums(NamedTuple):
    """Column sums (n_labels,) of labels, and label sums (n_labels, D) of certain keys (n_rows, D)."""

    keys: Tensor
    counts: Tensor
    sums: Tensor

    def are_of(self, Z: Tensor) -> bool:
        """Whether these are the keys, and no gradient is wanted."""
        same = Z.data_ptr() == self.keys.data_ptr() and Z.shape == self.keys.shape
        return same and Z.dtype == self.keys.dtype and not Z.requires_grad


class LabelMatrix(ABC):
    """Labels of ``n_rows`` rows, each a set (or a weight in [0, 1]) over ``n_labels`` labels.

    Build one with :meth:`of`. Equation symbols: Y is (n_rows, n_labels). An entry may be unknown: it is 0 in every
    count, sum and dense form, and listed in :attr:`unknown`.
    """

    n_rows: int
    n_labels: int
    device: torch.device
    _checked: str = "no"
    _known: KnownSums | None = None
    _unknown: LabelMatrix | None = None
    _is_binary: bool | None = None
    _reader: ClassVar[
        Callable[..., LabelMatrix]
    ]  # set where all layouts are known, which this face does not know

    @staticmethod
    def of(
        Y: Labels, *, binary: bool = False, unknown: float | Labels | None = None, who: str = "labels"
    ) -> LabelMatrix:
        """Wrap labels of any layout; see :func:`manylabel.labels.convert.as_labels` for what is taken and refused.

        Parameters
        ----------
        Y : (n_rows, n_labels) tensor (dense, COO or CSR), array, SciPy sparse matrix, or LabelMatrix
            Bool, integer or floating entries in [0, 1]; sparse input stays sparse. NaN, masked and missing entries are
            unknown.
        binary : bool, default False
            Refuse entries other than 0 and 1.
        unknown : number or (n_rows, n_labels) labels, optional
            The number, such as -1, that stands for an unknown entry in Y; or 1 where an entry is unknown.
        who : str
            Named in the error message.
        """
        return LabelMatrix._reader(Y, binary=binary, unknown=unknown, who=who)

    @property
    def shape(self) -> tuple[int, int]:
        return self.n_rows, self.n_labels

    def __len__(self) -> int:
        return self.n_rows

    def __repr__(self) -> str:
        unknown = f", {self.n_unknown} unknown" if self.n_unknown else ""
        return f"{type(self).__name__}({self.n_rows} rows, {self.n_labels} labels{unknown})"

    @property
    def has_unknown(self) -> bool:
        """Whether some entry may be unknown; asking costs nothing."""
        return self._unknown is not None

    @property
    def unknown(self) -> LabelMatrix:
        """Which entries are unknown, as labels of a binary matrix of the same shape; they are 0 in this one."""
        if self._unknown is not None:
            return self._unknown
        nowhere = torch.empty(2, 0, dtype=torch.int64, device=self.device)
        none = torch.empty(0, device=self.device)
        nothing = torch.sparse_coo_tensor(nowhere, none, self.shape, check_invariants=False)
        return LabelMatrix._reader(nothing)

    @property
    def n_unknown(self) -> int:
        """How many entries are unknown."""
        return 0 if self._unknown is None else int(self._unknown.row_counts(torch.float64).sum())

    def known(self) -> Tensor | None:
        """Which entries are known, dense (n_rows, n_labels) bool; None where all are."""
        return None if self._unknown is None else ~self._unknown.dense(torch.bool)

    def with_unknown(self, unknown: LabelMatrix | None) -> Self:
        """The same labels with other entries unknown, all of which must be 0 here."""
        labels = copy(self)
        labels._unknown = unknown
        return labels

    def _mark(self, unknown: LabelMatrix) -> None:
        """Call further entries unknown, in place; they are 0 by now."""
        before = self._unknown
        self._unknown = unknown if before is None else before.sparse().union(unknown.sparse())

    def _along(self, found: Layout, moved: Callable[[LabelMatrix], LabelMatrix]) -> Layout:
        """What was made of these labels, with what is made of their unknown entries alike."""
        if self._unknown is not None and found is not self:
            found._unknown = moved(self._unknown)
        return found

    def check(self, binary: bool, who: str) -> None:
        """Take NaN as unknown; refuse entries outside [0, 1], or outside {0, 1}. Each matrix is read once."""
        if self._checked == "binary" or (self._checked == "soft" and not binary):
            return
        entries = self.entries()
        if entries is not None and entries.dtype != torch.bool:
            if torch.compiler.is_compiling():
                return
            if entries.numel() and not _are_known(entries.detach(), binary, who):
                self._hide(entries.detach().isnan())
                self.refuse_none_known(who)
                self.check(binary, who)
        self._checked = "binary" if binary else "soft"

    def refuse_none_known(self, who: str) -> None:
        """Refuse labels without a single known entry: what came is no labels, by accident."""
        if self.has_unknown and 0 < self.n_unknown == self.n_rows * self.n_labels:
            hint = "Rows of which nothing is known may be taken from a label matrix of all rows."
            raise ManyLabelError(who, "labels some of which are known", "NaN or missing ones alone", hint)

    def _hide(self, which: Tensor) -> None:
        """Make stored entries unknown, in place; ``which`` is bool, in the shape of :meth:`entries`."""
        raise AssertionError(f"{type(self).__name__} has no floating entries, and so no NaN to hide")

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
            raise ManyLabelError("concat", "a LabelMatrix", type(other).__name__, hint)
        if other.n_labels != self.n_labels or other.device != self.device:
            expected = f"rows of {self.n_labels} labels on {self.device}"
            got = f"{other.n_labels} labels on {other.device}"
            raise ManyLabelError("concat", expected, got, "Use the same label columns for both.")

    def class_numbers(self, who: str) -> Tensor:
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
        found = self._compact()
        return found if found is self else self._along(found, lambda unknown: unknown.compact())

    def _compact(self) -> LabelMatrix:
        return self

    def columns_first(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """``Y^T`` as a dense, contiguous (n_labels, n_rows) tensor."""
        return self.dense(dtype).T.contiguous()

    @property
    def transposed(self) -> LabelMatrix:
        """The rows of each label: the same entries as an (n_labels, n_rows) matrix."""
        return self.sparse().transposed

    def groups(self, other: LabelMatrix | None = None) -> tuple[Tensor, Tensor]:
        """Number the groups of rows with identical label sets.

        Parameters
        ----------
        other : LabelMatrix (n_other, n_labels), default this matrix

        Returns
        -------
        ids : (n_rows,) int64 in [0, n_rows)
            Equal for rows with the same set; sets without labels form a group of their own. ``n_rows`` where an entry
            is unknown: nobody knows that row's set.
        other_ids : (n_other,) int64 in [0, n_rows]
            ``n_rows`` where no row of this matrix has that set, and where an entry is unknown.

        Notes
        -----
        Sets are compared by 64-bit sums of one fixed number per label: two different sets are taken for equal
        with a probability of 2^-64 per pair. Shapes do not depend on the labels.
        """
        own = self.row_hashes()
        ids, other_ids = match_groups(own, own if other is None else other.row_hashes())
        other = self if other is None else other
        return self._without_group(ids, len(self)), other._without_group(other_ids, len(self))

    def _without_group(self, ids: Tensor, none: int) -> Tensor:
        return ids if self._unknown is None else ids.masked_fill(self._unknown.row_counts() > 0, none)

    def with_sums(self, keys: Tensor, counts: Tensor, sums: Tensor) -> Self:
        """The same labels, which know their counts and the label sums of certain keys.

        Parameters
        ----------
        keys : (n_rows, D) tensor
            Not to be changed afterwards.
        counts : (n_labels,) tensor
            Column sums of the labels.
        sums : (n_labels, D) tensor
            ``Y^T keys``.
        """
        wanted = ((len(self), keys.shape[-1]), (self.n_labels,), (self.n_labels, keys.shape[-1]))
        got = tuple(tuple(t.shape) for t in (keys, counts, sums))
        if got != wanted:
            expected = f"keys, counts and sums of shapes {', '.join(map(str, wanted))}"
            raise ManyLabelError("with_sums", expected, ", ".join(map(str, got)))
        labels = copy(self)
        labels._known = KnownSums(keys, counts, sums)
        return labels

    @property
    def knows_sums(self) -> bool:
        """Whether label sums of certain keys are known; see :meth:`with_sums`."""
        return self._known is not None

    def label_counts(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """``n_c``: rows of each label, (n_labels,)."""
        return self._label_counts(dtype) if self._known is None else self._known.counts.to(dtype)

    def label_sums(self, Z: Tensor, factors: Tensor | None = None) -> Tensor:
        """``Y^T Z``: sums of the rows of Z that carry each label, (n_rows, D) -> (n_labels, D).

        With ``factors`` (n_rows,), of ``diag(factors) Z``, which is not made; then not differentiable.
        """
        _check_product("label sums", Z, self.n_rows, "label rows", self.device)
        if factors is not None and (factors.dim() != 1 or len(factors) != self.n_rows):
            expected = f"{self.n_rows} factors, one for each of {self.n_rows} label rows"
            raise ManyLabelError("label sums", expected, described(factors), "Pass one number for each.")
        if self._known is None:
            return self._label_sums(Z, factors)
        if factors is None and not torch.compiler.is_compiling() and self._known.are_of(Z):
            return self._known.sums.to(Z.dtype)
        plain = copy(self)
        plain._known = None
        return plain.compact().label_sums(Z, factors)

    def row_sums(self, M: Tensor) -> Tensor:
        """``Y M``: sums of the rows of M over each row's labels, (n_labels, D) -> (n_rows, D)."""
        _check_product("row sums", M, self.n_labels, "labels", self.device)
        return self._row_sums(M)

    @abstractmethod
    def row_counts(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """``|y_i|``: labels of each row, (n_rows,)."""

    @abstractmethod
    def _label_counts(self, dtype: torch.dtype) -> Tensor:
        """What :meth:`label_counts` gives where it is not known."""

    @abstractmethod
    def _label_sums(self, Z: Tensor, factors: Tensor | None) -> Tensor:
        """What :meth:`label_sums` gives of arguments that are right."""

    @abstractmethod
    def _row_sums(self, M: Tensor) -> Tensor:
        """What :meth:`row_sums` gives of an argument that is right."""

    def take(self, rows: RowIndex) -> Self:
        """The labels of some rows, by position (repeats allowed), in the same layout."""
        return cast(Self, self._along(self._take(rows), lambda unknown: unknown.take(rows)))

    def sparse(self) -> LabelLists:
        """The same labels as lists of label numbers."""
        return self._along(self._lists(), lambda unknown: unknown.sparse())

    def to(self, device: torch.device | str) -> Self:
        """The same labels on another device."""
        return cast(Self, self._along(self._to(device), lambda unknown: unknown.to(device)))

    @abstractmethod
    def _take(self, rows: RowIndex) -> LabelMatrix:
        """What :meth:`take` gives of known labels, in the same layout."""

    @abstractmethod
    def dense(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Y as a dense (n_rows, n_labels) tensor."""

    @abstractmethod
    def _lists(self) -> LabelLists:
        """What :meth:`sparse` gives of known labels."""

    @abstractmethod
    def _to(self, device: torch.device | str) -> LabelMatrix:
        """What :meth:`to` gives of known labels, in the same layout."""

    @abstractmethod
    def entries(self) -> Tensor | None:
        """The stored values: all of Y, or those of the labels present; None stands for ones."""

    def with_entries(self, values: Tensor) -> LabelMatrix:
        """The same labels with other stored values (see :meth:`entries`)."""
        return self._along(self._with_entries(values), lambda unknown: unknown)

    def _with_entries(self, values: Tensor) -> LabelMatrix:
        return self._lists()._with_entries(values)

    def spread_rows(self, v: Tensor) -> Tensor:
        """One number per row, (n_rows,), in a shape that broadcasts against :meth:`entries`."""
        return self.sparse().spread_rows(v)

    def spread_labels(self, v: Tensor) -> Tensor:
        """One number per label, (n_labels,), in a shape that broadcasts against :meth:`entries`."""
        return self.sparse().spread_labels(v)

    def pick(self, columns_first: Tensor) -> Tensor:
        """The values at the stored entries, in their shape, from a dense (n_labels, n_rows) tensor."""
        return self.sparse().pick(columns_first)

    def concat(self, other: LabelMatrix) -> LabelMatrix:
        """These rows and then those of another matrix over the same labels."""
        self.check_same_labels(other)
        found = self._concat(other)
        if self.has_unknown or other.has_unknown:
            found._unknown = self.unknown.concat(other.unknown)
        return found

    def _concat(self, other: LabelMatrix) -> LabelMatrix:
        return self._lists()._concat(other)

    def with_identity(self) -> LabelMatrix:
        """These rows, then one row for each label with that label alone, (n_rows + n_labels, n_labels)."""
        found = self._with_identity()
        if self._unknown is not None:
            found._unknown = self._unknown.concat(found.take(slice(len(self), None)).unknown)
        return found

    def _with_identity(self) -> LabelMatrix:
        return self._lists()._with_identity()

    def row_hashes(self) -> Tensor:
        """A 64-bit number per row, equal for equal sets of known labels, (n_rows,) int64."""
        return self._lists().row_hashes()


class LabelLists(LabelMatrix):
    """Labels as one list of label numbers per row, which every layout can be turned into.

    Attributes
    ----------
    offsets : (n_rows + 1,) int32
        Row i owns the entries ``offsets[i]:offsets[i + 1]``.
    columns : (nnz,) int32
        Label numbers.
    weights : (nnz,) tensor, or None for ones
    """

    offsets: Tensor
    columns: Tensor
    weights: Tensor | None

    @property
    @abstractmethod
    def rows(self) -> Tensor:
        """The row of each entry, (nnz,) int32."""

    @property
    @abstractmethod
    def transposed(self) -> LabelLists:
        """The rows of each label: the same entries as an (n_labels, n_rows) matrix."""

    @abstractmethod
    def select_labels(self, labels: Tensor) -> LabelLists:
        """These rows with some of the labels, numbered anew in the order given."""

    @abstractmethod
    def union(self, other: LabelLists) -> LabelLists:
        """The entries of either matrix, as ones."""

    @abstractmethod
    def without(self, other: LabelLists) -> LabelLists:
        """The entries that the other matrix does not have."""


def _are_known(values: Tensor, binary: bool, who: str) -> bool:
    """False for values with NaN among them, which comes through both bounds; else a refusal of what is no label."""
    low, high = (float(v) for v in values.aminmax())
    if low != low or high != high:
        return False
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
    return True


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


def _check_product(who: str, given: Tensor, n: int, each: str, device: torch.device) -> None:
    """Refuse what is not one floating row for each of ``n`` things, on their device."""
    right = isinstance(given, Tensor) and given.dim() == 2 and given.is_floating_point()
    if not right or given.shape[0] != n or given.device != device:
        expected = f"one embedding for each of {n} {each}, floating, on {device}"
        raise ManyLabelError(who, expected, described(given), "Pass rows and labels of the same samples.")
