"""Names of processes that outlive them: which machine, which process, and whether it still runs."""

from __future__ import annotations

import os
import re
import socket


def host() -> str:
    """The name of this machine, in characters that a file name takes."""
    return re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:60] or "localhost"


def is_alive(process: int) -> bool:
    """Whether a process of this machine runs; True where nobody can tell."""
    if os.name == "nt" or process <= 0:  # there, os.kill ends the process that it asks about
        return os.name == "nt"
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # it belongs to somebody else
        return True
    return not _is_zombie(process)


def _is_zombie(process: int) -> bool:
    """Whether it is dead and only waits for its parent to notice; Linux tells."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[:1] == [b"Z"]
    except OSError:
        return False
