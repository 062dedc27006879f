"""The CSV file of a folder of pictures: a file name in the first column, tags or 0/1 columns behind it."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from manylabel.data.formats.border import border, open_text, shown
from manylabel.data.formats.picture_folder import PICTURES
from manylabel.data.formats.sparse_text import left_out
from manylabel.data.formats.tag_matrix import tag_matrix
from manylabel.errors import ManyLabelError

ENDINGS = (".csv", ".tsv")
_DELIMITERS = ",\t;"
_SEPARATORS = "|;,"
_TOLD = {"": "Every cell of tags is one tag.", " ": "Tags are separated by blanks."}
_HINT = "Keep the column of file names, and behind it one column of tags or one 0/1 column a label."


@dataclass(frozen=True)
class PictureList:
    """The rows of one file.

    Attributes
    ----------
    path : Path
    files : list of Path
        The pictures, which are there and in the folder.
    lines : list of int
        The line of each.
    columns : tuple of str
        The names of the other columns.
    cells : list of lists of str
        The other cells of each row.
    """

    path: Path
    files: list[Path]
    lines: list[int]
    columns: tuple[str, ...]
    cells: list[list[str]]

    def column(self, name: str | None) -> list[str] | None:
        """The cells of one of the other columns, if there is one of this name."""
        if name is None or name not in self.columns:
            return None
        return [row[self.columns.index(name)] for row in self.cells]


def lists_pictures(path: Path) -> bool:
    """Whether the first row of a CSV file names a picture that is there."""
    try:
        rows = _rows(path)
        next(rows, None)
        _, row = next(rows, (0, [""]))
        return _folder_of(path, row[0]) is not None
    except (ManyLabelError, OSError, ValueError):
        return False


def read_list(path: Path, unlabelled: bool = False) -> PictureList:
    """Read a file, and find its pictures; one that is ``unlabelled`` may have no column but that of file names.

    Raises
    ------
    ManyLabelError
        Naming the line of a row with too few or too many cells, and of a picture that is not in the folder.
    """
    rows = _rows(path)
    _, header = next(rows, (1, []))
    if len(header) < 2 and not unlabelled:
        raise ManyLabelError(
            f"{path}, line 1", "a header of at least two columns", shown(",".join(header)), _HINT
        )
    found = PictureList(path, [], [], _names(path, header[1:]), [])
    folder = None
    for line, row in rows:
        where = f"{path}, line {line}"
        if len(row) != len(header):
            raise ManyLabelError(where, f"{len(header)} cells, as line 1 has", f"{len(row)}")
        folder = folder or _folder_of(path, row[0]) or path.parent
        found.files.append(_file(where, path.parent, folder, row[0]))
        found.lines.append(line)
        found.cells.append([cell.strip() for cell in row[1:]])
    if not found.files:
        raise ManyLabelError(str(path), "rows that name pictures", "none")
    return found


def label_matrix(
    lists: Sequence[PictureList], known: tuple[str, ...] = ()
) -> tuple[list[Any], list[str], tuple[str, ...]]:
    """The labels of all files, their names, and what to tell of how they were read.

    Parameters
    ----------
    lists : sequence of PictureList
    known : tuple of str, default ()
        Labels of a model: tags are these, whichever of them occur, and others are left out and told.

    Raises
    ------
    ManyLabelError
        Naming the line and column of a cell that is neither 0 nor 1, and files with different columns.
    """
    first = lists[0]
    for other in lists[1:]:
        if other.columns != first.columns:
            got = ", ".join(map(repr, other.columns))
            raise ManyLabelError(f"{other.path}, line 1", f"the columns of {first.path.name}", shown(got))
    cells = [row for found in lists for row in found.cells]
    named = not known or first.columns[0] in known
    if len(first.columns) > 1 or (named and all(row[0] in ("0", "1") for row in cells)):
        return [_zeros_and_ones(found) for found in lists], list(first.columns), ()
    return _tags(lists, [row[0] for row in cells], known)


def _zeros_and_ones(found: PictureList) -> Any:
    for line, row in zip(found.lines, found.cells, strict=True):
        j = next((j for j, cell in enumerate(row) if cell not in ("0", "1")), None)
        if j is not None:
            where = f"{found.path}, line {line}, column {shown(found.columns[j])}"
            raise ManyLabelError(where, "0 or 1", shown(row[j]), _HINT)
    return np.array(found.cells).astype(np.uint8)


def _tags(
    lists: Sequence[PictureList], cells: list[str], known: tuple[str, ...]
) -> tuple[list[Any], list[str], tuple[str, ...]]:
    separator = _separator(cells, frozenset(known))
    told = [_TOLD.get(separator, f"Tags are separated by {separator!r}.")]
    split = [[_split(row[0], separator) for row in found.cells] for found in lists]
    found = {tag for rows in split for row in rows for tag in row}
    names = list(known) or sorted(found)
    if not names:
        raise ManyLabelError(str(lists[0].path), "tags in some row", "none", _HINT)
    at = {name: j for j, name in enumerate(names)}
    if others := sorted(found - at.keys()):
        told.append(left_out(others))
    return [tag_matrix([at.keys() & row for row in rows], at) for rows in split], names, tuple(told)


def _separator(cells: list[str], known: frozenset[str]) -> str:
    """What stands between tags: | or ; or a comma where one occurs; blanks where words come again in other cells.

    Where labels are known, what gives the most of them.
    """
    found = next((mark for mark in _SEPARATORS if any(mark in cell for cell in cells)), "")
    distinct = {cell for cell in cells if cell}
    if not found:
        words = {word for cell in distinct for word in cell.split()}
        found = " " if any(" " in cell for cell in distinct) and len(words) < len(distinct) else ""
    if not known:
        return found
    marks: tuple[str, ...] = (found, "", *_SEPARATORS, " ")  # the first of several that give as many
    return max(marks, key=lambda mark: _n_known(distinct, mark, known))


def _n_known(cells: set[str], separator: str, known: frozenset[str]) -> int:
    return sum(tag in known for cell in cells for tag in _split(cell, separator))


def _split(cell: str, separator: str) -> list[str]:
    pieces = cell.split(separator) if separator else [cell]
    return [tag for piece in pieces if (tag := piece.strip())]


def _names(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    stripped = tuple(name.strip() for name in names)
    twice = [name for name, n in Counter(stripped).items() if n > 1]
    if twice or "" in stripped:
        got = f"{shown(twice[0])} twice" if twice else "one without a name"
        raise ManyLabelError(f"{path}, line 1", "every column once", got)
    return stripped


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Rows with the number of their last line; blank lines are none."""
    with border(path, "CSV in UTF-8"), open_text(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
        start = text.readline()
        delimiter = max(_DELIMITERS, key=start.count)
        text.seek(0)
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        try:
            for row in reader:
                if row:
                    yield reader.line_num, row
        except (csv.Error, UnicodeDecodeError) as error:
            raise ManyLabelError(f"{path}, line {reader.line_num + 1}", "CSV in UTF-8", str(error)) from None


def _folder_of(path: Path, name: str) -> Path | None:
    """The folder of the file, or the one in it, that has a picture of this name."""
    folders = [path.parent, *sorted(child for child in path.parent.iterdir() if child.is_dir())]
    return next((folder for folder in folders if _in(folder, name) is not None), None)


def _in(folder: Path, name: str) -> Path | None:
    """The picture of this name, whose ending may be left out."""
    name = name.strip()
    endings = ("",) if name.lower().endswith(PICTURES) else PICTURES
    return next((folder / (name + e) for e in endings if name and (folder / (name + e)).is_file()), None)


def _file(where: str, root: Path, folder: Path, name: str) -> Path:
    with border(where, "the name of a picture"):
        file = _in(folder, name)
        if file is None:
            hint = "Names are those of files in the folder of this one, or in one folder of it."
            raise ManyLabelError(where, f"a picture in {folder}", f"no file {shown(name)}", hint)
        if not file.resolve().is_relative_to(root.resolve()):
            raise ManyLabelError(where, f"a picture in {root}", f"{shown(name)}, which lies elsewhere")
        return file
