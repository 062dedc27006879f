"""The Blurb Genre Collection as its owners publish it: books with their genres between tags, one file a part."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

from manylabel.data.build import About
from manylabel.data.dataset import DataSet
from manylabel.data.formats.border import shown
from manylabel.data.formats.lines import text_lines
from manylabel.data.formats.text_parts import TextPart, assemble_texts
from manylabel.errors import ManyLabelError

_GENRE = re.compile(r"<d\d>(.*?)</d\d>", re.S)
_TOPICS = re.compile(r"<topics>(.*?)</topics>", re.S)
_TITLE, _BODY = (re.compile(f"<{tag}>(.*?)</{tag}>", re.S) for tag in ("title", "body"))


def find_bgc(folder: Path) -> Path | None:
    """The file of training books in a folder; None where there is none."""
    return next(iter(sorted(folder.glob("BlurbGenreCollection_*_train.txt*"))), None)


def read_bgc(path: Path, about: About) -> DataSet:
    """Read the training, development and test books; a text is a title and the blurb below it.

    Parameters
    ----------
    path : Path
        Such as `BlurbGenreCollection_EN_train.txt`, which brings `_dev.txt` and `_test.txt`.
    about : About

    Raises
    ------
    ManyLabelError
        Naming the file and line of a book that is not as it should be.

    Notes
    -----
    Labels are the genres of all depths, in the order of their names.
    """
    beside = {part: path.with_name(path.name.replace("_train", f"_{part}")) for part in ("dev", "test")}
    validation, test = (_part(file) if file.is_file() else None for file in beside.values())
    return assemble_texts(about, _part(path), test, validation)


def _part(path: Path) -> TextPart:
    found = TextPart.of(path)
    for line, book in _books(path):
        topics, body = _TOPICS.search(book), _BODY.search(book)
        genres = [html.unescape(name).strip() for name in _GENRE.findall(topics[1])] if topics else []
        if body is None or not genres:
            got = shown(book.strip())
            raise ManyLabelError(f"{path}, line {line}", "a book with a body and topics", got)
        title = _TITLE.search(book)
        lines = [found[1].strip() for found in (title, body) if found]
        found.add(html.unescape("\n".join(lines)), genres)
    return found


def _books(path: Path) -> Iterator[tuple[int, str]]:
    """First line and content of every book."""
    begin, lines = 0, list[str]()
    for number, line in text_lines(path, "books between tags"):
        if line.lstrip().startswith("<book"):
            if begin:
                raise ManyLabelError(f"{path}, line {begin}", "</book> before the next book", "none")
            begin, lines = number, []
        if begin:
            lines.append(line)
        elif line.strip():
            raise ManyLabelError(f"{path}, line {number}", "<book>", shown(line))
        if begin and "</book>" in line:
            yield begin, "\n".join(lines)
            begin = 0
    if begin:
        raise ManyLabelError(f"{path}, line {begin}", "</book> behind a book", "the end of the file")
