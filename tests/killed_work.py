"""Work in a process of its own, killed at a chosen change of files below a folder or of a database, or refused it."""

from __future__ import annotations

import os
import resource
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from manylabel.errors import ManyLabelError

KILLED = -signal.SIGKILL


def start(
    work: Callable[[], int | None], folder: str, at: int = 0, error: int = 0, most_bytes: int | None = None
) -> int:
    """Fork a process that does the work; killed before its change number ``at`` below the folder, never for 0.

    With an ``error`` of :mod:`errno` it goes on, but from then on the system refuses every change with that error; no
    file grows beyond ``most_bytes``. Its exit code is what the work returns, 0 for None, 2 after an error of ours, and
    3 after any other.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forks of processes with threads
        process = os.fork()
    if process == 0:
        code = 3
        try:
            killer = Killer(folder, at, error)
            sys.addaudithook(killer)
            if not error:
                _see_databases(killer)
            if most_bytes is not None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
            code = work() or 0
        except ManyLabelError as told:
            code = 2
            with suppress(OSError):  # where no file may grow, nor may that of the messages
                print(told, file=sys.stderr)
        except BaseException:
            with suppress(OSError):
                traceback.print_exc()
        finally:
            os._exit(code)
    return process


def end(process: int) -> int:
    """The exit code of a process, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


class Killer:
    """An audit hook that counts what changes files below a folder; at one it kills, or refuses from then on."""

    def __init__(self, folder: str, at: int, error: int = 0) -> None:
        self.folder, self.left, self.error = folder, at, error

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        changes = ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate")
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if (writes or event in changes) and str(arguments[0]).startswith(self.folder):
            self.count(str(arguments[0]))

    def count(self, path: str = "") -> None:
        """One change more."""
        self.left -= 1
        if self.error and self.left <= 0:
            raise OSError(self.error, os.strerror(self.error), path)
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def _see_databases(killer: Killer) -> None:
    """Count the statements that SQLAlchemy sends, and its commits: a database writes without a word to Python."""
    if "sqlalchemy" not in sys.modules:
        return
    from sqlalchemy import Engine, event

    def sees(*_: object) -> None:
        killer.count()

    event.listen(Engine, "before_cursor_execute", sees)
    event.listen(Engine, "commit", sees)
