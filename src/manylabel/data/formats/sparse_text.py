"""Rows of sparse text, ``label,label index:value index:value``: what svmlight and XMC files have in common."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from manylabel.data.formats.border import border, open_text, shown
from manylabel.data.rows.precision import LARGEST
from manylabel.errors import ManyLabelError

MOST_FEATURES = 2**31 - 1  # what SciPy indexes
MOST_LABELS = 2**22  # more than any public data set has
_PAIRS = re.compile(rb"\s*+(?:[0-9]{1,10}+:[-+.0-9eE]++(?:\s++|$))*+")
_QUERY = re.compile(rb"\s*+qid:[0-9]++(?=\s|$)")
_DENSE_SHARE = 0.5  # of the entries stored: beyond, an array is smaller than a sparse matrix
_DENSE_CELLS = 1 << 26
_MOST_TOLD = 5  # labels in a remark

Line = tuple[int, bytes]


@dataclass
class SparseText:
    """The rows of one file as numbers, as they stand there.

    Attributes
    ----------
    path : Path
    columns, values, ends : arrays
        Feature numbers and values of all rows, one behind the other, and where each row ends.
    labels, label_ends : arrays
        The same for label numbers.
    blank, queries : int
        Rows without anything, and rows with a ``qid``.
    least, columns_to : int
        The lowest feature number that occurs, and one more than the highest.
    """

    path: Path
    columns: array[int] = field(default_factory=lambda: array("i"))
    values: array[float] = field(default_factory=lambda: array("d"))
    ends: array[int] = field(default_factory=lambda: array("q", [0]))
    labels: array[int] = field(default_factory=lambda: array("q"))
    label_ends: array[int] = field(default_factory=lambda: array("q", [0]))
    blank: int = 0
    queries: int = 0
    least: int = MOST_FEATURES
    columns_to: int = 0

    def __len__(self) -> int:
        return len(self.ends) - 1

    def add(self, labels: list[int], columns: list[int], values: list[float]) -> None:
        """Append a row."""
        self.blank += not labels and not columns
        if columns:
            self.least = min(self.least, *columns)
            self.columns_to = max(self.columns_to, 1 + max(columns))
        self.columns.extend(columns)
        self.values.extend(values)
        self.ends.append(len(self.columns))
        self.labels.extend(sorted(set(labels)))
        self.label_ends.append(len(self.labels))

    def features(self, width: int, first: int = 0) -> Any:
        """A CSR matrix (n, width); ``first`` is the number of the first feature in the file."""
        import scipy.sparse as sp

        columns = np.frombuffer(self.columns, dtype=np.int32)
        parts = (
            np.frombuffer(self.values),
            columns - np.int32(first) if first else columns,
            _offsets(self.ends),
        )
        return sp.csr_matrix(parts, shape=(len(self), width))

    def label_matrix(self, numbers: np.ndarray[Any, Any]) -> Any:
        """A 0/1 CSR matrix (n, len(numbers)), whose columns are these label numbers, ascending; others are left out."""
        labels = np.frombuffer(self.labels, dtype=np.int64)
        at = np.searchsorted(numbers, labels).clip(max=len(numbers) - 1)
        return zero_one(np.where(numbers[at] == labels, at, -1), _offsets(self.label_ends), len(numbers))


def zero_one(columns: np.ndarray[Any, Any], ends: np.ndarray[Any, Any], width: int) -> Any:
    """A 0/1 CSR matrix (n, width) of the columns of all rows, one behind the other; -1 is none."""
    import scipy.sparse as sp

    known = columns >= 0
    offsets = np.concatenate([[0], np.cumsum(known)])[ends]
    entries = np.ones(int(known.sum()), dtype=np.uint8), columns[known], offsets
    return sp.csr_matrix(entries, shape=(len(ends) - 1, width))


def left_out(names: Sequence[str]) -> str:
    """What to tell of labels that a model does not know."""
    more = ", ..." if len(names) > _MOST_TOLD else ""
    return (
        f"Labels that are none of the model are left out: {', '.join(map(shown, names[:_MOST_TOLD]))}{more}."
    )


def _offsets(ends: array[int]) -> np.ndarray[Any, Any]:
    return np.frombuffer(ends, dtype=np.int64)


def numbered_lines(path: Path, expected: str) -> Iterator[Line]:
    """Lines with their numbers, from 1, as bytes; a packed file is unpacked up to a limit."""
    with border(path, expected), open_text(path) as file:
        yield from enumerate(file, start=1)


def read_sparse_text(
    path: Path,
    lines: Iterable[Line],
    n_features: int = MOST_FEATURES,
    n_labels: int | None = None,
    labelled: bool = True,
) -> SparseText:
    """Read rows.

    Parameters
    ----------
    path : Path
        For messages.
    lines : iterable of (number, bytes)
        A line that holds a comment alone (``#``) is no row; a blank one is a row without labels and features.
    n_features, n_labels : int
        Numbers from 0 to below them are taken; ``n_labels=None`` takes any.
    labelled : bool, default True
        Whether a row may start with labels.

    Raises
    ------
    ManyLabelError
        Naming the line of anything that is not as it should be.
    """
    rows = SparseText(path)
    for number, line in lines:
        if is_comment(line):
            continue
        body = line.partition(b"#")[0]
        labels, pairs = _labels(path, number, body, n_labels) if labelled else ([], body)
        query = _QUERY.match(pairs)
        if query:
            rows.queries += 1
            pairs = pairs[query.end() :]
        rows.add(labels, *_features(path, number, pairs, n_features))
    return rows


def is_comment(line: bytes) -> bool:
    """Whether a line holds a comment alone, and so is no row."""
    body, comment, _ = line.partition(b"#")
    return bool(comment) and not body.strip()


def _labels(path: Path, number: int, body: bytes, n_labels: int | None) -> tuple[list[int], bytes]:
    """The label numbers that a row starts with, and what stands behind them."""
    first = body.split(None, 1)[0] if body and not body[:1].isspace() else b""
    if not first or b":" in first:
        return [], body
    where = f"{path}, line {number}"
    labels = []
    for word in first.split(b","):
        label = _whole(word)
        if label is None:
            hint = "A row is LABEL,LABEL INDEX:VALUE INDEX:VALUE; one without labels starts with a blank."
            raise ManyLabelError(where, "label numbers, comma-separated", shown(_text(first)), hint)
        if n_labels is not None and not 0 <= label < n_labels:
            raise ManyLabelError(where, f"labels from 0 to {n_labels - 1}", f"{label}")
        labels.append(label)
    return labels, body[len(first) :]


def _features(path: Path, number: int, pairs: bytes, width: int) -> tuple[list[int], list[float]]:
    where = f"{path}, line {number}"
    if _PAIRS.fullmatch(pairs) is None:
        raise _bad_pair(where, pairs)
    flat = pairs.replace(b":", b" ").split()
    columns = list(map(int, flat[::2]))
    try:
        values = list(map(float, flat[1::2]))
    except ValueError:
        raise _bad_pair(where, pairs) from None
    if not columns:
        return columns, values
    if max(columns) >= width:
        raise ManyLabelError(where, f"feature numbers from 0 to {width - 1}", f"{max(columns)}")
    if len(set(columns)) < len(columns):
        twice = next(j for j in columns if columns.count(j) > 1)
        raise ManyLabelError(where, "every feature once", f"feature {twice} twice")
    if max(values) > LARGEST or min(values) < -LARGEST:
        raise ManyLabelError(where, "numbers below 3.4e38", f"{max(values, key=abs):g}")
    return columns, values


def _bad_pair(where: str, pairs: bytes) -> ManyLabelError:
    """The refusal of the first thing in a row that is no ``index:value``."""
    for pair in pairs.split():
        index, _, value = pair.partition(b":")
        if not (index.isdigit() and len(index) < 11 and _is_number(value)):
            return ManyLabelError(where, "INDEX:VALUE, both numbers", shown(_text(pair)))
    return ManyLabelError(where, "INDEX:VALUE pairs between blanks", shown(_text(pairs)))


def _is_number(text: bytes) -> bool:
    if not re.fullmatch(rb"[-+.0-9eE]++", text):
        return False
    try:
        float(text)
    except ValueError:
        return False
    return True


def _whole(word: bytes) -> int | None:
    """The number of a label; tools that know only numbers with a point write 3 as 3.0."""
    if not re.fullmatch(rb"[-+]?+[0-9]{1,15}+(?:\.0*+)?+", word):
        return None
    return int(word.partition(b".")[0])


def _text(piece: bytes) -> str:
    return piece[:200].decode(errors="replace")


def compact(*parts: Any) -> tuple[Any, ...]:
    """CSR matrices of one width as they are, or as arrays where most of their entries are stored."""
    cells = sum(X.shape[0] * X.shape[1] for X in parts)
    if cells > _DENSE_CELLS or sum(X.nnz for X in parts) <= _DENSE_SHARE * cells:
        return parts
    return tuple(X.toarray() for X in parts)
