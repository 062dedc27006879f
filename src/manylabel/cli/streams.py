"""Standard output and errors that take any text, and a reader that goes away."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

_PLAIN = {"±": "+-", "×": "x", "–": "-", "—": "-", "…": "...", "µ": "u", "≥": ">=", "≤": "<=", "·": "."}  # noqa: RUF001
_ERRORS = "manylabel.plain"


def _plain(error: UnicodeError) -> tuple[str, int]:
    """What stands for characters that a stream cannot encode."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in text), error.end


@contextmanager
def forgiving_streams() -> Iterator[None]:
    """Print whatever the encoding of the terminal lacks in other characters inside."""
    codecs.register_error(_ERRORS, _plain)
    changed = []
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure") and stream.errors in ("strict", "surrogateescape"):
            changed.append((stream, stream.errors))
            stream.reconfigure(errors=_ERRORS)
    try:
        yield
    finally:
        for stream, errors in changed:
            with suppress(OSError, ValueError):  # its reader is gone, or it is closed
                stream.reconfigure(errors=errors)


def flush() -> None:
    """Hand on what was printed; where the reader is gone, nobody is told."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            silence(stream)


def silence(stream: Any) -> None:
    """Let a stream without a reader swallow what is still to be printed."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
