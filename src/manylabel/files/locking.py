"""Locks on folders: one process works there, another is told which; a dead process holds nothing."""

from __future__ import annotations

import datetime
import json
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from manylabel.files.paths import Unusable
from manylabel.files.processes import host, is_alive
from manylabel.files.writing import not_written, remove_leftovers

LOCK = ".lock"
_held: dict[tuple[int, str], _Holding] = {}  # by process, as a fork inherits what its parent holds


@dataclass
class _Holding:
    """The lock file that this process holds, and how many locks share it."""

    place: int
    times: int = 0


class Lock:
    """A folder that this process works in; use as a context manager, or call :meth:`release`.

    The system forgets the lock when the process ends, however it ends. A process may take a lock that it holds again;
    it is released as often as it was taken.

    Parameters
    ----------
    folder : Path
        It has to exist.
    who : str
        For messages.
    patience : float, default 2.0
        Seconds to wait for another process: one that was killed a moment ago may still be ending.

    Raises
    ------
    ManyLabelError
        If another process works there, or the folder cannot be written.
    """

    def __init__(self, folder: Path, who: str, patience: float = 2.0) -> None:
        self.path, self._key = folder / LOCK, (os.getpid(), os.path.realpath(folder))
        self._released = False
        if self._key not in _held:
            try:
                _held[self._key] = _Holding(_acquired(self.path, who, patience))
            except OSError as error:
                raise not_written(self.path, error) from None
            remove_leftovers(folder)
        _held[self._key].times += 1

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Let others work in the folder; without effect the second time."""
        if self._released or self._key[0] != os.getpid():
            return
        self._released = True
        holding = _held[self._key]
        holding.times -= 1
        if holding.times == 0:
            del _held[self._key]
            with suppress(OSError):
                if _is_there(holding.place, self.path):
                    self.path.unlink()
            os.close(holding.place)


def _acquired(path: Path, who: str, patience: float) -> int:
    """The descriptor of a lock file that this process holds."""
    began = time.monotonic()
    while True:
        place = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        holder = _holder_or_none(place)
        if holder is None and _is_there(place, path):
            since = datetime.datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
            os.lseek(place, 0, os.SEEK_SET)
            os.ftruncate(place, 0)
            os.write(place, json.dumps({"process": os.getpid(), "host": host(), "since": since}).encode())
            return place
        os.close(place)
        if holder is not None and time.monotonic() - began > patience:
            raise _taken(path, who, holder)
        time.sleep(0.02 if holder is not None else 0.0)


def _holder_or_none(place: int) -> dict[str, Any] | None:
    """None once this process holds the lock, else what its holder wrote into it."""
    try:
        import fcntl
    except ImportError:
        return _written_holder(place)
    try:
        fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _contents(place)
    except OSError:  # a file system without locks
        return _written_holder(place)
    return None


def _written_holder(place: int) -> dict[str, Any] | None:
    """The holder by its own word, where the system keeps no locks: one that is alive, or on another machine."""
    found = _contents(place)
    process, on = found.get("process"), found.get("host")
    if not isinstance(process, int) or (
        on in (None, host()) and (process == os.getpid() or not is_alive(process))
    ):
        return None
    return found


def _contents(place: int) -> dict[str, Any]:
    try:
        os.lseek(place, 0, os.SEEK_SET)
        found = json.loads(os.read(place, 4096))
    except (OSError, ValueError):  # it is about to write
        return {}
    return found if isinstance(found, dict) else {}


def _is_there(place: int, path: Path) -> bool:
    """Whether the file is still the one at its path: whoever held it before removes it when done."""
    try:
        return os.path.samestat(os.fstat(place), os.stat(path))
    except FileNotFoundError:
        return False


def _taken(path: Path, who: str, holder: dict[str, Any]) -> Unusable:
    whom = "another process"
    if holder:
        whom = f"process {holder.get('process')} on {holder.get('host')} since {holder.get('since')}"
    hint = "Wait until it has ended, or choose another folder."
    if holder.get("host") not in (None, host()):
        hint += f" If it is gone, delete {path}."
    return Unusable(who, "a folder that no other process works in", f"one in use by {whom}", hint)
