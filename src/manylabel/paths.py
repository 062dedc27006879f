"""Paths from callers: text or Path, and folders that are tried before work that would be lost."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from manylabel.errors import ManyLabelError


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
        raise ManyLabelError(who, "a folder that can be written to", _reason(error, folder), hint) from error
    return folder


@contextmanager
def writing(value: Any, who: str) -> Iterator[Path]:
    """The path of a file to be written; what goes wrong with the disk meanwhile becomes one readable error.

    Raises
    ------
    ManyLabelError
        If the folder of the file is not there, or the file cannot be written.
    """
    path = as_path(value, who)
    if not path.parent.is_dir():
        raise ManyLabelError(who, "a folder that is there", str(path.parent), "Make the folder first.")
    if path.is_dir():
        taken = IsADirectoryError(str(path))
        raise ManyLabelError(who, "the path of a file", f"the folder {path}", "Add a name to it.") from taken
    try:
        yield path
    except OSError as error:
        hint = "Free some space, or name another place."
        raise ManyLabelError(who, "a file that can be written", _reason(error, path), hint) from error


def _reason(error: OSError, path: Path) -> str:
    return f"{path} ({error.strerror or error})"
