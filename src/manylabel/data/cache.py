"""Arrays on disk that are computed once: content-addressed, memory-mapped, resumed after a kill, shared by processes.

An array has a folder of its own, named after the digest of what it is computed from. ``rows.npy`` grows block by block;
``blocks.jsonl`` gets a line with a digest once a block is on the disk. An array is whole when lines cover all rows.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import shutil
import sys
import threading
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np

from manylabel.errors import ManyLabelError
from manylabel.files import Lock, Unusable, usable_folder
from manylabel.files.writing import not_written

CACHE_VARIABLE = "MANYLABEL_CACHE"
ALWAYS_CHECKED = (
    256 << 20
)  # bytes; larger arrays are checked when their file has changed since the last check
_ROWS, _BLOCKS = "rows.npy", "blocks.jsonl"
_STANDSTILL = 600.0  # seconds without a new block until a process that waits for another gives up
_CHUNK = 1 << 22  # bytes that are digested at a time

Array: TypeAlias = "np.ndarray[Any, Any]"
_in_this_process: defaultdict[Path, threading.RLock] = defaultdict(threading.RLock)  # a Lock is one process's


def cache_folder() -> Path:
    """Where downloads and arrays are kept: ``MANYLABEL_CACHE``, or the platform's folder for caches."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named)
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return Path(local or Path.home() / "AppData" / "Local") / "manylabel" / "manylabel" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "manylabel"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "manylabel"


def key_of(*parts: str | bytes) -> str:
    """sha256 over what an array is computed from; each part is preceded by its length.

    Parameters
    ----------
    *parts : str or bytes
        The kind of array and its version, digests of the rows and of the encoder, the settings.
    """
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


def cached_array(
    key: str,
    shape: tuple[int, ...],
    dtype: Any,
    compute: Callable[[int], Iterable[Array]],
    *,
    folder: str | Path | None = None,
    who: str = "cache",
) -> Array:
    """The array of a key, from the disk if it is there, else computed and written; memory-mapped.

    A process that is killed loses the block that it was writing; the next one goes on behind the last whole block. Two
    processes never compute one array at once: the second waits for the first as long as blocks arrive, then reads.

    Parameters
    ----------
    key : str
        From :func:`key_of`: whatever changes the numbers is part of it.
    shape : (n_rows, ...)
    dtype : NumPy type
        Of fixed size.
    compute : callable (start) -> iterable of arrays (rows of a block, ...)
        Yields the rows from ``start`` on, in order, in blocks of any size; at most one block is lost by a kill.
    folder : str or Path, optional
        Default: :func:`cache_folder`.
    who : str, default "cache"
        For messages.

    Returns
    -------
    (n_rows, ...) array
        Mapped copy on write: what a caller writes into it stays in that caller's memory.

    Raises
    ------
    ManyLabelError
        If the folder cannot be written, the disk lacks the room, another process stands still, or ``compute`` yields
        rows of another form or number.

    Notes
    -----
    Digests are checked when an array is opened: always up to 256 MiB, and beyond that where the file has changed since
    the last check. A damaged array is computed again, with a warning.
    """
    form = np.dtype(dtype)
    assert not form.hasobject, "objects could only be pickled"
    if 0 in shape:
        return np.empty(shape, form)
    root = cache_folder() if folder is None else Path(folder)
    place = _Place(root / "arrays" / key_of(key, repr(tuple(shape)), form.str), tuple(shape), form)
    if (found := place.whole()) is not None:
        return found
    usable_folder(place.folder, who)
    with _in_this_process[place.folder], _alone(place, who):
        return _written(place, compute, who)


def _written(place: _Place, compute: Callable[[int], Iterable[Array]], who: str) -> Array:
    """The array, computed unless another process has just done so."""
    if (found := place.whole()) is not None:
        return found
    _write(place, compute, who)
    if (found := place.whole()) is None:
        hint = "Check the disk, or name another folder with MANYLABEL_CACHE."
        raise Unusable(who, f"to read back what was written to {place.folder}", "other content", hint)
    return found


@dataclass(frozen=True)
class _Block:
    """Rows up to ``stop``, from where the block before them ends."""

    stop: int
    sha256: str


@dataclass(frozen=True)
class _Place:
    """The folder of one array, and what its file has to be."""

    folder: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def rows(self) -> Path:
        return self.folder / _ROWS

    @property
    def blocks(self) -> Path:
        return self.folder / _BLOCKS

    @property
    def row_bytes(self) -> int:
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    def header(self) -> bytes:
        """The bytes before the first row."""
        file, written = io.BytesIO(), np.lib.format.dtype_to_descr(self.dtype)
        np.lib.format.write_array_header_1_0(
            file, {"descr": written, "fortran_order": False, "shape": self.shape}
        )
        return file.getvalue()

    def listed(self) -> list[_Block]:
        """The blocks that the lines tell of, up to the first line that is torn or makes no sense."""
        found: list[_Block] = []
        try:
            lines = self.blocks.read_bytes().split(b"\n")
        except OSError:
            return found
        for line in lines[:-1]:  # the last is empty, or torn
            try:
                block = _Block(**json.loads(line))
                if not (found[-1].stop if found else 0) < block.stop <= self.shape[0]:
                    break
            except (ValueError, TypeError):
                break
            found.append(block)
        return found

    def whole(self) -> Array | None:
        """The array, where it is all there and not damaged."""
        blocks = self.listed()
        if not blocks or blocks[-1].stop != self.shape[0]:
            return None
        if not self._is_as_checked() and len(self.intact(blocks)) < len(blocks):
            text = f"{self.rows} is damaged: it is computed again"
            warnings.warn(text, stacklevel=3)
            return None
        return np.load(self.rows, mmap_mode="c", allow_pickle=False)  # type: ignore[no-any-return]

    def _is_as_checked(self) -> bool:
        """Whether a large file is as it was when its last line was written or checked."""
        size = len(self.header()) + self.row_bytes * self.shape[0]
        try:
            found = self.rows.stat()
            unchanged = found.st_size == size and found.st_mtime_ns <= self.blocks.stat().st_mtime_ns
        except OSError:
            return False
        return size > ALWAYS_CHECKED and unchanged

    def intact(self, blocks: list[_Block]) -> list[_Block]:
        """The blocks before the first one whose bytes are not those that were written."""
        kept: list[_Block] = []
        try:
            with self.rows.open("rb") as file:
                header = self.header()
                if file.read(len(header)) != header:
                    return kept
                start = 0
                for block in blocks:
                    if _digest(file, (block.stop - start) * self.row_bytes) != block.sha256:
                        return kept
                    kept.append(block)
                    start = block.stop
                with suppress(OSError):  # a cache that may only be read
                    os.utime(self.blocks)
        except OSError:
            pass
        return kept


def _digest(file: BinaryIO, n_bytes: int) -> str:
    digest = hashlib.sha256()
    while n_bytes > 0 and (piece := file.read(min(n_bytes, _CHUNK))):
        digest.update(piece)
        n_bytes -= len(piece)
    return digest.hexdigest() if n_bytes == 0 else ""


def _alone(place: _Place, who: str) -> Lock:
    """The lock on the folder; another process is waited for as long as its blocks arrive."""
    while True:
        before = len(place.listed())
        try:
            return Lock(place.folder, who, _STANDSTILL)
        except Unusable:
            if len(place.listed()) == before:
                raise


def _write(place: _Place, compute: Callable[[int], Iterable[Array]], who: str) -> None:
    """Go on where the last whole block ends, until all rows are there."""
    blocks = place.intact(place.listed())
    start = blocks[-1].stop if blocks else 0
    header = place.header()
    _require_room(place, (place.shape[0] - start) * place.row_bytes, who)
    try:
        _rewrite(place.blocks, b"".join(_line(block) for block in blocks))
        if not start:
            place.rows.unlink(missing_ok=True)
        with place.rows.open("r+b" if start else "wb") as rows, place.blocks.open("ab") as lines:
            if not start:
                rows.write(header)
            rows.seek(
                len(header) + start * place.row_bytes
            )  # never cut: somebody may have mapped what was there
            for block in compute(start):
                start = _append(rows, lines, place, start, block, who)
    except OSError as error:
        if error.filename is not None and Path(error.filename) not in (place.rows, place.blocks):
            raise  # of a file that is read meanwhile
        raise not_written(place.rows, error) from error
    if start < place.shape[0]:
        raise ManyLabelError(who, f"{place.shape[0]} rows", f"{start}")


def _append(rows: BinaryIO, lines: BinaryIO, place: _Place, start: int, block: Array, who: str) -> int:
    """Write one block, then its line, each before the next; return where it ends."""
    stop = start + len(block)
    if block.shape[1:] != place.shape[1:] or block.dtype != place.dtype or stop > place.shape[0]:
        expected = f"up to {place.shape[0] - start} rows of {place.dtype} {place.shape[1:]}"
        raise ManyLabelError(who, expected, f"{len(block)} of {block.dtype} {block.shape[1:]}")
    if stop > start:
        data = np.ascontiguousarray(block).reshape(-1).view(np.uint8).data
        _to_disk(rows, data)
        _to_disk(lines, _line(_Block(stop, hashlib.sha256(data).hexdigest())))
    return stop


def _to_disk(file: BinaryIO, data: bytes | memoryview) -> None:
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


def _line(block: _Block) -> bytes:
    return json.dumps({"stop": block.stop, "sha256": block.sha256}).encode() + b"\n"


def _rewrite(path: Path, content: bytes) -> None:
    """Leave the whole lines alone; without effect where there are no others."""
    if not path.exists() or path.read_bytes() != content:
        path.write_bytes(content)


def _require_room(place: _Place, n_bytes: int, who: str) -> None:
    free = shutil.disk_usage(place.folder).free
    if free < n_bytes:
        hint = "Make room, or name a folder on another disk with MANYLABEL_CACHE."
        expected = f"{n_bytes >> 20} MiB of room in {place.folder}"
        raise Unusable(who, expected, f"{free >> 20} MiB", hint)
