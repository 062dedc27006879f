"""Tables of Apache Arrow: parquet files and folders of them, Arrow IPC files and streams, Feather."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from manylabel.data.column_storage import Cells
from manylabel.data.formats.border import border, shown
from manylabel.data.formats.table_source import TableSource, column_names
from manylabel.errors import ManyLabelError, missing_extra

PARQUET = (".parquet", ".pq")
_BLOCK = 16_384
_MOST_TOLD = 12  # columns in a message
_WHAT = "a whole parquet or Arrow file"


class ArrowTable(TableSource):
    """A parquet or Arrow file, or a folder of parquet files, read a batch at a time.

    Parameters
    ----------
    path : Path
        A folder, as Spark and Dask write it, holds the rows of :func:`parquet_parts`, one file below the other.

    Raises
    ------
    ManyLabelError
        Without pyarrow, for a file that is neither, and for parts of a folder whose columns differ.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.where = path, str(path)
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise missing_extra(self.where, "pyarrow", "data") from None
        self._parts = parquet_parts(path) if path.is_dir() else [path]
        first, *others = map(_names_in, self._parts)
        self.names, self.told = column_names(first, self.where)
        for part, names in zip(self._parts[1:], others, strict=True):
            if names != first:
                expected = f"the columns of {self._parts[0].name}: {', '.join(first[:_MOST_TOLD])}"
                hint = "Write all parts with the same columns, in one order."
                raise ManyLabelError(str(part), expected, ", ".join(names[:_MOST_TOLD]), hint)

    def blocks(self, columns: Sequence[int], rows: int = _BLOCK) -> Iterator[Sequence[Cells]]:
        for path in self._parts:
            with border(path, _WHAT):
                for batch in _batches(path, columns, rows):
                    for start in range(0, batch.num_rows, rows):
                        part = batch.slice(start, rows)
                        part.validate(full=True)
                        yield [
                            _cells(name, column)
                            for name, column in zip(part.schema.names, part.columns, strict=True)
                        ]

    def place(self, row: int) -> str:
        if len(self._parts) == 1:
            return super().place(row)
        before = 0
        for path in self._parts:
            here = sum(batch.num_rows for batch in _batches(path, (0,), _BLOCK))
            if row < before + here:
                return f"row {row - before + 1} of {path.name} (counted from 1)"
            before += here
        return super().place(row)


def parquet_parts(folder: Path) -> list[Path]:
    """The parquet files of a folder by name; those whose names begin with ``_`` or ``.`` are no part of it.

    Raises
    ------
    ManyLabelError
        For no file, and for anything else in the folder, such as the folders of partitions.
    """
    hint = "Give the path of one table, or of a folder of parquet files alone."
    children = sorted(child for child in folder.iterdir() if not child.name.startswith(("_", ".")))
    for child in children:
        if not child.is_file() or child.suffix.lower() not in PARQUET:
            if child.is_dir() and "=" in child.name:
                hint = "Read the partitions with pandas or polars, and give the frame."
            raise ManyLabelError(str(folder), f"files that end in {' or '.join(PARQUET)}", child.name, hint)
    if not children:
        raise ManyLabelError(str(folder), f"files that end in {' or '.join(PARQUET)}", "none", hint)
    return children


def _names_in(path: Path) -> list[str]:
    """The columns of a file."""
    import pyarrow.parquet

    with border(path, _WHAT):
        if _is_parquet(path):
            with pyarrow.parquet.ParquetFile(path) as file:
                return list(file.schema_arrow.names)
        with _mapped(path) as file:
            return list(_reader(file).schema.names)


def _batches(path: Path, columns: Sequence[int], rows: int) -> Iterator[Any]:
    """Some columns of a file, some rows at a time."""
    import pyarrow.parquet

    if _is_parquet(path):
        with pyarrow.parquet.ParquetFile(path) as file:
            asked = [file.schema_arrow.names[i] for i in columns]
            for batch in file.iter_batches(rows, columns=asked, use_threads=False):
                yield batch.select(asked)
        return
    with _mapped(path) as opened:
        reader = _reader(opened)
        if hasattr(reader, "num_record_batches"):
            found = (reader.get_batch(i) for i in range(reader.num_record_batches))
        else:
            found = iter(reader)
        for batch in found:
            yield batch.select([*columns])


def _is_parquet(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def _mapped(path: Path) -> Any:
    """A file in the address space: no length that it tells makes room for bytes that it lacks."""
    import pyarrow as pa

    return pa.memory_map(str(path))


def _reader(file: Any) -> Any:
    """Of an Arrow file, or else of a stream; files of other kinds are refused before lengths in them are believed."""
    import pyarrow as pa

    first = file.read(6)
    file.seek(0)
    if first == b"ARROW1":
        return pa.ipc.open_file(file)
    if first[:4] != b"\xff" * 4:
        raise ManyLabelError(
            "an Arrow file", "PAR1, ARROW1 or the mark of a stream as its first bytes", repr(first)
        )
    return pa.ipc.open_stream(file)


def _cells(name: str, column: Any) -> Cells:
    """Numbers as an array, anything else as Python objects."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        hint = "Leave it out: name its role skip with `columns`."
        raise ManyLabelError(
            f"column {shown(name)}", "cells with a text, a number or a list", str(kind), hint
        )
    if (pa.types.is_floating(kind) or pa.types.is_integer(kind)) and not column.null_count:
        return column.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
    return column.to_pylist()  # type: ignore[no-any-return]
