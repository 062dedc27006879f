"""Tables of Apache Arrow: parquet, Arrow IPC files and streams, Feather."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from manylabel.data.column_storage import Cells
from manylabel.data.formats.border import border
from manylabel.data.formats.table_source import TableSource, column_names
from manylabel.errors import ManyLabelError, missing_extra

_BLOCK = 16_384


class ArrowTable(TableSource):
    """A parquet or Arrow file, read a batch at a time.

    Parameters
    ----------
    path : Path

    Raises
    ------
    ManyLabelError
        Without pyarrow, and for a file that is neither.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.where = path, str(path)
        try:
            import pyarrow  # noqa: F401
        except ImportError:
            raise missing_extra(self.where, "pyarrow", "data") from None
        with border(path, "a whole parquet or Arrow file"):
            with path.open("rb") as file:
                self._is_parquet = file.read(4) == b"PAR1"
            self.names, self.told = column_names(self._schema_names(), self.where)

    def blocks(self, columns: Sequence[int], rows: int = _BLOCK) -> Iterator[Sequence[Cells]]:
        with border(self.path, "a whole parquet or Arrow file"):
            for batch in self._batches(columns, rows):
                for start in range(0, batch.num_rows, rows):
                    part = batch.slice(start, rows)
                    part.validate(full=True)
                    yield [_cells(column) for column in part.columns]

    def _schema_names(self) -> list[str]:
        import pyarrow.parquet

        if self._is_parquet:
            with pyarrow.parquet.ParquetFile(self.path) as file:
                return list(file.schema_arrow.names)
        with self._mapped() as file:
            return list(_reader(file).schema.names)

    def _mapped(self) -> Any:
        """The file in the address space: no length that it tells makes room for bytes that it lacks."""
        import pyarrow as pa

        return pa.memory_map(str(self.path))

    def _batches(self, columns: Sequence[int], rows: int) -> Iterator[Any]:
        import pyarrow.parquet

        if self._is_parquet:
            with pyarrow.parquet.ParquetFile(self.path) as file:
                asked = [file.schema_arrow.names[i] for i in columns]
                for batch in file.iter_batches(rows, columns=asked, use_threads=False):
                    yield batch.select(asked)
            return
        with self._mapped() as opened:
            reader = _reader(opened)
            if hasattr(reader, "num_record_batches"):
                found = (reader.get_batch(i) for i in range(reader.num_record_batches))
            else:
                found = iter(reader)
            for batch in found:
                yield batch.select([*columns])


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


def _cells(column: Any) -> Cells:
    """Numbers as an array, anything else as Python objects."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        raise ManyLabelError(
            "a column of bytes", "cells with a text, a number or a list", str(kind), "Leave it out."
        )
    if (pa.types.is_floating(kind) or pa.types.is_integer(kind)) and not column.null_count:
        return column.to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]
    return column.to_pylist()  # type: ignore[no-any-return]
