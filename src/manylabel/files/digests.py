"""Digests of files that are read back: ``digests.json`` beside them tells damage from what was written.

The digest of a new content is listed before the content takes its place, beside that of the content that it replaces:
a kill in between leaves a file that is still known.
"""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from pathlib import Path
from typing import Any

from manylabel.errors import ManyLabelError
from manylabel.files.writing import write

DIGESTS = "digests.json"
_LOOKS = 5  # at a file that somebody writes meanwhile
_PAUSE = 0.05


class Damaged(ManyLabelError):
    """A file whose content is not the one that was written."""


def write_checked(path: Path, content: bytes) -> None:
    """Write a file as :func:`write` does, its digest into the ``digests.json`` beside it first.

    Only one process at a time may write into a folder; see :class:`Lock`.

    Raises
    ------
    ManyLabelError
        If the place cannot be written, or its ``digests.json`` is damaged.
    """
    listed = _listed(path.parent) or {}
    digest, old = _digest(content), _digest_of(path)
    kept = [old] if old in listed.get(path.name, ()) and old != digest else []
    entry = [*kept, digest]
    if listed.get(path.name) != entry:
        table = {"format": 1, "sha256": listed | {path.name: entry}}
        write(path.parent / DIGESTS, json.dumps(table, indent=1).encode())
    write(path, content)


def read_checked(path: Path, what: str, hint: str) -> bytes:
    """The content of a file that :func:`write_checked` wrote.

    Files of earlier versions, which left no ``digests.json``, are read with a warning.

    Parameters
    ----------
    path : Path
    what, hint : str
        What the file is, and what to do where it is damaged, for messages.

    Raises
    ------
    Damaged
        If the content is not the one that was written.
    ManyLabelError
        If the file cannot be read.
    """
    listed: dict[str, list[str]] = {}
    for _ in range(_LOOKS):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ManyLabelError(str(path), what, error.strerror or str(error), hint) from None
        found = _listed(path.parent)  # after the file: its digest is listed before it takes its place
        if found is None:
            text = f"{path.parent}: no {DIGESTS}, as earlier versions left none: damage would go unnoticed"
            warnings.warn(text, stacklevel=2)
            return content
        listed = found
        if _digest(content) in listed.get(path.name, ()):
            return content
        time.sleep(_PAUSE)
    got = "another content than was written" if path.name in listed else f"none that {DIGESTS} lists"
    raise Damaged(str(path), what, f"a damaged file: {got}", hint)


def _listed(folder: Path) -> dict[str, list[str]] | None:
    """File name -> digests of its contents, the latest last; None where nothing is listed."""
    path = folder / DIGESTS
    try:
        table = json.loads(path.read_bytes())
        files: Any = table["sha256"] if table["format"] == 1 else None
        if all(isinstance(digest, str) for entry in files.values() for digest in entry):
            return dict(files)
    except FileNotFoundError:
        return None
    except Exception:  # whatever damage makes of it
        pass
    hint = "Delete this folder, or restore it from a copy, and run again."
    raise Damaged(str(path), "a list of digests", "a damaged file", hint)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _digest_of(path: Path) -> str | None:
    try:
        return _digest(path.read_bytes())
    except OSError:
        return None
