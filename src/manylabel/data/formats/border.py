"""What all readers share: one border that turns failures into our error, and a limit on what packed files unfold to."""

from __future__ import annotations

import gzip
import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from manylabel.errors import ManyLabelError

UNFOLDED_BYTES = 256 << 20  # a packed text may always unfold to so much
UNFOLDED_RATIO = (
    100  # and beyond it to so many times its size; text packs 3 to 30 to 1, crafted files 1000 to 1
)
_SHOWN = 60  # characters of a file that a message repeats


@contextmanager
def border(path: Path | str, expected: str, hint: str = "") -> Iterator[None]:
    """Turn whatever a reader meets in a file into a ManyLabelError that names the file.

    Parameters
    ----------
    path : Path or str
        The file, with its line or array where that is known.
    expected, hint : str
        For the message.
    """
    try:
        yield
    except ManyLabelError:
        raise
    except (
        Exception
    ) as error:  # parsers of hostile bytes raise anything, MemoryError and RecursionError included
        raise ManyLabelError(str(path), expected, reason(error), hint) from None


def reason(error: BaseException) -> str:
    """An exception in a few words."""
    if isinstance(error, MemoryError):
        return "more than fits into memory"
    if isinstance(error, RecursionError):
        return "brackets nested too deeply"
    told = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return told.encode(errors="replace").decode().splitlines()[0][:200]


def shown(text: Any) -> str:
    """The beginning of a piece of a file, quoted, for a message."""
    return repr(text[:_SHOWN]) + ("..." if len(text) > _SHOWN else "")


def open_text(path: Path) -> BinaryIO:
    """Open a file for reading bytes; one whose name ends in ``.gz`` is unpacked, up to a limit.

    Raises
    ------
    ManyLabelError
        While reading, where a packed file unfolds to more than 256 MiB and more than 100 times its size.
    """
    if path.suffix.lower() != ".gz":
        return path.open("rb")
    return cast(BinaryIO, io.BufferedReader(_Unfolding(path), 1 << 16))


def open_seekable(path: Path) -> BinaryIO:
    """Open a file for reading bytes anywhere in it; one whose name ends in ``.gz`` is unpacked beside the memory.

    Raises
    ------
    ManyLabelError
        Where a packed file unfolds to more than 256 MiB and more than 100 times its size.
    """
    if path.suffix.lower() != ".gz":
        return path.open("rb")
    unpacked = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115  (the caller closes it)
    try:
        with open_text(path) as packed:
            shutil.copyfileobj(packed, unpacked, 1 << 20)
    except BaseException:
        unpacked.close()
        raise
    return unpacked


class _Unfolding(io.RawIOBase):
    """The bytes of a gzip file, refused beyond the limit before they fill the memory."""

    def __init__(self, path: Path) -> None:
        self._path, self._packed = path, gzip.GzipFile(path)
        self._left = max(UNFOLDED_BYTES, UNFOLDED_RATIO * path.stat().st_size)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._packed.read(len(buffer))
        buffer[: len(data)] = data
        self._left -= len(data)
        if self._left < 0:
            expected = f"text of at most {UNFOLDED_BYTES >> 20} MiB or {UNFOLDED_RATIO} times the packed size"
            hint = "If you trust the file, unpack it (gunzip) and give the unpacked one."
            raise ManyLabelError(str(self._path), expected, "more when unpacked", hint)
        return len(data)

    def close(self) -> None:
        if hasattr(self, "_packed"):  # a file that is not there was never opened
            self._packed.close()
        super().close()
