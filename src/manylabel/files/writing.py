"""The one writer of files: whole or not at all, through a temporary file that takes the place of the old one."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from manylabel.files.paths import Unusable
from manylabel.files.processes import host, is_alive

_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?P<host>[A-Za-z0-9.-]+)_(?P<process>\d+)\.partial")
_DAY = 24 * 3600.0
_OWN = (".lock", ".probe", "digests.json")
_in_flight: set[str] = set()  # temporary files of this process that are being written


def write(path: str | Path, content: bytes) -> None:
    """Write a whole file, or leave the old one as it was.

    The content is on the disk before it takes the old file's place, and the folder knows of it before this returns.
    Temporary files that dead processes left beside it are removed.

    Parameters
    ----------
    path : str or Path
    content : bytes

    Raises
    ------
    ManyLabelError
        If the place cannot be written: no folder, no permission, a full disk.
    """
    with writing(path) as file:
        file.write(content)


@contextmanager
def writing(path: str | Path) -> Iterator[BinaryIO]:
    """A file to write piece by piece: it takes the place of the old one when the block ends, or leaves it as it was.

    Parameters
    ----------
    path : str or Path

    Yields
    ------
    binary file
        It can be read and sought in.

    Raises
    ------
    ManyLabelError
        As :func:`write` does.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name[:100]}.{host()}_{os.getpid()}.partial")
    _in_flight.add(str(temporary))
    try:
        remove_leftovers(path.parent)
        with open(temporary, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        _forget(temporary)
        if error.filename is not None and Path(error.filename) not in (temporary, path, path.parent):
            raise  # of a file that is read meanwhile
        raise not_written(path, error) from error
    except BaseException:
        _forget(temporary)
        raise
    finally:
        _in_flight.discard(str(temporary))


def not_written(path: Path, error: OSError) -> Unusable:
    """The error for a place that cannot be written."""
    hint = "Make room or free the place, then run the same command again: what was finished is kept."
    if isinstance(error, FileNotFoundError):
        hint = "Make the folder first."
    elif isinstance(error, PermissionError):
        hint = "Name a place where you may write."
    return Unusable(str(path), "a file that can be written", error.strerror or str(error), hint)


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of writers that are gone; those of other machines once they are a day old."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".partial") and _is_leftover(entry):
                _forget(Path(entry.path))


def is_own(name: str) -> bool:
    """Whether a file of this name holds nothing of a user: a lock, a probe, digests, a temporary file."""
    return name in _OWN or _TEMPORARY.fullmatch(name) is not None


def _is_leftover(entry: os.DirEntry[str]) -> bool:
    found = _TEMPORARY.fullmatch(entry.name)
    if found is None or entry.path in _in_flight:
        return False
    process = int(found["process"])
    if found["host"] == host():
        return process == os.getpid() or not is_alive(process)
    return time.time() - entry.stat().st_mtime > _DAY  # by the clocks of two machines, hence a whole day


def _forget(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make the new name last through a loss of power, where the system can."""
    if os.name == "nt":
        return
    place = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems refuse
            os.fsync(place)
    finally:
        os.close(place)
