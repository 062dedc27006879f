"""The rows of an ARFF file: dense or sparse, quick where they are plain and careful where they are not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, NoReturn

import numpy as np

from manylabel.data.formats.arff_columns import LARGEST, Columns
from manylabel.data.formats.arff_header import as_number, refusal, unescaped
from manylabel.data.formats.border import shown
from manylabel.data.rows import sparse, vectors
from manylabel.errors import ManyLabelError

_BLOCK = 1 << 19  # numbers that are read before they are checked and narrowed
_MANY_LABELS = 1 << 26  # cells of a label table that stays sparse beyond
_TEXT = r""" "(?:\\.|[^"\\])*+" | '(?:\\.|[^'\\])*+' """
_CODE = re.compile(rf"(?:{_TEXT}|\\.|[^%])*+", re.X)  # up to an unquoted %
_SPARSE = re.compile(rf"\{{((?:{_TEXT}|\\.|[^}}])*+)\}}\s*+(?:,?+\s*+\{{([^{{}}]*+)\}})?+\s*+$", re.X)
_PIECE = re.compile(rf"\s*+((?:{_TEXT})(?=\s*+(?:,|$))|(?:\\.|[^,])*+)\s*+(,|$)", re.X)
_WORD = re.compile(rf"\s*+((?:{_TEXT})(?=[\s,]|$)|(?:\\.|[^\s,])*+)(\s*+,|\s++|$)", re.X)
_ENTRY = re.compile(rf"((?:{_TEXT}|\\.|[^,])*+)(,|$)", re.X)
_BETWEEN = re.compile(r"\s*+,\s*+|\s++")

Line = tuple[int, str]


@dataclass
class ArffRows:
    """The lines after ``@data``, and how many of them carried an instance weight.

    Labels that are ``?`` are taken where rows may be ``unlabelled``.
    """

    columns: Columns
    lines: Iterator[Line]
    weights: int = 0
    unlabelled: bool = False
    last: bool = field(default=False, init=False)

    def block(self, size: int) -> list[Line]:
        """The next lines, without comments that stand alone."""
        found = list(islice(self.lines, size))
        if len(found) == size:  # look ahead, to know the last line of the file
            after = next(self.lines, None)
            self.last = after is None
            self.lines = chain(() if after is None else (after,), self.lines)
        else:
            self.last = True
        return found

    def refuse(
        self, line: int, expected: str, got: str, hint: str = "", column: int | None = None
    ) -> NoReturn:
        """Raise the error for a line and, counted from 0, a column."""
        raise refusal(self.columns.path, line, expected, got, hint, column)

    def weigh(self, line: int, weight: str | None) -> None:
        """Count an instance weight; nothing here trains on it."""
        if weight is None:
            return
        if as_number(weight.strip()) is None:
            self.refuse(line, "an instance weight {number} behind the row", shown("{" + weight + "}"))
        self.weights += 1

    def value(self, line: int, j: int, token: str) -> float:
        """A token as the number that its column makes of it."""
        token = token.strip()
        if len(token) > 1 and token[0] == token[-1] and token[0] in "\"'":
            token = token[1:-1].strip()
        token = unescaped(token)
        column = self.columns.columns[j]
        if token == "?":
            empty = column.attribute.is_text or (column.is_label and self.unlabelled)
            return 0.0 if empty else float("nan")  # a text that is missing is empty
        if column.codes is None:
            number = as_number(token)
            if number is None:
                expected = f"a number for {shown(column.attribute.name)}"
                self.refuse(line, expected, shown(token), self._hint(token), j)
            return number
        if token not in column.codes:
            told = shown("{" + ",".join(column.codes) + "}")
            self.refuse(
                line, f"one of the values {told} of {shown(column.attribute.name)}", shown(token), column=j
            )
        return column.codes[token]

    @staticmethod
    def _hint(token: str) -> str:
        if token.startswith("{"):
            return "The first row is dense: write all rows in one form."
        return "Numbers are written in the digits 0 to 9, without underscores." if token else ""

    def bad_value(self, line: int, j: int, value: float) -> NoReturn:
        """Raise the error for a number that may not stand in its column."""
        column = self.columns.columns[j]
        name = shown(column.attribute.name)
        if not abs(value) <= LARGEST:
            got = "a missing value" if np.isnan(value) else f"{value:g}"
            hint = "Fill it in, or leave the row or the column out."
            self.refuse(line, f"a finite number for {name}", got, hint, j)
        if column.is_label and value not in (0, 1):
            hint = "Write other codes as 0 and 1, and more than two classes as one 0/1 column each."
            self.refuse(line, f"label {name} to be 0 or 1", f"{value:g}", hint, j)
        listed = "{" + ",".join(column.attribute.values or ()) + "}"
        self.refuse(line, f"one of the values {shown(listed)} of {name}", f"{value:g}", column=j)


def read_rows(rows: ArffRows) -> tuple[Any, Any]:
    """Read the rows of a table.

    Returns
    -------
    X : array, or CSR where the rows are sparse
        One column for each feature; categories as their positions. Float32, or float64 where that might blur a column.
    Y : uint8 array

    Raises
    ------
    ManyLabelError
        Naming the line and column of anything that is not as it should be.
    """
    first = next(rows.lines, None)
    if first is None:
        hint = "The file may have been cut off."
        raise ManyLabelError(str(rows.columns.path), "rows after @data", "none", hint)
    rows.lines = chain([first], rows.lines)
    return _read_sparse(rows) if first[1].startswith("{") else _read_dense(rows)


def _read_dense(rows: ArffRows) -> tuple[Any, Any]:
    columns, m = rows.columns, len(rows.columns)
    X, Y, every = [], [], np.arange(m)
    while block := rows.block(
        max(1, _BLOCK // m)
    ):  # no more memory at once than a block takes, whatever the header
        values = np.empty((len(block), m))
        for i, (number, line) in enumerate(block):
            try:
                values[i] = _quick_row(line, columns)
            except ValueError:  # a quoted, missing or broken value, a comment, another separator
                values[i] = _careful_row(rows, number, line, rows.last and i + 1 == len(block))
        wrong, at = np.nonzero(columns.check(values, every))
        if len(wrong):
            rows.bad_value(block[wrong[0]][0], int(at[0]), values[wrong[0], at[0]])
        columns.recode(values, every)
        X.append(vectors.narrowed(values[:, ~columns.is_label]))
        Y.append(values[:, columns.is_label].astype(np.uint8))
    return np.concatenate(X), np.concatenate(Y)


def _quick_row(line: str, columns: Columns) -> list[Any]:
    """The tokens of a plain row, which NumPy turns into numbers; a ValueError for any other."""
    tokens: list[Any] = line.split(",") if "," in line else line.split()
    if len(tokens) != len(columns):
        raise ValueError
    for j, codes in columns.words.items():
        tokens[j] = codes.get(tokens[j].strip(), "?")
    if "_" in line or not line.isascii():  # float() would take 1_0 and digits of any script
        numbers = "".join(token for token in tokens if isinstance(token, str))
        if "_" in numbers or not numbers.isascii():
            raise ValueError
    return tokens


def _careful_row(rows: ArffRows, number: int, line: str, last: bool) -> list[float]:
    m = len(rows.columns)
    body, weight = _weighted(_code(line))
    tokens = _tokens(body, m)
    if len(tokens) != m:
        hint = "The file may have been cut off." if last and len(tokens) < m else ""
        if len(tokens) == 1 and ";" in body:
            hint = "Values stand between commas, tabs or blanks."
        rows.refuse(number, f"{m} values", str(len(tokens)), hint)
    values = [rows.value(number, j, token) for j, token in enumerate(tokens)]
    rows.weigh(number, weight)
    return values


def _code(line: str) -> str:
    """The line without a comment at its end."""
    found = _CODE.match(line) if "%" in line else None
    return found[0].rstrip() if found else line


def _weighted(body: str) -> tuple[str, str | None]:
    """A dense row, and the instance weight behind it: ``1,2,{0.5}``."""
    cut = body.rfind("{") if body.endswith("}") else 0
    if cut <= 0:
        return body, None
    return body[:cut].rstrip().removesuffix(",").rstrip(), body[cut + 1 : -1]


def _tokens(body: str, m: int) -> list[str]:
    """Values between commas; where those are not ``m``, between commas, tabs and blanks."""
    quoted = "'" in body or '"' in body
    tokens = _apart(_PIECE, body) if quoted else body.split(",")
    if len(tokens) != m:
        apart = _apart(_WORD, body) if quoted else _BETWEEN.split(body)
        tokens = apart if len(apart) == m else tokens if "," in body else apart
    return tokens


def _apart(pattern: re.Pattern[str], text: str) -> list[str]:
    """Pieces with their quotes; a separator inside quotes separates nothing."""
    pieces = []
    for found in pattern.finditer(text):
        pieces.append(found[1])
        if not found[2]:
            break
    return pieces


def _read_sparse(rows: ArffRows) -> tuple[Any, Any]:
    import scipy.sparse as sp

    columns, m = rows.columns, len(rows.columns)
    for j, column in enumerate(columns.columns):
        if not column.omitted_is_zero:
            hint = "A sparse row leaves the first value out, which must be the one that stands for 0."
            expected = f"{shown(column.attribute.name)} to list 0 first"
            rows.refuse(column.attribute.line, expected, "another value", hint, j)
    blocks = []
    while block := rows.block(1 << 12):
        blocks.append(_sparse_block(rows, block))
    data, at, lengths = (np.concatenate([block[i] for block in blocks]) for i in range(3))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    table = sp.csr_matrix((data, at, offsets), shape=(len(lengths), m))
    table.eliminate_zeros()
    table.sort_indices()
    X, Y = table[:, np.flatnonzero(~columns.is_label)], table[:, np.flatnonzero(columns.is_label)]
    X = sparse.narrowed(X)
    return X, Y if Y.shape[0] * Y.shape[1] > _MANY_LABELS else Y.toarray().astype(np.uint8)


def _sparse_block(rows: ArffRows, block: list[Line]) -> tuple[Any, Any, Any]:
    """Values, their columns, and how many of them each row has."""
    lengths: list[int] = []
    columns: list[int] = []
    values: list[float] = []
    for i, (number, line) in enumerate(block):
        try:
            at, row = _quick_sparse_row(line, rows.columns)
        except (ValueError, KeyError):
            at, row = _careful_sparse_row(rows, number, line, rows.last and i + 1 == len(block))
        lengths.append(len(row))
        columns += at
        values += row
    data, where = np.array(values, dtype=np.float64), np.array(columns, dtype=np.int64)
    wrong = np.flatnonzero(rows.columns.check(data, where))
    if len(wrong):
        first = int(wrong[0])
        i = int(np.searchsorted(np.cumsum(lengths), first, side="right"))
        rows.bad_value(block[i][0], int(where[first]), float(data[first]))
    rows.columns.recode(data, where)
    return data, where, np.array(lengths, dtype=np.int64)


def _quick_sparse_row(line: str, columns: Columns) -> tuple[list[int], list[float]]:
    """Columns and values of a plain row ``{0 1.5,3 1}``; a ValueError for any other."""
    if line == "{}":
        return [], []
    if line[0] != "{" or line[-1] != "}" or "_" in line or not line.isascii() or columns.strings:
        raise ValueError
    entries = dict(map(str.split, line[1:-1].split(",")))
    at = list(map(int, entries))
    if min(at) < 0 or max(at) >= len(columns) or len(set(at)) <= line.count(","):
        raise ValueError
    if not columns.words:
        return at, list(map(float, entries.values()))
    words, number = columns.words, float
    return at, [
        words[j][value] if j in words else number(value)
        for j, value in zip(at, entries.values(), strict=True)
    ]


def _careful_sparse_row(rows: ArffRows, number: int, line: str, last: bool) -> tuple[list[int], list[float]]:
    """Any row ``{column value, column value, ...}``, with a weight or a comment behind it."""
    found = _SPARSE.match(_code(line))
    if found is None:
        hint = "The file may have been cut off." if last and line.startswith("{") and "}" not in line else ""
        rows.refuse(number, "a sparse row {column value, ...}", shown(line), hint)
    m = len(rows.columns)
    row: dict[int, float] = {}
    for entry in _apart(_ENTRY, found[1]) if found[1].strip() else ():
        at, value = (*entry.split(None, 1), "", "")[:2]
        j = int(at) if at.isascii() and at.isdecimal() and len(at) < 10 else m
        if j >= m:
            rows.refuse(number, f"a column from 0 to {m - 1}", shown(at))
        if j in row:
            rows.refuse(number, "every column once", f"column {j} twice")
        row[j] = rows.value(number, j, value)
    rows.weigh(number, found[2])
    return list(row), list(row.values())
