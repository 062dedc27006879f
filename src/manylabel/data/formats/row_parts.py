"""Rows that stay on disk: npy, HDF5 and Parquet files that are read a block of rows at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np

from manylabel.data.formats.border import border
from manylabel.data.formats.hdf5 import Hdf5Arrays
from manylabel.data.rows.parts import NpyPart, RowPart, VectorParts, is_number
from manylabel.errors import ManyLabelError, missing_extra


def open_parts(*paths: str | Path) -> VectorParts:
    """Vectors in files that do not fit in memory together, one file below the other.

    Parameters
    ----------
    *paths : str or Path
        Files that end in .npy (an array of ``numpy.save``), .h5 or .hdf5 (the data set ``X``), or .parquet (columns of
        numbers).

    Returns
    -------
    VectorParts
        To be given to :class:`manylabel.data.Rows` with the labels.

    Raises
    ------
    ManyLabelError
        For no file, another ending, a file that holds no rows of numbers, and one of another width or type than the
        first.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "X.npy"
    >>> np.save(path, np.zeros((3, 2), dtype=np.float32))
    >>> open_parts(path).shape
    (3, 2)
    """
    for path in paths:
        if not isinstance(path, str | Path):
            raise ManyLabelError("open_parts", "paths of files", f"{path!r:.60}")
    return VectorParts([_open(Path(path)) for path in paths])


def _open(path: Path) -> RowPart:
    opened = _FORMS.get(path.suffix.lower())
    if opened is None:
        expected = f"a file that ends in {', '.join(_FORMS)}"
        raise ManyLabelError(str(path), expected, path.suffix or "no ending")
    return opened(path)


@dataclass(frozen=True)
class Hdf5Part:
    """The data set ``X`` of an HDF5 file; build it with :meth:`open`."""

    path: Path
    shape: tuple[int, int]
    dtype: np.dtype[Any]

    @classmethod
    def open(cls, path: Path) -> Self:
        """Look at the data set, whose checks are those of every HDF5 file that is read."""
        with _hdf5(path) as file:
            found = Hdf5Arrays(path, file).data_set("X")
            shape, dtype = tuple(found.shape), found.dtype.newbyteorder("=")
        _check_numbers(path, shape, dtype)
        return cls(path, (shape[0], shape[1]), dtype)

    def read(self, start: int, stop: int) -> np.ndarray[Any, Any]:
        """Consecutive rows, (stop - start, n_features)."""
        with border(self.path, f"rows {start} to {stop - 1}"), _hdf5(self.path) as file:
            rows = np.asarray(file["X"][start:stop], dtype=self.dtype)
        _check_count(self.path, rows, start, stop)
        return rows


def _hdf5(path: Path) -> Any:
    try:
        import h5py
    except ImportError:
        raise missing_extra(str(path), "h5py", "data") from None
    with border(path, "an HDF5 file of plain arrays"):
        return h5py.File(path, "r")


@dataclass(frozen=True)
class ParquetPart:
    """Columns of numbers of a Parquet file; build it with :meth:`open`.

    Attributes
    ----------
    ends : tuple of int
        Where each row group begins, and the end of the last.
    version : (int, int)
        Time of change and size of the file: rows of another are not taken for its own.
    """

    path: Path
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    ends: tuple[int, ...]
    version: tuple[int, int]

    @classmethod
    def open(cls, path: Path) -> Self:
        """Look at the schema and the sizes of the row groups."""
        with border(path, "a Parquet file of columns of numbers"), _parquet(path) as file:
            found = path.stat()
            kinds = {_numpy_type(path, field) for field in file.schema_arrow}
            groups = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
        shape = (sum(groups), len(file.schema_arrow))
        dtype = np.result_type(*kinds) if kinds else np.dtype(object)
        _check_numbers(path, shape, dtype)
        version = found.st_mtime_ns, found.st_size
        return cls(path, shape, dtype, tuple(np.cumsum([0, *groups]).tolist()), version)

    def read(self, start: int, stop: int) -> np.ndarray[Any, Any]:
        """Consecutive rows, (stop - start, n_features); missing cells of floats are NaN, others are refused."""
        first, last = np.searchsorted(self.ends, [start, stop - 1], side="right") - 1
        groups = [_row_group(self, i) for i in range(int(first), int(last) + 1)]
        rows = np.concatenate(groups)[start - self.ends[first] : stop - self.ends[first]]
        _check_count(self.path, rows, start, stop)
        return rows


@lru_cache(maxsize=2)
def _row_group(part: ParquetPart, number: int) -> np.ndarray[Any, Any]:
    """A row group as an array; the last two stay in memory, since blocks are smaller."""
    with border(part.path, f"row group {number}"), _parquet(part.path) as file:
        table = file.read_row_group(number, use_threads=False)
        for name, column in zip(table.column_names, table.columns, strict=True):
            if column.null_count and part.dtype.kind != "f":
                hint = "Fill them in, or write the column as floats, of which they are NaN."
                got = f"{column.null_count} missing in row group {number}"
                raise ManyLabelError(f"{part.path}, column {name:.60}", "a number in every row", got, hint)
        return np.stack([column.to_numpy() for column in table.columns], axis=1).astype(part.dtype)


def _parquet(path: Path) -> Any:
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise missing_extra(str(path), "pyarrow", "data") from None
    return pq.ParquetFile(path)


def _numpy_type(path: Path, field: Any) -> Any:
    """The NumPy type of a column of numbers."""
    import pyarrow as pa

    kind = field.type
    if not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        hint = "Sparse rows are read by manylabel.data.load, with the option on_disk."
        raise ManyLabelError(f"{path}, column {field.name:.60}", "a column of numbers", str(kind), hint)
    return np.dtype(kind.to_pandas_dtype()) if not pa.types.is_boolean(kind) else np.dtype(np.uint8)


def _check_numbers(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuse what is no rows of numbers."""
    if len(shape) != 2 or 0 in shape or not is_number(dtype):
        raise ManyLabelError(str(path), "rows of numbers, (n_rows, n_features)", f"{dtype} of shape {shape}")


def _check_count(path: Path, rows: np.ndarray[Any, Any], start: int, stop: int) -> None:
    """Refuse a file that has shrunk since it was opened."""
    if len(rows) < stop - start:
        raise ManyLabelError(
            str(path), f"rows {start} to {stop - 1}", f"{len(rows)} rows", "It was cut meanwhile."
        )


_FORMS: dict[str, Callable[[Path], RowPart]] = {
    ".npy": NpyPart.open,
    ".h5": Hdf5Part.open,
    ".hdf5": Hdf5Part.open,
    ".parquet": ParquetPart.open,
}
