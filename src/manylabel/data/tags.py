"""Label columns of a table: tags in one column, with their separator found out, or one column a label."""

from __future__ import annotations

import fnmatch
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from manylabel.data.cells import FALSE, TRUE, UNKNOWN
from manylabel.data.column_storage import Codes
from manylabel.data.formats.border import shown
from manylabel.data.tag_cells import found_separator, split_cell, structure_of
from manylabel.errors import ManyLabelError, did_you_mean
from manylabel.labels import LabelMatrix, as_labels
from manylabel.printable import count

if TYPE_CHECKING:
    import scipy.sparse as sp

_HEAD = re.compile(r"[^\W_]+[_.:-]")
Place = Callable[[int], str]


@dataclass(frozen=True)
class LabelColumns:
    """Where the labels of a table stand.

    Attributes
    ----------
    columns : tuple of str
    names : tuple of n_labels str
    separator : str or None
        Between the tags of a cell; "" where each cell is one tag, ``"list"`` where it is written as a list. None for
        columns of 0 and 1, one a label.
    """

    columns: tuple[str, ...]
    names: tuple[str, ...]
    separator: str | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> LabelColumns:
        return cls(tuple(told["columns"]), tuple(told["names"]), told["separator"])


@dataclass(frozen=True)
class TableLabels:
    """The labels of the rows of a table.

    Attributes
    ----------
    known : (n, n_labels) CSR matrix of uint8
        1 where a label is given.
    unknown : (n, n_labels) CSR matrix of uint8
        1 where it was never asked for.
    told : tuple of str
        What was found out, one sentence each.
    """

    known: sp.csr_matrix
    unknown: sp.csr_matrix
    told: tuple[str, ...] = ()

    def matrix(self, who: str) -> LabelMatrix:
        """As a label matrix, (n, n_labels)."""
        return as_labels(self.known, binary=True, unknown=self.unknown if self.unknown.nnz else None, who=who)


def label_columns(labels: str | Sequence[str], names: Sequence[str], where: str) -> tuple[str, ...]:
    """The columns that names and patterns such as ``is_*`` stand for, in the order of the table.

    Raises
    ------
    ManyLabelError
        For a name or pattern of no column.
    """
    asked = [labels] if isinstance(labels, str) else list(labels)
    if not asked:
        raise ManyLabelError("`labels`", "at least one column", "none")
    chosen: set[str] = set()
    for name in asked:
        found = [name] if name in names else fnmatch.filter(names, name) if _is_pattern(name) else []
        if not found:
            told = ", ".join(list(names)[:12]) + (", ..." if len(names) > 12 else "")
            hint = _columns_instead(name, names)
            raise ManyLabelError(f"{where}, `labels`", f"one of the columns {told}", repr(name), hint)
        chosen.update(found)
    return tuple(name for name in names if name in chosen)


def read_labels(
    columns: dict[str, Codes], separator: str | None, where: str, place: Place
) -> tuple[LabelColumns, TableLabels]:
    """Labels of columns whose meaning is found out.

    Parameters
    ----------
    columns : dict of name -> Codes
        One of tags, or any number of 0 and 1.
    separator : str, optional
        Between tags; found out where it is not given.
    where : str
    place : callable
        Row -> where it stands, for messages.

    Raises
    ------
    ManyLabelError
        Naming the first cell of several columns that is neither 0 nor 1, or a column without a tag.
    """
    if len(columns) > 1 or (separator is None and _is_zero_one(next(iter(columns.values())))):
        found = LabelColumns(tuple(columns), tuple(columns), None)
        return found, read_known_labels(columns, found, where, place)
    (name, stored), told = next(iter(columns.items())), ""
    structure = structure_of(_used(stored))
    if structure is not None:
        hint = (
            "Write the names of the tags, as a list or between separators, or one column of 0 and 1 a label."
        )
        raise ManyLabelError(f"{where}, column {shown(name)}", "tags", structure, hint)
    if separator is None:
        separator, told = found_separator(_used(stored))
    tags = sorted({tag for value in _tagged(stored, separator) for tag in split_cell(value, separator)})
    if not tags:
        hint = "Name the column that holds them with `labels`."
        raise ManyLabelError(f"{where}, column {shown(name)}", "a tag in some row", "none", hint)
    found = LabelColumns((name,), tuple(tags), separator)
    read = read_known_labels(columns, found, where, place)
    return found, TableLabels(read.known, read.unknown, (*filter(None, [told]), *_alike(tags), *read.told))


def known_label_columns(
    columns: dict[str, Codes], names: tuple[str, ...], where: str, place: Place
) -> LabelColumns:
    """Where the labels of a model stand in a file that it was not trained on, with their separator found out.

    Raises
    ------
    ManyLabelError
        If columns of 0 and 1 lack one of ``names``, or no tag is one of them.
    """
    found, _ = read_labels(columns, None, where, place)
    if found.separator is not None:
        stored = next(iter(columns.values()))
        separator = _separator(stored, names, found.separator, "")
        if not any(set(names) & set(split_cell(value, separator)) for value in _used(stored)):
            got = f"others, such as {shown(found.names[0])}"
            raise ManyLabelError(f"{where}, `labels`", f"tags of the model, such as {shown(names[0])}", got)
        return LabelColumns(found.columns, names, separator)
    absent = next((name for name in names if name not in columns), None)
    if absent is not None:
        hint = "Name all of them, or the column of the tags."
        got = f"those of {', '.join(map(shown, list(columns)[:5]))}"
        raise ManyLabelError(f"{where}, `labels`", f"the column of label {shown(absent)}", got, hint)
    return LabelColumns(names, names, None)


def read_known_labels(
    columns: dict[str, Codes], found: LabelColumns, where: str, place: Place
) -> TableLabels:
    """Labels of a file whose label columns are known; tags that are no label there are left out and told.

    Where the tags of this file are written in another way than those before, as lists of a typed file are, it is found
    out.
    """
    if found.separator is None:
        return _of_zero_one(columns, where, place)
    stored = columns[found.columns[0]]
    own, told = found_separator(_used(stored))
    separator = _separator(stored, found.names, found.separator, own)
    return _of_tags(stored, found.names, separator, [told] if separator != found.separator else [])


def _separator(stored: Codes, names: tuple[str, ...], *separators: str) -> str:
    """The one by which most rows hold labels alone, or else a label at all; the first of equal ones."""
    used, known = _used(stored), set(names)

    def rows(separator: str) -> tuple[int, int]:
        whole, some = 0, 0
        for value, n in used.items():
            tags = set(split_cell(value, separator))
            whole += n if tags and tags <= known else 0
            some += n if tags & known else 0
        return whole, some

    found = {separator: rows(separator) for separator in separators}
    kind = int(not any(whole for whole, _ in found.values()))
    return max(found, key=lambda separator: found[separator][kind])


def _of_tags(stored: Codes, names: tuple[str, ...], separator: str, told: list[str]) -> TableLabels:
    import scipy.sparse as sp

    number = {name: i for i, name in enumerate(names)}
    tagged, strange = set(_tagged(stored, separator)), Counter[str]()
    lists: list[list[int]] = []
    for value in stored.values:
        tags = split_cell(value, separator) if value in tagged else []
        strange.update(tag for tag in tags if tag not in number)
        lists.append(sorted({number[tag] for tag in tags if tag in number}))
    lists.append([])  # where there is no cell
    of_values = _csr(lists, len(number))
    nowhere = [v.strip() in UNKNOWN and v not in tagged for v in stored.values] + [True]
    unknown_rows = np.array(nowhere)[stored.codes]
    ones = sp.csr_matrix(unknown_rows[:, None].astype(np.uint8))
    unknown = (ones @ sp.csr_matrix(np.ones((1, len(number)), np.uint8))).tocsr()
    n = int(unknown_rows.sum())
    whose = f"{count(n, 'row')} are unknown: {'its cell says' if n == 1 else 'their cells say'}"
    told = [*told, *([f"The labels of {whose} NA or null."] if n else [])]
    if strange:
        left = ", ".join(shown(tag) for tag in list(strange)[:5])
        more = ", ..." if len(strange) > 5 else ""
        told.append(f"Tags that are no label of the model are left out: {left}{more}.")
    return TableLabels(of_values[stored.codes], unknown, tuple(told))


def _of_zero_one(columns: dict[str, Codes], where: str, place: Place) -> TableLabels:
    import scipy.sparse as sp

    read = {name: _zero_one(name, stored, where, place) for name, stored in columns.items()}
    dense = [*read.values()]
    known = sp.csr_matrix(np.stack([(column == 1).astype(np.uint8) for column in dense], axis=1))
    unknown = sp.csr_matrix(np.stack([(column < 0).astype(np.uint8) for column in dense], axis=1))
    told = [f"Label entries that are missing are unknown: {unknown.nnz}."] if unknown.nnz else []
    never_no = [
        shown(name) for name, column in read.items() if (column < 0).any() and not (column == 0).any()
    ]
    if never_no:
        more = ", ..." if len(never_no) > 5 else ""
        told.append(
            f"No row says no, only missing cells beside yes: {', '.join(never_no[:5])}{more}. "
            "Where an empty cell means no, write 0 there, or x for yes in the whole column."
        )
    return TableLabels(known, unknown, tuple(told))


def _zero_one(name: str, stored: Codes, where: str, place: Place) -> Any:
    """1, 0, or -1 for unknown; (n,) int8. In a column of x and empty cells alone, empty says no."""
    words = [value.strip().lower() for value in stored.values]
    only_x = {word for word in words if word} == {"x"}
    of_values = []
    for word, value in zip(words, stored.values, strict=True):
        unknown = word == "" or value.strip() in UNKNOWN
        of_values.append(
            1 if word in TRUE else 0 if word in FALSE or (only_x and not word) else -1 if unknown else 2
        )
    found = np.array([*of_values, -1], np.int8)[stored.codes]
    wrong = np.flatnonzero(found == 2)
    if len(wrong):
        got = shown(stored.values[stored.codes[wrong[0]]])
        expected = "0 or 1, true or false, yes or no, x or empty"
        hint = "Correct the cell; leave it empty if the label is unknown. A column of tags is named alone."
        raise ManyLabelError(f"{where}, {place(int(wrong[0]))}, column {shown(name)}", expected, got, hint)
    return found


def _csr(lists: list[list[int]], width: int) -> sp.csr_matrix:
    import scipy.sparse as sp

    offsets = np.concatenate([[0], np.cumsum([*map(len, lists)])]).astype(np.int64)
    columns = np.array([column for each in lists for column in each], np.int64)
    return sp.csr_matrix((np.ones(len(columns), np.uint8), columns, offsets), shape=(len(lists), width))


def _is_zero_one(stored: Codes) -> bool:
    words = {value.strip().lower() for value in _used(stored)} - {word.lower() for word in UNKNOWN}
    return words == {"yes", "no"} or (bool(words) and words <= {"0", "1", "0.0", "1.0", "true", "false"})


def _used(stored: Codes) -> dict[str, int]:
    """The distinct cells that say something, and how many rows have each."""
    counts = stored.counts().tolist()
    return {value: n for value, n in zip(stored.values, counts, strict=True) if n and value.strip()}


def _tagged(stored: Codes, separator: str) -> list[str]:
    """The distinct cells that hold tags: all but NA and the like, unless that is a tag among others somewhere."""
    used = _used(stored)
    lonely = {value for value in used if value.strip() in UNKNOWN}
    if lonely and separator:
        among = {tag for value in used if value not in lonely for tag in split_cell(value, separator)}
        lonely = {value for value in lonely if value.strip() not in among}
    return [value for value in used if value not in lonely]


def _alike(tags: list[str]) -> list[str]:
    """Tell of tags that differ in capitals alone."""
    by_lower: dict[str, list[str]] = {}
    for tag in tags:
        by_lower.setdefault(tag.lower(), []).append(tag)
    pairs = [" and ".join(map(shown, same)) for same in by_lower.values() if len(same) > 1]
    return (
        [f"Tags that differ in capitals alone are different labels: {', '.join(pairs[:5])}."] if pairs else []
    )


def _columns_instead(name: str, names: Sequence[str]) -> str:
    """A hint that names columns, or a pattern, that the table has."""
    if not _is_pattern(name):
        return did_you_mean(name, names, "Give the column of the tags, or those of 0 and 1.")
    heads = Counter(found[0] for found in map(_HEAD.match, names) if found)
    fitting = [f"{head}*" for head, n in heads.most_common(3) if n > 1]
    if fitting:
        return f"No column fits; patterns that fit several: {', '.join(fitting)}."
    return "No column fits: give the column of the tags, or the names of those of 0 and 1."


def _is_pattern(name: str) -> bool:
    return any(sign in name for sign in "*?[")
