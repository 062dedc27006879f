"""Paths from callers: text or Path, and folders that are tried before work that would be lost."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

from manylabel.errors import ManyLabelError


class Unusable(ManyLabelError):
    """A file or folder that cannot be written to, is in use, is damaged, or holds what another call left."""


def as_path(value: Any, who: str) -> Path:
    """A path from text or any path object.

    Raises
    ------
    ManyLabelError
        For another type, an empty text, or a character that no file name may have.
    """
    if not isinstance(value, str | os.PathLike):
        raise ManyLabelError(who, "a path, as text or pathlib.Path", type(value).__name__)
    text = os.fspath(value)
    if not isinstance(text, str):
        raise ManyLabelError(who, "a path of text", "bytes", "Decode it first, with os.fsdecode.")
    if not text or "\0" in text:
        raise ManyLabelError(who, "the name of a file or folder", repr(text))
    return Path(text)


def usable_folder(value: Any, who: str) -> Path:
    """A folder that is there and can be written to; it is made, with its parents, where it is missing.

    Raises
    ------
    ManyLabelError
        If it cannot be made or written to.
    """
    folder = as_path(value, who)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        hint = "Name a folder in which you may write."
        raise Unusable(who, "a folder that can be written to", _reason(error, folder), hint) from error
    return folder


def _reason(error: OSError, path: Path) -> str:
    return f"{path} ({error.strerror or error})"
