"""Sparse rows in Arrow columns: lists `indices` and `values`, side by side or in a struct, and a list of labels."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np

from manylabel.data.formats.border import shown
from manylabel.data.formats.sparse_text import MOST_FEATURES, MOST_LABELS, zero_one
from manylabel.data.rows.precision import LARGEST
from manylabel.errors import ManyLabelError

Array = np.ndarray[Any, Any]
Place = Callable[[int], str]
INDICES, VALUES, LABELS = "indices", "values", "labels"
TYPE, SIZE = "type", "size"  # of a vector of Spark, beside its indices and values
_LARGEST_NUMBER = (1 << 63) - 1  # of a label
_DENSE = 1  # the type of one whose numbers are all stored


@dataclass(frozen=True)
class SparseColumns:
    """Which columns hold the rows.

    Attributes
    ----------
    struct : str or None
        The column whose fields are ``indices`` and ``values``; None where these are columns themselves.
    labels : str or None
        A column of lists of numbers or of texts; None where no labels are read.
    names : tuple of str, or None
        Of the labels with the numbers 0, 1 and so on, as Hugging Face's datasets keep them beside the columns.
    """

    struct: str | None
    labels: str | None
    names: tuple[str, ...] | None = None

    @classmethod
    def of(cls, schema: Any, where: str, unlabelled: bool = False) -> Self:
        """Those of a schema that holds sparse rows; labels of those that are ``unlabelled`` are not read.

        Raises
        ------
        ManyLabelError
            Without a column of labels where there has to be one, or with several.
        """
        struct = _structs(schema)[0] if _structs(schema) else None
        own = (struct, INDICES, VALUES)
        lists = [each.name for each in schema if each.name not in own and _is_list(each.type, "label")]
        labels = LABELS if LABELS in lists else lists[0] if len(lists) == 1 else None
        if unlabelled:
            return cls(struct, None)
        if labels is None:
            got = ", ".join(map(shown, lists[:8])) or "none"
            hint = f"Name it {LABELS!r}; a row without labels has an empty list."
            raise ManyLabelError(where, "one column with a list of labels in each row", got, hint)
        return cls(struct, labels, _class_names(schema, labels))

    @property
    def features(self) -> list[str]:
        """The columns of features."""
        return [INDICES, VALUES] if self.struct is None else [self.struct]

    @property
    def asked(self) -> list[str]:
        """The columns that are read."""
        return [*self.features, *(() if self.labels is None else (self.labels,))]

    def matrix(self, batch: Any, place: Place) -> Any:
        """The features of the rows of a batch, a CSR matrix with ascending columns, as wide as it has to be.

        Raises
        ------
        ManyLabelError
            Naming the place of the first row that is not as it should be.
        """
        import scipy.sparse as sp

        indices, values, declared = self._lists(batch, place)
        _refuse(place, np.asarray(values.is_null()), "a list of values", "null")
        ends = _ends(values)
        numbers = _flat(values, ends, place, "a number at each index")
        columns = _columns(indices, ends, place)
        bad = (columns < 0) | (columns >= MOST_FEATURES)
        _refuse_entry(place, ends, bad, f"indices from 0 to {MOST_FEATURES - 1}", columns)
        with np.errstate(invalid="ignore"):
            bad = ~(np.abs(numbers) <= LARGEST)
        _refuse_entry(place, ends, bad, "finite numbers below 3.4e38", numbers)
        _refuse(
            place, declared >= MOST_FEATURES, f"vectors of at most {MOST_FEATURES - 1} numbers", "longer ones"
        )
        width = max(int(columns.max(initial=-1)) + 1, int(declared.max(initial=0)))
        made = sp.csr_matrix((numbers, columns.astype(np.int32), ends), shape=(len(values), width))
        made.sort_indices()
        twice = np.zeros(made.nnz, bool)
        twice[1:] = made.indices[1:] == made.indices[:-1]
        twice[ends[:-1][ends[:-1] < made.nnz]] = False  # the first entry of a row has none before it
        _refuse_entry(place, ends, twice, "every index once in a row", made.indices)
        return made

    def _lists(self, batch: Any, place: Place) -> tuple[Any, Any, Array]:
        """The lists of indices, null where every number is stored, those of values, and the width that a row tells."""

        if self.struct is None:
            fields = {name: batch.column(batch.schema.get_field_index(name)) for name in (INDICES, VALUES)}
        else:
            whole = batch.column(batch.schema.get_field_index(self.struct))
            _refuse(place, np.asarray(whole.is_null()), "features in every row", "null")
            fields = {whole.type.field(i).name: part for i, part in enumerate(whole.flatten())}
        told = [fields.get(name) for name in (TYPE, SIZE)]
        kinds, sizes = (np.zeros(len(batch), np.int64) if part is None else _whole(part) for part in told)
        missing = np.asarray(fields[INDICES].is_null()) & (kinds != _DENSE)
        _refuse(place, missing, "a list of indices", "null")
        return fields[INDICES], fields[VALUES], sizes


def holds_sparse_rows(schema: Any) -> bool:
    """Whether a schema has the columns of sparse rows."""
    here = {each.name: each.type for each in schema}
    pair = INDICES in here and VALUES in here and _is_list(here[INDICES], "whole") and _is_list(here[VALUES])
    return len(_structs(schema)) == 1 or pair


@dataclass
class LabelLists:
    """The labels of rows as numbers: those of the file, or places in ``texts``.

    Attributes
    ----------
    numbers, ends : arrays of int
        Of all rows, one behind the other, and where each row ends.
    texts : dict of str to int
    """

    numbers: array[int] = field(default_factory=lambda: array("q"))
    ends: array[int] = field(default_factory=lambda: array("q", [0]))
    texts: dict[str, int] = field(default_factory=dict)

    def add(self, lists: Any, place: Place) -> None:
        """Append the labels of the rows of a batch.

        Raises
        ------
        ManyLabelError
            For a row whose labels are null, hold a null, or a number that no label has.
        """
        import pyarrow as pa

        hint = "An empty list says that a row has none."
        _refuse(place, np.asarray(lists.is_null()), "a list of labels", "null", hint)
        ends, flat = _ends(lists), lists.flatten()
        _refuse_entry(place, ends, np.asarray(flat.is_null()), "labels", None)
        if pa.types.is_null(flat.type):  # no row of the file has a label
            numbers = np.zeros(0, np.int64)
        elif pa.types.is_integer(flat.type):
            told = flat.to_numpy(zero_copy_only=False)
            _refuse_entry(place, ends, told > _LARGEST_NUMBER, f"labels up to {_LARGEST_NUMBER}", told)
            numbers = told.astype(np.int64)
        else:
            coded = flat if pa.types.is_dictionary(flat.type) else flat.dictionary_encode()
            known = [self.texts.setdefault(text, len(self.texts)) for text in coded.dictionary.to_pylist()]
            numbers = np.array([*known, 0])[coded.indices.to_numpy(zero_copy_only=False)].astype(np.int64)
        self.ends.frombytes((ends[1:] + len(self.numbers)).astype(np.int64).tobytes())
        self.numbers.frombytes(numbers.tobytes())

    def add_none(self, n: int) -> None:
        """Append n rows without labels."""
        self.ends.extend([len(self.numbers)] * n)

    def matrix(self, numbers: Array, columns: Array, n_labels: int) -> Any:
        """A 0/1 CSR matrix (n, n_labels): label ``numbers[i]``, ascending, has column ``columns[i]``; -1 is none."""
        found, ends = (np.frombuffer(each, dtype=np.int64) for each in (self.numbers, self.ends))
        made = zero_one(columns[np.searchsorted(numbers, found)], ends, n_labels)
        made.sum_duplicates()
        made.data[:] = 1  # a label that a row names twice
        return made

    def named(self, names: tuple[str, ...] | None) -> tuple[Array, list[str]]:
        """The numbers that occur, ascending, and what each of them is called."""
        if self.texts:
            return np.arange(len(self.texts)), list(self.texts)
        numbers = np.unique(np.frombuffer(self.numbers, dtype=np.int64))
        return numbers, [str(i) if names is None else names[i] for i in numbers.tolist()]


def label_matrices(
    parts: Sequence[LabelLists], names: tuple[str, ...] | None, where: str, wanted: tuple[str, ...] = ()
) -> tuple[list[str], list[Any], list[str]]:
    """The labels of some files.

    Parameters
    ----------
    parts : sequence of LabelLists
    names : tuple of str, or None
        Of the numbers 0, 1 and so on.
    where : str
        For messages.
    wanted : tuple of str, default ()
        The labels to take; by default all, by number or in the order of the alphabet.

    Returns
    -------
    labels : list of str
    matrices : list of (n, n_labels) CSR matrices, one a file
    others : list of str
        Labels that occur and are not wanted.

    Raises
    ------
    ManyLabelError
        For no label, too many, numbers beside texts, or a number that the names do not have.
    """
    texts = sorted({text for part in parts for text in part.texts})
    found = np.unique(np.concatenate([np.frombuffer(part.numbers, dtype=np.int64) for part in parts]))
    if texts and not all(part.texts or not len(part.numbers) for part in parts):
        hint = "Write the labels of all files as one or the other."
        raise ManyLabelError(where, "labels that are all numbers or all texts", "both", hint)
    if not texts and names is not None and len(found) and not 0 <= found[0] <= found[-1] < len(names):
        wrong = found[(found < 0) | (found >= len(names))][0]
        raise ManyLabelError(where, f"labels from 0 to {len(names) - 1}, which have names", f"{wrong}")
    labels = list(wanted or texts or names or map(str, found.tolist()))
    if not 0 < len(labels) <= MOST_LABELS:
        raise ManyLabelError(where, f"from 1 to {MOST_LABELS} different labels", f"{len(labels)}")
    column = {label: i for i, label in enumerate(labels)}
    matrices, others = [], dict[str, None]()
    for part in parts:
        numbers, called = part.named(names)
        columns = np.array([column.get(label, -1) for label in called], dtype=np.int64)
        matrices.append(part.matrix(numbers, columns, len(labels)))
        others |= dict.fromkeys(label for label in called if label not in column)
    return labels, matrices, list(others)


def _structs(schema: Any) -> list[str]:
    """Columns of structs with a list of indices and one of values."""
    import pyarrow as pa

    found = []
    for each in schema:
        kinds = {part.name: part.type for part in each.type} if pa.types.is_struct(each.type) else {}
        if (
            INDICES in kinds
            and VALUES in kinds
            and _is_list(kinds[INDICES], "whole")
            and _is_list(kinds[VALUES])
        ):
            found.append(each.name)
    return found


def _is_list(kind: Any, of: Literal["whole", "number", "label"] = "number") -> bool:
    """Whether a type is one of lists of whole numbers, of any numbers, or of what labels may be."""
    import pyarrow as pa

    is_list = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    if not any(check(kind) for check in is_list):
        return False
    inner = kind.value_type
    if of == "label" and pa.types.is_dictionary(inner):
        inner = inner.value_type
    if pa.types.is_integer(inner):
        return True
    if of == "label":
        return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner) or pa.types.is_null(inner))
    return of == "number" and bool(pa.types.is_floating(inner))


def _class_names(schema: Any, column: str) -> tuple[str, ...] | None:
    """The names that Hugging Face's datasets keep of the numbers of a column."""
    try:
        told: Any = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"][column]
        names = (told[0] if isinstance(told, list) else told["feature"])["names"]
    except (KeyError, TypeError, ValueError, IndexError, RecursionError):
        return None
    whole = isinstance(names, list) and all(isinstance(name, str) for name in names)
    return tuple(names) if whole else None


def _whole(numbers: Any) -> Array:
    """Whole numbers, (n,) int64; 0 where there is none."""
    import pyarrow as pa

    if not pa.types.is_integer(numbers.type):
        return np.zeros(len(numbers), np.int64)
    found: Array = numbers.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return found


def _ends(lists: Any) -> Array:
    """Where the entries of each list end among those of all, (n + 1,) int64; a null has none."""
    import pyarrow.compute as pc

    lengths = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False)
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])


def _flat(lists: Any, ends: Array, place: Place, expected: str) -> Array:
    """The entries of all lists, (nnz,) float32 where they are so, else float64."""
    flat = lists.flatten()
    _refuse_entry(place, ends, np.asarray(flat.is_null()), expected, None)
    found: Array = flat.to_numpy(zero_copy_only=False)
    narrow = found.dtype == np.float32
    return found.astype(np.float32 if narrow else np.float64)  # a copy, which may be changed


def _columns(indices: Any, ends: Array, place: Place) -> Array:
    """The index of each value, (nnz,) int64; of a row without indices every number is stored."""
    own = _ends(indices)
    missing = np.asarray(indices.is_null())
    lengths, wanted = np.diff(own), np.diff(ends)
    wrong = ~missing & (lengths != wanted)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        got = f"{lengths[row]} and {wanted[row]}"
        raise ManyLabelError(place(row), "as many indices as values", got)
    flat = indices.flatten()
    _refuse_entry(place, own, np.asarray(flat.is_null()), "an index of each value", None)
    numbers: Array = flat.to_numpy(zero_copy_only=False).astype(np.int64)
    if not missing.any():
        return numbers
    made: Array = np.arange(ends[-1]) - np.repeat(ends[:-1], wanted)
    made[np.repeat(~missing, wanted)] = numbers
    return made


def _refuse(place: Place, bad: Array, expected: str, got: str, hint: str = "") -> None:
    """Refuse the first row that is bad."""
    if bad.any():
        raise ManyLabelError(place(int(np.flatnonzero(bad)[0])), expected, got, hint)


def _refuse_entry(place: Place, ends: Array, bad: Array, expected: str, values: Array | None) -> None:
    """Refuse the first entry that is bad, by the row that holds it; without ``values`` it is null."""
    if bad.any():
        entry = int(np.flatnonzero(bad)[0])
        row = int(np.searchsorted(ends, entry, side="right")) - 1
        got = "null" if values is None else f"{values[entry]:{'g' if values.dtype.kind == 'f' else 'd'}}"
        raise ManyLabelError(place(row), expected, got)
