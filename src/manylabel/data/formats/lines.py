"""Lines of text files, numbered and decoded; a byte that is no UTF-8 is told by its line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from manylabel.data.formats.border import border, open_text
from manylabel.errors import ManyLabelError


def text_lines(path: Path, expected: str, encoding: str = "utf-8") -> Iterator[tuple[int, str]]:
    """Lines with their numbers, from 1, without their ends; a packed file is unpacked up to a limit.

    Parameters
    ----------
    path : Path
    expected : str
        What the file is, for messages.
    encoding : str, default "utf-8"

    Raises
    ------
    ManyLabelError
        Naming the line that cannot be decoded.
    """
    with border(path, expected), open_text(path) as file:
        for number, line in enumerate(file, start=1):
            with border(f"{path}, line {number}", f"text in {encoding.upper()}"):
                text = line.decode(encoding)
            yield number, text.removeprefix("\ufeff").rstrip("\r\n") if number == 1 else text.rstrip("\r\n")


def names_in(path: Path, expected: str) -> list[str]:
    """One name a line, each once; blank lines are none.

    Raises
    ------
    ManyLabelError
        Naming the line of a name that comes a second time, or the file where there is no name.
    """
    found: dict[str, int] = {}
    for number, line in text_lines(path, expected):
        name = line.strip()
        if name and found.setdefault(name, number) != number:
            got = f"{name[:60]!r} a second time (first on line {found[name]})"
            raise ManyLabelError(f"{path}, line {number}", "every name once", got)
    if not found:
        raise ManyLabelError(str(path), expected, "none")
    return list(found)


def part_of(folder: Path, *names: str) -> Path | None:
    """The first of these files that a folder holds, packed or not."""
    found = (folder / f"{name}{packed}" for name in names for packed in ("", ".gz"))
    return next((path for path in found if path.is_file()), None)
