"""ChestX-ray14 as its owners publish it: a CSV file of findings, and lists of the pictures of either part."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from manylabel.data.build import About
from manylabel.data.dataset import DataSet
from manylabel.data.formats.border import shown
from manylabel.data.formats.lines import part_of, text_lines
from manylabel.data.formats.picture_folder import PictureFolder
from manylabel.data.formats.picture_parts import PictureListing, PicturePart, assemble_pictures
from manylabel.errors import ManyLabelError, did_you_mean
from manylabel.printable import count

FINDINGS = (
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia", "Pneumothorax",
    "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening", "Hernia",
)  # fmt: skip
"""The 14 findings in the order of the paper."""

_NONE = "No Finding"
_TABLES = ("Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv")
_LISTS = (("train_val_list.txt", "train_list.txt"), ("test_list.txt",))


def find_chestxray(folder: Path) -> Path | None:
    """The table of findings in a folder; None where there is none."""
    return part_of(folder, *_TABLES)


def read_chestxray(path: Path, about: About) -> DataSet:
    """Read the table of findings and its pictures, wherever in folders they are.

    Parameters
    ----------
    path : Path
        Such as `Data_Entry_2017_v2020.csv`; `train_val_list.txt` and `test_list.txt` beside it give the split.
    about : About
        Takes the settings of :class:`~manylabel.data.formats.options.PictureOptions`.

    Raises
    ------
    ManyLabelError
        Naming the file and line that is not as it should be.
    """
    return assemble_pictures(about, list_chestxray(path))


def list_chestxray(path: Path) -> PictureListing:
    """What the files say of the pictures, as :func:`read_chestxray` reads them."""
    rows, lines = _findings(path)
    pictures = PictureFolder(path.parent)
    lists = [part_of(path.parent, *names) for names in _LISTS]
    if None in lists:
        names = list(rows)
        return PictureListing(path.parent, [_part(path, names, lines, rows, pictures)], FINDINGS)
    parts, used = [], 0
    for found in lists:
        assert found is not None
        wanted = _listed(found, rows, path)
        parts.append(_part(found, list(wanted), wanted, rows, pictures))
        used += len(wanted)
    left = len(rows) - used
    told = (f"In neither list: {count(left, 'picture')}.",) if left > 0 else ()
    return PictureListing(path.parent, parts, FINDINGS, told=told)


def _findings(path: Path) -> tuple[dict[str, list[int]], dict[str, int]]:
    """Picture -> columns of its findings, and -> its line."""
    at = {name: j for j, name in enumerate(FINDINGS)}
    rows: dict[str, list[int]] = {}
    lines: dict[str, int] = {}
    for number, line in text_lines(path, "a table of findings"):
        cells = next(csv.reader([line]), [])
        where = f"{path}, line {number}"
        if number == 1:
            if [cell.strip() for cell in cells[:2]] != ["Image Index", "Finding Labels"]:
                raise ManyLabelError(where, "the columns Image Index and Finding Labels first", shown(line))
            continue
        if not cells:
            continue
        if len(cells) < 2:
            raise ManyLabelError(where, "a picture and its findings", shown(line))
        if cells[0] in rows:
            raise ManyLabelError(where, "every picture once", f"{shown(cells[0])} a second time")
        found = [name.strip() for name in cells[1].split("|") if name.strip() != _NONE]
        unknown = next((name for name in found if name not in at), None)
        if unknown is not None:
            raise ManyLabelError(where, "one of 14 findings", shown(unknown), did_you_mean(unknown, at))
        rows[cells[0]], lines[cells[0]] = sorted({at[name] for name in found}), number
    if not rows:
        raise ManyLabelError(str(path), "pictures and their findings", "none")
    return rows, lines


def _listed(path: Path, rows: dict[str, list[int]], table: Path) -> dict[str, int]:
    """The pictures of one part, and the line of each."""
    found: dict[str, int] = {}
    for number, line in text_lines(path, "names of pictures, one a line"):
        name = line.strip()
        if not name:
            continue
        if name not in rows:
            raise ManyLabelError(f"{path}, line {number}", f"a picture of {table.name}", shown(name))
        found.setdefault(name, number)
    return found


def _part(
    where: Path,
    names: list[str],
    lines: dict[str, int],
    rows: dict[str, list[int]],
    pictures: PictureFolder,
) -> PicturePart:
    Y = np.zeros((len(names), len(FINDINGS)), np.uint8)
    for i, name in enumerate(names):
        Y[i, rows[name]] = 1
    numbers = [lines[name] for name in names]
    files = [pictures.find(name, f"{where}, line {line}") for name, line in zip(names, numbers, strict=True)]
    return PicturePart(files, Y, where, numbers)
