"""Sparse rows in Parquet, as Spark and Hugging Face's datasets write them: read by row groups, or left on disk."""

from __future__ import annotations

import dataclasses
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from manylabel.data.build import About, Like, Part, assemble
from manylabel.data.dataset import DataSet
from manylabel.data.formats.arrow import PARQUET, parquet_parts
from manylabel.data.formats.border import border
from manylabel.data.formats.options import OpenSparseOptions
from manylabel.data.formats.parts import PACKED, remark_if_alone, train_and_test
from manylabel.data.formats.sparse_columns import LabelLists, SparseColumns, holds_sparse_rows, label_matrices
from manylabel.data.formats.sparse_lines import check_version, version_of
from manylabel.data.formats.sparse_text import compact, left_out
from manylabel.data.rows import SparseParts
from manylabel.data.rows.sparse import ColumnSpread, canonical
from manylabel.errors import ManyLabelError, missing_extra

_ROWS = 2048  # that are decoded together
_WHAT = "a whole Parquet file of sparse rows"
_LARGE = 1 << 27  # bytes of the entries of a row group, which is read for any row of it

Array = np.ndarray[Any, Any]


def is_sparse_parquet(path: Path) -> bool:
    """Whether a file, or a folder that is named as one, is of Parquet with the columns of sparse rows."""
    if path.suffix.lower() == PACKED or (path.is_dir() and path.suffix.lower() not in PARQUET):
        return False
    try:
        import pyarrow.parquet as pq

        return holds_sparse_rows(pq.read_schema(_files(path)[0]))
    except Exception:  # no pyarrow, or no such file: whoever reads it says so
        return False


def read_sparse_parquet(path: Path, about: About) -> DataSet:
    """Read a file or a folder of parts, or the training and test file of a data set.

    Parameters
    ----------
    path : Path
        One of `NAME-train.parquet` and `NAME-test.parquet`, or a file without a split: lists ``indices`` and
        ``values`` in two columns, or in a column of structs (a vector of Spark), and a column of lists of labels, which
        rows to be predicted need not have.
    about : About

    Raises
    ------
    ManyLabelError
        Naming the file, row group and row of anything that is not as it should be.

    Notes
    -----
    Features are counted from 0. There is a label for each number or text that occurs, or for each name that Hugging
    Face's datasets keep of the numbers.
    """
    train_path, test_path = train_and_test(path)
    paths = [train_path] if test_path is None else [train_path, test_path]
    options = OpenSparseOptions.of(about)
    on_disk = options.on_disk
    tables = [[_read(file, not on_disk, about.like) for file in _files(p)] for p in paths]
    files = [file for table in tables for file in table]
    for p, table in zip(paths, tables, strict=True):
        if not any(file.n_rows for file in table):
            raise ManyLabelError(str(p), "at least one row", "none")
    width = _width(files, options.width(about))
    like, lists = about.like, [file.labels for file in files]
    wanted = like.columns if like.unlabelled else like.label_names
    names, labels, others = label_matrices(lists, files[0].columns.names, str(train_path), wanted)
    label_of = dict(zip(files, labels, strict=True))
    if on_disk:
        features: Any = [SparseParts([file.on_disk(width) for file in table]) for table in tables]
    else:
        features = compact(*(_below([file.matrix(width) for file in table]) for table in tables))
    parts = [
        Part(X, _below([label_of[file] for file in table]), str(p))
        for X, table, p in zip(features, tables, paths, strict=True)
    ]
    told = dict.fromkeys(note for file in files for note in file.notes(on_disk))
    others = [left_out(others)] if others else []
    remarks = (*about.remarks, *remark_if_alone(train_path, test_path), *others, *told)
    return assemble(dataclasses.replace(about, remarks=remarks), *parts, label_names=names)


def _files(path: Path) -> list[Path]:
    """The file, or those of a folder."""
    return parquet_parts(path) if path.is_dir() else [path]


def _width(files: Sequence[SparseFile], asked: int | None) -> int:
    """How many features rows have: as many as were asked for, or as the widest row shows."""
    widest = max(files, key=lambda file: file.width)
    if asked is not None and widest.width > asked:
        hint = "Use the features of the training rows."
        raise ManyLabelError(str(widest.path), f"at most {asked} features", f"{widest.width}", hint)
    return asked or widest.width


def _below(matrices: Sequence[Any]) -> Any:
    """CSR matrices one below the other."""
    import scipy.sparse as sp

    return matrices[0] if len(matrices) == 1 else sp.vstack(matrices, format="csr")


@dataclass(eq=False)
class SparseFile:
    """What one reading of a file tells; the entries themselves where they are kept.

    Attributes
    ----------
    path : Path
    columns : SparseColumns
    others : tuple of str
        Columns that are not read.
    ends : array of int
        Entries of all rows before each, and of all; those that are 0 count where entries are kept.
    groups : list of int
        Where each row group begins, and the end of the last.
    width : int
        One more than the highest index.
    """

    path: Path
    columns: SparseColumns
    others: tuple[str, ...]
    version: tuple[int, int]
    labels: LabelLists = field(default_factory=LabelLists)
    ends: array[int] = field(default_factory=lambda: array("q", [0]))
    groups: list[int] = field(default_factory=lambda: [0])
    width: int = 1
    spread: ColumnSpread | None = None
    kept: tuple[array[int], array[float]] | None = None

    @property
    def n_rows(self) -> int:
        return len(self.ends) - 1

    def add(self, X: Any, keep: bool) -> None:
        """Append the rows of a batch, (n, width) CSR."""
        self.width = max(self.width, X.shape[1])
        if keep:
            kind = "f" if X.dtype == np.float32 else "d"
            self.kept = self.kept or (array("i"), array(kind))
            self.kept[0].frombytes(X.indices.tobytes())
            self.kept[1].frombytes(X.data.tobytes())
        else:
            if X.dtype != np.float32:
                spread = ColumnSpread.of(X)
                self.spread = spread if self.spread is None else self.spread.with_others(spread)
            X.eliminate_zeros()
        self.ends.frombytes((X.indptr[1:].astype(np.int64) + self.ends[-1]).tobytes())

    def matrix(self, width: int) -> Any:
        """All rows in memory, (n, width) CSR."""
        import scipy.sparse as sp

        columns, values = self.kept or (array("i"), array("f"))
        dtype = np.float32 if values.typecode == "f" else np.float64
        parts = (
            np.frombuffer(values, dtype),
            np.frombuffer(columns, np.int32),
            np.frombuffer(self.ends, np.int64),
        )
        return sp.csr_matrix(parts, shape=(self.n_rows, width))

    def on_disk(self, width: int) -> ParquetRows:
        """All rows, left in the file."""
        blurs = self.spread is not None and len(self.spread.blurred())
        dtype = np.dtype(np.float64 if blurs else np.float32)
        ends = np.frombuffer(self.ends, dtype=np.int64)
        return ParquetRows(
            self.path, (self.n_rows, width), dtype, ends, tuple(self.groups), self.columns, self.version
        )

    def notes(self, on_disk: bool) -> Iterator[str]:
        """What a person should know of the file."""
        if self.others:
            yield f"Columns of {self.path.name} that are not read: {', '.join(self.others[:8])}."
        entries = np.diff(np.frombuffer(self.ends, dtype=np.int64)[self.groups])
        if on_disk and 8 * int(entries.max(initial=0)) > _LARGE:
            size = 8 * int(entries.max()) >> 20
            yield (
                f"A row group of {self.path.name} takes {size} MiB, and is decoded for any row of it: "
                "write smaller ones."
            )


@dataclass(frozen=True, eq=False)
class ParquetRows:
    """The features of the rows of a file, read by row groups; of each other file of the same path it is another part.

    Attributes
    ----------
    path : Path
    shape : (n, n_features)
    dtype : NumPy type
    ends : (n + 1,) int64 array
        How many entries all rows before each have, and all rows.
    groups : tuple of int
        Where each row group begins, and the end of the last.
    columns : SparseColumns
    version : (int, int)
        Time of change and size of the file: rows of another are not taken for its own.
    """

    path: Path
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    ends: Array
    groups: tuple[int, ...]
    columns: SparseColumns
    version: tuple[int, int]

    def read(self, start: int, stop: int) -> Any:
        """Consecutive rows, a CSR matrix (stop - start, n_features).

        Raises
        ------
        ManyLabelError
            If the file has changed since it was opened.
        """
        import scipy.sparse as sp

        first, last = np.searchsorted(self.groups, [start, max(start, stop - 1)], side="right") - 1
        found = []
        for number in range(int(first), int(last) + 1):
            begin = self.groups[number]
            found.append(_row_group(self, number)[max(start - begin, 0) : stop - begin])
        return found[0] if len(found) == 1 else sp.vstack(found, format="csr")


@lru_cache(maxsize=2)
def _row_group(part: ParquetRows, number: int) -> Any:
    """The rows of a row group, a CSR matrix; the last two stay in memory."""
    import scipy.sparse as sp

    found = [sp.csr_matrix((0, part.shape[1]), dtype=part.dtype)]
    for _, batch, place in _batches(part.path, part.columns, part.version, (number,), labels=False):
        X = part.columns.matrix(batch, place)
        X.resize(X.shape[0], part.shape[1])
        found.append(canonical(X, part.dtype, str(part.path)))
    return sp.vstack(found, format="csr")


def _read(path: Path, keep: bool, like: Like) -> SparseFile:
    """Read every row once: labels, how many entries it has, and these themselves where they are kept."""
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise missing_extra(str(path), "pyarrow", "data") from None
    with border(path, _WHAT):
        metadata = pq.read_metadata(path)
        schema, n_groups = metadata.schema.to_arrow_schema(), metadata.num_row_groups
    if not holds_sparse_rows(schema):
        expected = "columns `indices` and `values`, or one of structs with both"
        raise ManyLabelError(str(path), expected, ", ".join(schema.names[:12]))
    columns = SparseColumns.of(schema, str(path), like.unlabelled)
    others = tuple(name for name in schema.names if name not in columns.asked)
    found, rows = SparseFile(path, columns, others, version_of(path)), 0
    groups = range(n_groups)
    for number, batch, place in _batches(path, columns, found.version, groups):
        found.groups.extend([rows] * (number + 1 - len(found.groups)))
        if columns.labels is None:
            found.labels.add_none(batch.num_rows)
        else:
            found.labels.add(batch.column(batch.schema.get_field_index(columns.labels)), place)
        found.add(columns.matrix(batch, place), keep)
        rows += batch.num_rows
    found.groups.extend([rows] * (n_groups + 1 - len(found.groups)))
    return found


def _batches(
    path: Path,
    columns: SparseColumns,
    version: tuple[int, int],
    groups: Any,
    labels: bool = True,
) -> Iterator[tuple[int, Any, Any]]:
    """The number of a row group, some rows of it, and what says where one of them stands."""
    import pyarrow.parquet as pq

    asked = columns.asked if labels else columns.features
    with border(path, _WHAT), path.open("rb") as handle:
        check_version(path, handle.fileno(), version)
        with pq.ParquetFile(handle, pre_buffer=False, buffer_size=1 << 20) as file:
            for number in groups:
                start = 0
                for batch in file.iter_batches(_ROWS, row_groups=[number], columns=asked, use_threads=False):
                    batch.validate(full=True)
                    yield number, batch, _place(path, number, start)
                    start += batch.num_rows


def _place(path: Path, group: int, start: int) -> Any:
    return lambda row: f"{path}, row group {group}, row {start + row} of it (both counted from 0)"
