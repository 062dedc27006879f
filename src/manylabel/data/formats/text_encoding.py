"""The encoding of a text file, found out from all of its bytes: UTF-8, UTF-16, or one byte a character."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from manylabel.data.formats.border import open_text
from manylabel.errors import ManyLabelError

_CHUNK = 1 << 20
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_NO_CP1252 = bytes((0x81, 0x8D, 0x8F, 0x90, 0x9D))


def find_encoding(path: Path, given: str | None = None) -> tuple[str, str]:
    """The name of the encoding of a file, and a sentence on it where it is not UTF-8.

    Parameters
    ----------
    path : Path
    given : str, optional
        The encoding, where it is known.

    Raises
    ------
    ManyLabelError
        Naming the line of a byte that is none of the given encoding, or of a NUL byte; and for an unknown encoding.
    """
    if given is not None:
        _check(path, _known(given))
        return given, ""
    with open_text(path) as file:
        first = file.read(4)
    for mark, name in _MARKS:
        if first.startswith(mark):
            _check(path, name)
            return name, "" if name == "utf-8-sig" else "The encoding is UTF-16, as its first bytes say."
    if len(first) == 4 and (first[1::2] == b"\0\0") != (first[::2] == b"\0\0"):
        name = "utf-16-le" if first[1] == 0 else "utf-16-be"
        _check(path, name)
        return name, "The encoding was taken for UTF-16: every other byte is 0."
    line = _first_wrong_line(path, "utf-8")
    if line is None:
        return "utf-8", ""
    name = _of_one_byte(path)
    _check(path, name)  # every byte is a character there, but NUL is none of a text
    return name, f"The encoding was taken for {name}: line {line} is not UTF-8."


def open_decoded(path: Path, encoding: str) -> TextIO:
    """Open a text file, packed or not, with its line ends as they are."""
    return io.TextIOWrapper(open_text(path), encoding=encoding, newline="")


def _known(name: str) -> str:
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        found = None
    if found is None or not found._is_text_encoding:
        expected = "an encoding that Python knows, such as utf-8, utf-16 or latin-1"
        raise ManyLabelError("`encoding`", expected, repr(name)) from None
    return name


def _check(path: Path, encoding: str) -> None:
    line = _first_wrong_line(path, encoding)
    if line is not None:
        hint = "Name another encoding with `encoding`, or save the file as UTF-8."
        raise ManyLabelError(f"{path}, line {line}", f"text in {encoding}", "bytes that are none", hint)


def _first_wrong_line(path: Path, encoding: str) -> int | None:
    """The first line, counted from 1, that cannot be decoded."""
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    for chunk in (*_chunks(path), b""):
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeError as error:
            stop = getattr(error, "start", 0)
            whole = getattr(error, "object", b"")
            return line + whole[:stop].count(b"\n" if "16" not in encoding else b"\n\0")
        if "\0" in text:
            line += text[: text.index("\0")].count("\n")
            raise ManyLabelError(f"{path}, line {line}", "text", "a NUL byte", "Save the file as plain text.")
        line += text.count("\n")
    return None


def _of_one_byte(path: Path) -> str:
    """Latin-1, or its Windows relative where bytes that latin-1 has no sign for occur."""
    seen = bytes(set(b"".join(bytes(set(chunk)) for chunk in _chunks(path))))
    windows = any(0x80 <= byte < 0xA0 for byte in seen) and not any(byte in _NO_CP1252 for byte in seen)
    return "cp1252" if windows else "latin-1"


def _chunks(path: Path) -> Iterator[bytes]:
    with open_text(path) as file:
        while chunk := file.read(_CHUNK):
            yield chunk
