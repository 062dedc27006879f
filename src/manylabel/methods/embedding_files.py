"""Embeddings written block by block, as .npy, .npz with the names of rows, or parquet, in the memory of one block."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np

from manylabel import files
from manylabel.data.rows import Features
from manylabel.errors import ManyLabelError, missing_extra

Embed: TypeAlias = "Callable[[Features], np.ndarray[Any, Any]]"
"""Rows -> (n, H) float32."""
Named: TypeAlias = "tuple[Features, list[str] | None]"
"""Rows, and what names them."""
ENDINGS = (".npy", ".npz", ".parquet")
_NO_NAMES = "Leave `identifier` out, or write .npz or .parquet."


def write_embeddings(
    embed: Embed,
    blocks: Iterable[Named],
    path: str | Path,
    identifier: str | None = None,
) -> tuple[int, int]:
    """Write the representation of each row; a file that is there is replaced once all rows are done.

    Parameters
    ----------
    embed : callable (Features) -> (n, H) float32 array
        Of a model, or of a frozen encoder.
    blocks : iterable of (Features, identifiers or None)
    path : str or Path
        ``.npy`` is one (n, H) float32 array, which ``numpy.load(path, mmap_mode="r")`` maps; ``.npz`` has it as
        ``embeddings`` beside ``identifiers``; ``.parquet`` has a list a row.
    identifier : str, optional
        Name of the column that names the rows; "file" where rows are files, such as pictures.

    Returns
    -------
    n, H : int

    Raises
    ------
    ManyLabelError
        For another ending, names of rows in a ``.npy`` file, no rows at all, or rows that the model does not take.
    """
    place = files.as_path(path, "`out`")
    check_embedding_file(place, identifier)
    if place.suffix != ".npy":
        identifier, blocks = with_names(identifier, blocks)
    if place.suffix == ".parquet":
        return _write_parquet(embed, blocks, place, identifier)
    names: list[str] = []
    with files.writing(place) as file:
        if place.suffix == ".npy":
            return _write_array(embed, blocks, file, names)
        with (
            tempfile.TemporaryFile(dir=place.parent) as part,
            zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive,
        ):
            shape = _write_array(embed, blocks, part, names)
            part.seek(0)
            with archive.open("embeddings.npy", "w", force_zip64=True) as inner:
                while chunk := part.read(1 << 20):
                    inner.write(chunk)
            if identifier is not None:
                with archive.open("identifiers.npy", "w") as inner:
                    np.lib.format.write_array(inner, np.array(names, dtype=np.str_), allow_pickle=False)
            return shape


def with_names(identifier: str | None, blocks: Iterable[Named]) -> tuple[str | None, Iterable[Named]]:
    """A column for the names of rows that have some, as the first block shows: they are files."""
    coming = iter(blocks)
    head = list(islice(coming, 1))
    if identifier is None and head and head[0][1] is not None:
        identifier = "file"
    return identifier, chain(head, coming)


def check_embedding_file(path: str | Path, identifier: str | None = None) -> None:
    """Refuse a file of embeddings that no writer knows, before any work.

    Raises
    ------
    ManyLabelError
    """
    ending = files.as_path(path, "`out`").suffix
    if ending not in ENDINGS:
        raise ManyLabelError("`out`", f"a file that ends in {', '.join(ENDINGS)}", ending or "no ending")
    if ending == ".npy" and identifier is not None:
        raise ManyLabelError("`out`", "a file that can hold the names of rows", ".npy", _NO_NAMES)


def _given(blocks: Iterable[Any]) -> Iterator[Any]:
    """Blocks of which one has a row: how wide a representation is, rows alone say."""
    rows = 0
    for X, identifiers in blocks:
        rows += len(X)
        if len(X):
            yield X, identifiers
    if not rows:
        raise ManyLabelError("embeddings", "at least one row", "none", "Give a file with rows.")


def _write_array(
    embed: Embed, blocks: Iterable[Any], file: BinaryIO | Any, names: list[str]
) -> tuple[int, int]:
    """One array behind a header that is written again once the number of rows is known: it leaves room for that."""
    rows, width = 0, 0
    for X, identifiers in _given(blocks):
        Z = np.ascontiguousarray(embed(X), dtype="<f4")
        if not rows:
            width = Z.shape[1]
            _write_header(file, (0, width))
        file.write(Z.tobytes())
        names += identifiers or []
        rows += len(Z)
    file.seek(0)
    _write_header(file, (rows, width))
    return rows, width


def _write_header(file: Any, shape: tuple[int, int]) -> None:
    np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": shape})


def _write_parquet(
    embed: Embed, blocks: Iterable[Any], place: Path, identifier: str | None
) -> tuple[int, int]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise missing_extra("embeddings as parquet", "pyarrow", "data") from None
    rows = width = 0
    with files.writing(place) as file:
        writer = None
        for X, identifiers in _given(blocks):
            Z = embed(X)
            parts = {} if identifier is None else {identifier: pa.array(identifiers, pa.string())}
            parts["embedding"] = pa.FixedSizeListArray.from_arrays(pa.array(Z.ravel()), Z.shape[1])
            table = pa.table(parts)
            writer = writer or pq.ParquetWriter(file, table.schema)
            writer.write_table(table)
            rows, width = rows + len(Z), Z.shape[1]
        if writer is not None:
            writer.close()
    return rows, width
