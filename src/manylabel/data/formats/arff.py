"""Mulan's ARFF files: an ARFF table whose label columns are named by an XML file beside it.

Read here rather than by a general ARFF library, because every refusal must name the file and the line, rows
without a single stored value must not vanish, and `INTEGER` columns must not be rounded.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from manylabel.data.assembly import Part
from manylabel.errors import ManyLabelError

_ATTRIBUTE = re.compile(
    r"""@attribute\s+("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^\s{}%,]+)\s*(\{.*\}|\S+)\s*$""", re.I
)
_NUMERIC = ("numeric", "real", "integer")
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class ArffTable:
    """One ARFF file: its rows split into features and labels, both in the order of its columns."""

    part: Part
    feature_names: tuple[str, ...]
    label_names: tuple[str, ...]


@dataclass(frozen=True)
class _Attribute:
    name: str
    line: int
    omitted: float  # what a sparse row means by leaving the column out: NaN where that cannot be zero


def read_arff(path: Path, xml: Path) -> ArffTable:
    """Read a dense or sparse ARFF file with the label names of its XML file.

    Parameters
    ----------
    path : Path
        The table. All columns must be numeric, or nominal with numbers as values.
    xml : Path
        Mulan's list of label names; its order is ignored.

    Returns
    -------
    ArffTable
        Features as a float32 array, or CSR where the rows are sparse; labels as a uint8 array.

    Raises
    ------
    ManyLabelError
        Naming the file and line for anything that is not as it should be.
    """
    lines = _lines(path)
    attributes = _read_header(path, lines)
    is_label = _label_columns(path, attributes, read_label_names(xml), xml)
    rows = [(number, line) for number, line in lines if line and not line.startswith("%")]
    if not rows:
        raise ManyLabelError(str(path), "rows after @data", "none", "The file may have been cut off.")
    if rows[0][1].startswith("{"):
        X, Y = _read_sparse(path, attributes, rows, is_label)
    else:
        X, Y = _read_dense(path, attributes, rows, is_label)
    names = np.array([a.name for a in attributes], dtype=object)
    return ArffTable(Part(X, Y, str(path)), tuple(names[~is_label]), tuple(names[is_label]))


def read_label_names(xml: Path) -> tuple[str, ...]:
    """The label names of a Mulan XML file; those of a hierarchy are flattened."""
    from xml.etree import ElementTree

    try:
        root = ElementTree.parse(xml).getroot()
    except ElementTree.ParseError as error:
        raise ManyLabelError(f"{xml}, line {error.position[0]}", "well-formed XML", str(error)) from None
    except OSError as error:
        hint = "Mulan data need an XML file that names the label columns, beside the ARFF file."
        raise ManyLabelError(str(xml), "a readable XML file", error.strerror or str(error), hint) from None
    names = tuple(e.get("name", "") for e in root.iter() if e.tag.rpartition("}")[2] == "label")
    if not names or "" in names:
        got = f"{len(names)} labels" + (", some without a name" if names else "")
        raise ManyLabelError(str(xml), '<label name="..."/> elements', got)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ManyLabelError(str(xml), "every label once", f"{twice[0]!r} twice")
    return names


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines without surrounding blanks."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
    except UnicodeDecodeError as error:
        hint = "Convert the file to UTF-8."
        raise _refusal(path, number, "UTF-8 text", f"byte {error.object[error.start]:#04x}", hint) from None
    except OSError as error:
        raise ManyLabelError(str(path), "a readable ARFF file", error.strerror or str(error)) from None


def _refusal(path: Path, line: int, expected: str, got: str, hint: str = "") -> ManyLabelError:
    return ManyLabelError(f"{path}, line {line}", expected, got, hint)


def _read_header(path: Path, lines: Iterator[tuple[int, str]]) -> list[_Attribute]:
    attributes: dict[str, _Attribute] = {}
    number = 0
    for number, line in lines:
        word = line.split(None, 1)[0].lower() if line else "%"
        if word == "@data":
            break
        if word == "@attribute":
            attribute = _read_attribute(path, number, line)
            if attribute.name in attributes:
                got = f"{attribute.name!r} a second time (first on line {attributes[attribute.name].line})"
                raise _refusal(path, number, "every attribute once", got)
            attributes[attribute.name] = attribute
        elif word != "@relation" and not word.startswith("%"):
            raise _refusal(path, number, "@relation, @attribute or @data", repr(line[:60]))
    else:
        raise _refusal(path, number, "a line @data", "the end of the file", "The file may have been cut off.")
    if not attributes:
        raise _refusal(path, number, "@attribute lines before @data", "none")
    return list(attributes.values())


def _read_attribute(path: Path, number: int, line: str) -> _Attribute:
    match = _ATTRIBUTE.match(line)
    if match is None:
        raise _refusal(path, number, "@attribute NAME TYPE", repr(line[:60]))
    name, kind = match.groups()
    if name[0] in "\"'":
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    if kind.lower() in _NUMERIC:
        return _Attribute(name, number, 0.0)
    try:
        values = [float(value.strip(" \t\"'")) for value in kind.strip("{}").split(",")]
    except ValueError:
        hint = "Encode it as numbers (one 0/1 column per value) or leave it out."
        raise _refusal(path, number, f"attribute {name!r} to be numeric", repr(kind[:60]), hint) from None
    return _Attribute(name, number, 0.0 if values[0] == 0 else float("nan"))


def _label_columns(path: Path, attributes: list[_Attribute], labels: tuple[str, ...], xml: Path) -> Any:
    known = {a.name for a in attributes}
    missing = [name for name in labels if name not in known]
    if missing:
        got = f"no attribute {missing[0]!r}" + (f" (nor {len(missing) - 1} others)" if missing[1:] else "")
        hint = "Is it the XML file of this table?"
        raise ManyLabelError(str(path), f"an attribute for every label of {xml.name}", got, hint)
    chosen = set(labels)
    is_label = np.array([a.name in chosen for a in attributes])
    if is_label.all():
        raise ManyLabelError(str(path), "features beside the labels", f"only the label columns of {xml.name}")
    return is_label


def _read_dense(
    path: Path, attributes: list[_Attribute], rows: list[tuple[int, str]], is_label: Any
) -> tuple[Any, Any]:
    values = np.empty((len(rows), len(attributes)))
    for i, (number, line) in enumerate(rows):
        tokens = line.split(",")
        if len(tokens) != len(attributes):
            hint = "The file may have been cut off." if i + 1 == len(rows) else ""
            raise _refusal(path, number, f"{len(attributes)} values", str(len(tokens)), hint)
        try:
            values[i] = tokens
        except ValueError:  # a quoted, missing or broken value
            values[i] = [_number(path, number, a, t) for a, t in zip(attributes, tokens, strict=True)]
    row, column = np.nonzero(~(np.abs(values) <= _LARGEST) | (is_label & (values != 0) & (values != 1)))
    if len(row):
        raise _bad_value(path, rows[row[0]][0], attributes[column[0]], values[row[0], column[0]])
    return values[:, ~is_label].astype(np.float32), values[:, is_label].astype(np.uint8)


def _read_sparse(
    path: Path, attributes: list[_Attribute], rows: list[tuple[int, str]], is_label: Any
) -> tuple[Any, Any]:
    import scipy.sparse as sp

    for attribute in attributes:
        if np.isnan(attribute.omitted):
            hint = "A sparse row leaves the first value out, which must be 0."
            raise _refusal(path, attribute.line, f"{attribute.name!r} to list 0 first", "another value", hint)
    lengths: list[int] = [0]
    columns: list[int] = []
    values: list[float] = []
    for number, line in rows:
        row = _read_sparse_row(path, number, line, attributes)
        lengths.append(len(row))
        columns.extend(row.keys())
        values.extend(row.values())
        for column, value in row.items():
            if not abs(value) <= _LARGEST or (is_label[column] and value not in (0, 1)):
                raise _bad_value(path, number, attributes[column], value)
    shape = len(rows), len(attributes)
    table = sp.csr_matrix((np.array(values, dtype=np.float32), columns, np.cumsum(lengths)), shape=shape)
    table.eliminate_zeros()
    table.sort_indices()
    return table[:, np.flatnonzero(~is_label)], table[:, np.flatnonzero(is_label)].toarray().astype(np.uint8)


def _read_sparse_row(path: Path, number: int, line: str, attributes: list[_Attribute]) -> dict[int, float]:
    """``{column value, column value, ...}``."""
    if not (line.startswith("{") and line.endswith("}")):
        hint = "The file may have been cut off."
        raise _refusal(path, number, "a sparse row {column value, ...}", repr(line[:60]), hint)
    row: dict[int, float] = {}
    for entry in line[1:-1].split(",") if line[1:-1].strip() else ():
        column, _, value = entry.strip().partition(" ")
        if not column.isdecimal() or int(column) >= len(attributes):
            raise _refusal(path, number, f"a column from 0 to {len(attributes) - 1}", repr(column))
        if int(column) in row:
            raise _refusal(path, number, "every column once", f"column {column} twice")
        row[int(column)] = _number(path, number, attributes[int(column)], value)
    return row


def _number(path: Path, line: int, attribute: _Attribute, token: str) -> float:
    token = token.strip(" \t\"'")
    try:
        return float("nan") if token == "?" else float(token)
    except ValueError:
        raise _refusal(path, line, f"a number for {attribute.name!r}", repr(token)) from None


def _bad_value(path: Path, line: int, attribute: _Attribute, value: float) -> ManyLabelError:
    if not abs(value) <= _LARGEST:
        got = "a missing value" if np.isnan(value) else f"{value:g}"
        hint = "Fill it in, or leave the row or the column out."
        return _refusal(path, line, f"a finite number for {attribute.name!r}", got, hint)
    return _refusal(path, line, f"label {attribute.name!r} to be 0 or 1", f"{value:g}")
