"""Large JSON files read object by object: the members of the lists of one outer object, in bounded memory."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from manylabel.data.formats.border import border, open_text, shown
from manylabel.errors import ManyLabelError

_CHUNK = 1 << 20  # characters
_LARGEST = 64 << 20  # characters of one member
_SPACE = re.compile(r"\s*")
_DECODER = json.JSONDecoder()


def members(path: Path, lists: tuple[str, ...]) -> Iterator[tuple[str, int, Any]]:
    """The members of some lists of the outer object: name of the list, number from 0, value. Others are passed over.

    Raises
    ------
    ManyLabelError
        Naming the list and the number of a member that is no JSON, or the file where it is no object of lists.
    """
    with border(path, "a JSON object"), open_text(path) as file:
        text = _Text(io.TextIOWrapper(file, encoding="utf-8-sig"), path)
        text.take("{", "a JSON object")
        while text.next() != "}":
            name = text.value("the name of a list")
            text.take(":", f"':' behind {shown(str(name))}")
            if text.next() == "[":
                for number, value in enumerate(_list(text, str(name))):
                    if name in lists:
                        yield str(name), number, value
            else:
                text.value(f"the value of {shown(str(name))}")
            if text.next() == ",":
                text.take(",", "")
        text.take("}", "the end of the object")


def _list(text: _Text, name: str) -> Iterator[Any]:
    text.take("[", "a list")
    number = 0
    while text.next() != "]":
        yield text.value(f"JSON as {name}, object {number}")
        number += 1
        if text.next() == ",":
            text.take(",", "")
        elif text.next() != "]":
            raise text.wrong(f"',' or ']' behind {name}, object {number - 1}")
    text.take("]", "")


class _Text:
    """What is left of a file, a chunk at a time."""

    def __init__(self, file: TextIO, path: Path) -> None:
        self._file, self._path = file, path
        self._text, self._at, self._line = "", 0, 1

    def next(self) -> str:
        """The next character that is no blank; empty at the end of the file."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def take(self, wanted: str, expected: str) -> None:
        """Pass over a character."""
        if self.next() != wanted:
            raise self.wrong(expected)
        self._at += 1

    def value(self, expected: str) -> Any:
        """The value that begins here, read on until it is whole."""
        self.next()
        while True:
            try:
                found, end = _DECODER.raw_decode(self._text, self._at)
            except (json.JSONDecodeError, RecursionError):
                end = len(self._text)
                found = None
            # a number at the end of the chunk may go on in the next one
            if end < len(self._text):
                self._at = end
                return found
            if len(self._text) - self._at > _LARGEST or not self._more():
                raise self.wrong(expected)

    def wrong(self, expected: str) -> ManyLabelError:
        """The error for what stands here."""
        line = self._line + self._text.count("\n", 0, self._at)
        got = shown(self._text[self._at :]) if self._at < len(self._text) else "the end of the file"
        return ManyLabelError(f"{self._path}, line {line}", expected, got)

    def _more(self) -> bool:
        """Read the next chunk, and forget what was passed over."""
        piece = self._file.read(max(_CHUNK, len(self._text) - self._at))
        self._line += self._text.count("\n", 0, self._at)
        self._text, self._at = self._text[self._at :] + piece, 0
        return bool(piece)
