"""Targets of any kind as a label matrix: 0/1 matrices, label sets, frames, and the classes of binary and multiclass."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from manylabel.data import Table
from manylabel.data.column_storage import Codes
from manylabel.data.formats.frames import frame_in_memory
from manylabel.data.tag_cells import LIST, sets_of_values
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix, as_labels

Array: TypeAlias = "np.ndarray[Any, Any]"
Kind: TypeAlias = Literal["multilabel", "binary", "multiclass"]

_MATRIX = "Pass a 0/1 matrix with one row per sample, a list of label sets, or one class per row."


@dataclass(frozen=True, eq=False)
class Targets:
    """What the targets of a fit were, so that others can be read, and predictions given, in the same form.

    Attributes
    ----------
    kind : "multilabel", "binary" or "multiclass"
    classes : (n_classes,) array
        Label names, label numbers, or the caller's classes in ascending order.
    dtype : str
        Of predicted label sets: that of an integer matrix, else bool.
    """

    kind: Kind
    classes: Array
    dtype: str = "bool"

    @property
    def label_names(self) -> tuple[str, ...]:
        """The columns of the label matrix by name."""
        if self.kind == "binary":
            return (str(self.classes[1]),)
        if self.kind == "multilabel" and self.classes.dtype.kind in "iu":
            return tuple(f"label {name}" for name in self.classes.tolist())
        return tuple(map(str, self.classes.tolist()))

    def matrix(self, y: Any, unknown: float | None, who: str = "y") -> LabelMatrix:
        """Other targets of the same form as a label matrix.

        Raises
        ------
        ManyLabelError
            For another number of labels, and for labels or classes that were not there in the fit.
        """
        if self.kind != "multilabel":
            return self._one_hot(_class_column(y, who), who)
        y = _rows_in_cells(y)
        sets = _are_sets(y)
        Y = _label_sets(y, self.classes, who) if sets else _matrix(self._aligned(y, who), unknown, who)
        if Y.n_labels != len(self.classes):
            hint = "Give the columns of the fit, in their order."
            raise ManyLabelError(who, f"{len(self.classes)} labels", f"{Y.n_labels}", hint)
        return Y

    def widened(self, y: Any, who: str = "y") -> Targets:
        """With the labels of further label sets, or of a frame, after those that are there."""
        found = _distinct(_as_sets(y, who), who) if _are_sets(y) else _column_names(y, 0, who)
        known = set(self.classes.tolist())
        new = [label for label in found.tolist() if label not in known]
        return self if not new else replace(self, classes=_names([*self.classes.tolist(), *new]))

    def predicted(self, labels: Array, probabilities: Array) -> Array:
        """Predictions in the form of the targets.

        Parameters
        ----------
        labels : (n, n_labels) bool array
        probabilities : (n, n_classes) array
        """
        if self.kind == "multilabel":
            return labels.astype(self.dtype, copy=False)
        return np.asarray(self.classes[probabilities.argmax(axis=1)])

    def spread(self, P: Array) -> Array:
        """Probabilities of all classes, (n, n_labels) -> (n, n_classes) float32; those of single classes sum to 1."""
        if self.kind == "multilabel":
            return P
        if self.kind == "binary":
            return np.concatenate([1 - P, P], axis=1)
        total = P.sum(axis=1, keepdims=True)
        return np.where(total > 0, P / np.where(total > 0, total, 1), np.float32(1 / P.shape[1]))

    def _aligned(self, y: Any, who: str) -> Any:
        """A frame with a column for each label, in the order of the labels; anything else as it is."""
        names = _column_names(y, 0, who).tolist()
        if not names or set(names) - set(self.classes.tolist()):
            return y
        place = {name: i for i, name in enumerate(names)}
        values = _frame_values(y, who)
        absent = np.full((len(values), 1), np.nan, dtype=object)
        return np.column_stack(
            [values[:, [place[c]]] if c in place else absent for c in self.classes.tolist()]
        )

    def _one_hot(self, y: Array, who: str) -> LabelMatrix:
        import scipy.sparse as sp

        places = np.searchsorted(self.classes, y).clip(max=len(self.classes) - 1)
        strange = np.flatnonzero(self.classes[places] != y)
        if len(strange):
            told = ", ".join(map(str, self.classes[:12].tolist()))
            raise ManyLabelError(who, f"the classes of the fit ({told})", repr(y[strange].tolist()[0]))
        if self.kind == "binary":
            return as_labels(places[:, None].astype(bool), who=who)
        n = len(y)
        ones = np.ones(n, dtype=np.uint8)
        return as_labels(sp.csr_matrix((ones, places, np.arange(n + 1)), (n, len(self.classes))), who=who)


def read_targets(
    y: Any, class_names: Sequence[Any] | None = None, unknown: float | None = None, who: str = "y"
) -> tuple[Targets, LabelMatrix]:
    """Targets and their label matrix.

    Parameters
    ----------
    y : (n, n_labels) 0/1 array, tensor, frame or sparse matrix; n label sets; or n classes
        Label sets are sets, tuples or lists of names or of numbers; lists of one length that hold nothing but 0 and 1
        are taken for a matrix. NaN, masked, None and ``pandas.NA`` entries of a matrix are unknown, and a label set
        that is None or NaN is unknown as a whole.
    class_names : sequence, optional
        The labels in the order of the columns; those of label sets by default are the ones that occur, in ascending
        order.
    unknown : number, optional
        Which number, such as -1, stands for an unknown entry of a matrix.
    who : str
        The argument, for messages.

    Raises
    ------
    ManyLabelError
        For continuous targets, a single class, labels of mixed types, entries that are not 0 or 1, and names that do
        not fit.
    """
    if isinstance(y, Table):
        return Targets("multilabel", np.array(y.label_names, dtype=object)), y.Y
    y = _rows_in_cells(y)
    if _are_sets(y):
        classes = _distinct(_as_sets(y, who), who) if class_names is None else _names(class_names)
        return Targets("multilabel", classes), _label_sets(y, classes, who)
    if not _is_matrix(y, who):
        return _single(_class_column(y, who), class_names, who)
    Y = _matrix(y, unknown, who)
    classes = _column_names(y, Y.n_labels, who) if class_names is None else _names(class_names)
    if class_names is not None:
        _check_order(classes, y)
    if len(classes) != Y.n_labels:
        raise ManyLabelError("`class_names`", f"{Y.n_labels} names, one for each label", f"{len(classes)}")
    if Y.n_labels == 0:
        raise ManyLabelError(who, "at least one label", f"shape {Y.shape}", _MATRIX)
    return Targets("multilabel", classes, _dtype(y)), Y


def _check_order(classes: Array, y: Any) -> None:
    """Refuse the names of a frame in another order than that of its columns: they would change places unnoticed."""
    names, given = _frame_names(y), classes.tolist()
    if names != given and set(map(str, names)) == set(map(str, given)):
        told = ", ".join(map(str, names[:12]))
        hint = "Leave it out, or pass `y[class_names]`."
        raise ManyLabelError("`class_names`", f"the order of the columns ({told})", "another one", hint)


def _single(y: Array, class_names: Sequence[Any] | None, who: str) -> tuple[Targets, LabelMatrix]:
    """Binary and multiclass targets."""
    classes = np.unique(y)
    if class_names is not None:
        hint = "Leave it out: the classes are those of `y`."
        raise ManyLabelError(
            "`class_names`", "no names beside one class per row", f"{class_names!r:.60}", hint
        )
    if len(classes) < 2:
        got = f"1 class, {classes.tolist()[0]!r:.40}" if len(classes) else "no row"
        raise ManyLabelError(who, "at least two classes", got, "There is nothing to tell apart.")
    _warn_of_several_in_one(y, classes, who)
    targets = Targets("binary" if len(classes) == 2 else "multiclass", classes)
    return targets, targets._one_hot(y, who)


def _warn_of_several_in_one(y: Array, classes: Array, who: str) -> None:
    """Say so where each class looks like several labels in one text, such as "war|drama"."""
    values = classes.tolist()
    if not all(isinstance(value, str) for value in values):
        return
    found = sets_of_values(Codes(np.searchsorted(classes, y).astype(np.int32), values))
    if found:
        separator, why = found
        split = "a list per row" if separator == LIST else f"`[text.split({separator!r}) for text in y]`"
        told = f"but each text is taken for one class, {len(values)} in all. For several labels a row, pass"
        warnings.warn(f"{who}: {why}, {told} {split}.", stacklevel=2)


def _class_column(y: Any, who: str) -> Array:
    """One class per row, as an array of integers, booleans or texts."""
    if isinstance(y, Tensor):
        y = y.detach().cpu().numpy()
    try:
        array = np.asarray(y)
    except ValueError as error:
        raise ManyLabelError(
            who, "targets in rows of one length", str(error).splitlines()[0], _MATRIX
        ) from None
    if array.ndim == 2 and array.shape[1] == 1:
        _warn_of_column()
        array = array[:, 0]
    if array.ndim != 1:
        raise ManyLabelError(who, "one class per row", f"shape {array.shape}", _MATRIX)
    if array.dtype.kind == "U" and isinstance(y, list | tuple):  # numbers beside texts became texts
        array = np.array(y, dtype=object).reshape(array.shape)
    array = _plain(array, who) if array.dtype.kind == "O" else array
    _check_classes(array, who)
    return array


def _check_classes(array: Array, who: str) -> None:
    """Refuse numbers that name no class."""
    if array.dtype.kind == "c":
        raise ManyLabelError(who, "classes", "complex numbers. Complex data not supported")
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            hint = "Leave out rows without a class."
            raise ManyLabelError(who, "a class in every row", "NaN or an infinite number", hint)
        if (array != np.round(array)).any():
            raise ManyLabelError(who, "classes", "continuous numbers", _MATRIX)


def _plain(array: Array, who: str) -> Array:
    """Objects as texts, integers or booleans.

    Raises
    ------
    ManyLabelError
        For anything else and for mixtures.
    """
    types = {type(value) for value in array.tolist()}
    if len(types) == 1 and types <= {str, int, bool, float}:
        return array if types == {str} else np.array(array.tolist())
    told = ", ".join(sorted(one.__name__ for one in types)[:4])
    hint = "Unknown label type: give texts or whole numbers, and a class in every row."
    raise ManyLabelError(who, "classes of one type", told or "none", hint)


def _warn_of_column() -> None:
    from sklearn.exceptions import DataConversionWarning

    told = (
        "A column-vector y was passed when a 1d array was expected. Pass y.ravel(), or a matrix of 0 and 1."
    )
    warnings.warn(told, DataConversionWarning, stacklevel=2)


def _is_matrix(y: Any, who: str) -> bool:
    """Whether targets have two axes, and are no column of classes."""
    if isinstance(y, LabelMatrix) or hasattr(y, "tocsr") or frame_in_memory(y, who) is not None:
        return True
    if isinstance(y, Tensor) and y.layout != torch.strided:
        return True
    if isinstance(y, Tensor):
        y = y.detach().cpu().numpy()
    try:
        array = y if isinstance(y, np.ndarray) else np.asarray(y)
    except ValueError:
        return False
    return array.ndim != 1 and not _is_class_column(array)


def _is_class_column(array: Any) -> bool:
    """Whether the single column of an array holds more than 0 and 1."""
    if array.ndim != 2 or array.shape[1] != 1 or array.dtype.kind not in "iuU":
        return False
    return array.dtype.kind == "U" or bool(((array < 0) | (array > 1)).any())


def _matrix(y: Any, unknown: float | None, who: str) -> LabelMatrix:
    values = _frame_values(y, who)
    return as_labels(values, binary=True, unknown=unknown, who=who)


def _frame_values(y: Any, who: str) -> Any:
    """The entries of a frame as numbers with NaN for missing ones; anything else as it is."""
    frame = None if isinstance(y, LabelMatrix) else frame_in_memory(y, who)
    if frame is None:
        return y
    return np.array([column.to_list() for column in frame.iter_columns()], dtype=object).T


def _column_names(y: Any, n_labels: int, who: str) -> Array:
    names = _frame_names(y)
    return _names(names, f"{who}, columns") if names else np.arange(n_labels)


def _frame_names(y: Any) -> list[str | int]:
    """The names of the columns of a frame; none of anything else."""
    if not hasattr(y, "columns") or isinstance(y, LabelMatrix):
        return []
    names = getattr(y, "column_names", y.columns)
    return [name if isinstance(name, str | int) else str(name) for name in names]


def _dtype(y: Any) -> str:
    """The type in which label sets are predicted."""
    if isinstance(y, list | tuple):
        y = np.asarray(y)
    return str(y.dtype) if isinstance(y, np.ndarray) and y.dtype.kind in "iu" else "bool"


def _are_sets(y: Any) -> bool:
    """Whether targets are label sets: sets, or lists and tuples that are no rows of a 0/1 matrix."""
    if isinstance(y, np.ndarray) and (y.ndim != 1 or y.dtype.kind != "O"):
        return False
    if not isinstance(y, list | tuple | np.ndarray) and not hasattr(y, "to_list"):
        return False
    rows = [row for row in _listed(y) if not _is_missing(row)]
    if any(isinstance(row, set | frozenset) for row in rows):
        return True
    if not rows or not all(isinstance(row, list | tuple) for row in rows):
        return False
    lengths, entries = {len(row) for row in rows}, {_kind_of(entry) for row in rows for entry in row}
    return len(lengths) > 1 or "text" in entries or "number" in entries


def _kind_of(entry: Any) -> str:
    """Whether an entry of a nested list is a text, 0 or 1, or another whole number."""
    if isinstance(entry, str):
        return "text"
    whole = isinstance(entry, int | np.integer) and not isinstance(entry, bool)
    return "number" if whole and entry not in (0, 1, -1) else "entry"


def _rows_in_cells(y: Any) -> Any:
    """The rows that stand in the cells of a series, or of an array of objects, as a list; anything else as it is."""
    is_column = isinstance(y, np.ndarray) and y.ndim == 1 and y.dtype.kind == "O"
    if not is_column and not hasattr(y, "to_list"):
        return y
    rows = _listed(y)
    return rows if rows and all(isinstance(row, list | tuple) for row in rows) else y


def _listed(y: Any) -> list[Any]:
    rows = y.to_list() if hasattr(y, "to_list") else y
    return [row.tolist() if isinstance(row, np.ndarray) and row.ndim == 1 else row for row in rows]


def _is_missing(row: Any) -> bool:
    return row is None or type(row).__name__ == "NAType" or (isinstance(row, float) and row != row)


def _as_sets(y: Any, who: str) -> list[set[Any] | None]:
    """Label sets; None where one is unknown."""
    sets: list[set[Any] | None] = []
    for i, row in enumerate(_listed(y)):
        if not _is_missing(row) and not isinstance(row, list | tuple | set | frozenset):
            got = f"{type(row).__name__} in row {i} (counted from 0)"
            raise ManyLabelError(who, "a set of labels in every row", got, _MATRIX)
        sets.append(None if _is_missing(row) else set(row))
    return sets


def _distinct(sets: list[set[Any] | None], who: str) -> Array:
    labels = set().union(*(labels for labels in sets if labels is not None))
    if not labels:
        raise ManyLabelError(who, "a label in some row", "none", _MATRIX)
    return _names(sorted(_of_one_type(labels, who)))


def _of_one_type(labels: set[Any], who: str) -> list[Any]:
    texts = all(isinstance(label, str) for label in labels)
    numbers = all(isinstance(label, int | np.integer) and not isinstance(label, bool) for label in labels)
    if not texts and not numbers:
        told = ", ".join(sorted({type(label).__name__ for label in labels}))
        raise ManyLabelError(who, "labels that are all texts, or all whole numbers", told)
    return [str(label) if texts else int(label) for label in labels]


def _names(names: Sequence[Any], who: str = "`class_names`") -> Array:
    """Label names as an array: integers, or objects that are texts."""
    if isinstance(names, str) or not hasattr(names, "__len__"):
        raise ManyLabelError(who, "a list of names", f"{names!r:.60}")
    found = [name.item() if isinstance(name, np.generic) else name for name in names]
    types = {type(name) for name in found}
    if len(types) > 1 or not types <= {str, int}:
        raise ManyLabelError(who, "names that are all texts, or all whole numbers", f"{found!r:.60}")
    if len(set(found)) < len(found):
        twice = next(name for name in found if found.count(name) > 1)
        raise ManyLabelError(who, "names that all differ", f"{twice!r:.60} more than once")
    return np.array(found, dtype=np.int64 if types == {int} else object)


def _label_sets(y: Any, classes: Array, who: str) -> LabelMatrix:
    """Label sets as a sparse label matrix."""
    import scipy.sparse as sp

    sets, number = _as_sets(y, who), {label: i for i, label in enumerate(classes.tolist())}
    lists = []
    for i, labels in enumerate(sets):
        strange = next((label for label in labels or () if label not in number), None)
        if strange is not None:
            told = ", ".join(map(str, classes[:12].tolist()))
            got = f"{strange!r:.60} in row {i} (counted from 0)"
            raise ManyLabelError(
                who, f"labels that are known ({told})", got, "Name all labels with `class_names`."
            )
        lists.append(sorted(number[label] for label in labels or ()))
    offsets = np.concatenate([[0], np.cumsum([*map(len, lists)])]).astype(np.int64)
    columns = np.array([column for each in lists for column in each], dtype=np.int64)
    shape = (len(sets), len(classes))
    known = sp.csr_matrix((np.ones(len(columns), np.uint8), columns, offsets), shape)
    hidden = np.array([labels is None for labels in sets], dtype=np.uint8)[:, None]
    if not hidden.any():
        return as_labels(known, binary=True, who=who)
    unknown = sp.csr_matrix(hidden) @ sp.csr_matrix(np.ones((1, len(classes)), np.uint8))
    return as_labels(known, binary=True, unknown=unknown, who=who)
