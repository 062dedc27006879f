"""Sparse text that stays on disk: one pass finds where each row begins and takes its labels, rows are decoded later."""

from __future__ import annotations

import io
import os
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from manylabel.data.formats.border import border
from manylabel.data.formats.parts import PACKED
from manylabel.data.formats.sparse_text import (
    MOST_FEATURES,
    Line,
    SparseText,
    is_comment,
    read_sparse_text,
)
from manylabel.data.rows import SparseParts
from manylabel.data.rows.sparse import ColumnSpread, canonical
from manylabel.errors import ManyLabelError

_LINES = 4096  # that are decoded together in the first pass

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class LinesPart:
    """The features of the rows of a file of sparse text.

    Attributes
    ----------
    path : Path
    shape : (n, n_features)
    dtype : NumPy type
    offsets : (n + 1,) int64 array
        The byte at which each row begins, and the end of the last.
    ends : (n + 1,) int64 array
        How many entries all rows before each have, and all rows.
    first : int
        The number of the first feature in the file.
    labelled : bool
        Whether a row may start with labels.
    version : (int, int)
        Time of change and size of the file: rows of another are not taken for its own.
    """

    path: Path
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    offsets: Array
    ends: Array
    first: int
    labelled: bool
    version: tuple[int, int]

    def read(self, start: int, stop: int) -> Any:
        """Consecutive rows, a CSR matrix (stop - start, n_features).

        Raises
        ------
        ManyLabelError
            If the file has changed since it was opened.
        """
        begin, end = int(self.offsets[start]), int(self.offsets[stop])
        with border(self.path, f"rows {start} to {stop - 1}"), self.path.open("rb") as file:
            file.seek(begin)
            lines = io.BytesIO(file.read(end - begin))
            check_version(self.path, file.fileno(), self.version)
        rows = read_sparse_text(self.path, enumerate(lines, 1), labelled=self.labelled)
        return canonical(rows.features(self.shape[1], self.first), self.dtype, str(self.path))


@dataclass
class SparseLines(SparseText):
    """The labels of the rows of a file, and where their features stand in it; build it with :func:`index_lines`.

    Attributes
    ----------
    offsets : array of int
        The byte at which each row begins, and the end of the last.
    spread : ColumnSpread or None
        Of the values, which tells whether float32 holds them.
    labelled : bool
    version : (int, int)
    """

    offsets: array[int] = field(default_factory=lambda: array("q"))
    spread: ColumnSpread | None = None
    labelled: bool = True
    version: tuple[int, int] = (0, 0)

    def features(self, width: int, first: int = 0) -> Any:
        """The features of all rows, on disk; ``first`` is the number of the first feature in the file."""
        blurs = self.spread is not None and len(self.spread.blurred())
        dtype = np.dtype(np.float64 if blurs else np.float32)
        offsets, ends = (np.frombuffer(numbers, dtype=np.int64) for numbers in (self.offsets, self.ends))
        shape = len(self), width
        part = LinesPart(self.path, shape, dtype, offsets, ends, first, self.labelled, self.version)
        return SparseParts([part])

    def extend(self, rows: SparseText) -> None:
        """Append the labels of rows, and how many entries they have."""
        X = rows.features(rows.columns_to)
        spread = ColumnSpread.of(X)
        self.spread = spread if self.spread is None else self.spread.with_others(spread)
        X.eliminate_zeros()
        self.least, self.columns_to = min(self.least, rows.least), max(self.columns_to, rows.columns_to)
        entries, labels = self.ends[-1], self.label_ends[-1]
        self.ends.extend((X.indptr[1:] + entries).tolist())
        self.labels.extend(rows.labels)
        self.label_ends.extend(end + labels for end in rows.label_ends[1:])
        self.blank, self.queries = self.blank + rows.blank, self.queries + rows.queries


def index_lines(
    path: Path,
    lines: Iterable[Line],
    n_features: int = MOST_FEATURES,
    n_labels: int | None = None,
    labelled: bool = True,
    *,
    start: int = 0,
) -> SparseLines:
    """Read every row once, as :func:`read_sparse_text` does, and keep its labels and where it begins.

    Parameters
    ----------
    path, lines, n_features, n_labels, labelled
        As :func:`read_sparse_text` takes them.
    start : int, default 0
        The byte at which the lines begin.

    Raises
    ------
    ManyLabelError
        Naming the line of anything that is not as it should be; for a packed file, and one that changes meanwhile.
    """
    if path.suffix.lower() == PACKED:
        hint = "Unpack it (gunzip) and give the unpacked one, or read it into memory."
        raise ManyLabelError(
            str(path), "an unpacked file, of which rows are read from disk", "a packed one", hint
        )
    found = SparseLines(path, labelled=labelled, version=version_of(path))
    rows = _located(lines, found.offsets, start)
    while block := list(islice(rows, _LINES)):
        found.extend(read_sparse_text(path, block, n_features, n_labels, labelled))
    with border(path, "a file that stays as it is"), path.open("rb") as file:
        check_version(path, file.fileno(), found.version)
    return found


def _located(lines: Iterable[Line], offsets: array[int], start: int) -> Iterator[Line]:
    """The lines that are rows; the byte at which each begins, and at last the end, is appended to ``offsets``."""
    for number, line in lines:
        if not is_comment(line):
            offsets.append(start)
            yield number, line
        start += len(line)
    offsets.append(start)


def version_of(place: Path | int) -> tuple[int, int]:
    """Time of change and size of a file."""
    found = os.stat(place)
    return found.st_mtime_ns, found.st_size


def check_version(path: Path, number: int, version: tuple[int, int]) -> None:
    """Refuse an open file that is not the one whose rows were found."""
    if version_of(number) != version:
        hint = "Open it again; rows on disk need files that stay as they are."
        raise ManyLabelError(str(path), "the file as it was when it was opened", "one that has changed", hint)
