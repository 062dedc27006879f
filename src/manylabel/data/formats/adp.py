"""The Atlas of Digital Pathology as its owners publish it: a CSV file of patches with labels of three levels."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from manylabel.data.build import About
from manylabel.data.dataset import DataSet
from manylabel.data.formats.border import border, shown
from manylabel.data.formats.lines import text_lines
from manylabel.data.formats.options import PictureOptions
from manylabel.data.formats.picture_folder import PictureFolder
from manylabel.data.formats.picture_parts import PictureListing, PicturePart, assemble_pictures
from manylabel.errors import ManyLabelError

_NAMES = "Patch Names"
_PARTS = ("train", "valid", "test")


class AdpOptions(PictureOptions):
    """Settings of the reader of the Atlas of Digital Pathology.

    Attributes
    ----------
    level : int, default 1
        The deepest level of labels that is read: 1 for `E`, 2 for `E` and `E.M`, 3 for all.
    """

    of_new_rows = (*PictureOptions.of_new_rows, "level")
    level: int = Field(default=1, ge=1, le=3)


def find_adp(folder: Path) -> Path | None:
    """The table of patches in a folder; None where there is none."""
    found = sorted(folder.glob("ADP_EncodedLabels*.csv"))
    return next((path for path in found if "Flat" in path.name), found[0] if found else None)


def read_adp(path: Path, about: About) -> DataSet:
    """Read the table of patches and its pictures, wherever in folders they are.

    Parameters
    ----------
    path : Path
        Such as `ADP_EncodedLabels_Release1_Flat.csv`; `splits/train.npy`, `valid.npy` and `test.npy` beside it,
        positions in the table, give the split.
    about : About
        Takes the settings of :class:`AdpOptions`.

    Raises
    ------
    ManyLabelError
        Naming the file and line that is not as it should be.
    """
    return assemble_pictures(about, list_adp(path, about), AdpOptions)


def list_adp(path: Path, about: About) -> PictureListing:
    """What the files say of the pictures, as :func:`read_adp` reads them."""
    names, labels, Y = _table(path)
    level = AdpOptions.of(about).level
    kept = [j for j, label in enumerate(labels) if label.count(".") < level]
    pictures = PictureFolder(path.parent)
    files = [pictures.find(name, f"{path}, line {i}") for i, name in enumerate(names, start=2)]
    taken = [labels[j] for j in kept]

    def part(rows: Any) -> PicturePart:
        return PicturePart([files[i] for i in rows], Y[rows][:, kept], path, [int(i) + 2 for i in rows])

    split = _split(path.parent / "splits", len(names))
    if split is None:
        return PictureListing(path.parent, [part(np.arange(len(names)))], taken)
    train = np.concatenate([split["train"], split["valid"]])
    validation = np.arange(len(train)) >= len(split["train"])
    return PictureListing(path.parent, [part(train), part(split["test"])], taken, validation)


def _table(path: Path) -> tuple[list[str], list[str], Any]:
    """Names of patches, names of labels, and the 0/1 matrix (n, n_labels)."""
    names: list[str] = []
    labels: list[str] = []
    rows: list[list[str]] = []
    for number, line in text_lines(path, "a table of patches"):
        cells = [cell.strip() for cell in next(csv.reader([line]), [])]
        where = f"{path}, line {number}"
        if number == 1:
            if cells[:1] != [_NAMES] or len(cells) < 2:
                raise ManyLabelError(where, f"the column {_NAMES!r}, then labels", shown(line))
            labels = cells[1:]
        elif cells:
            wrong = next((cell for cell in cells[1:] if cell not in ("0", "1")), None)
            if len(cells) != len(labels) + 1 or wrong is not None:
                got = f"{len(cells)} cells" if wrong is None else shown(wrong)
                raise ManyLabelError(where, f"a patch and {len(labels)} cells of 0 or 1", got)
            names.append(cells[0])
            rows.append(cells[1:])
    if not rows:
        raise ManyLabelError(str(path), "patches and their labels", "none")
    return names, labels, np.array(rows).astype(np.uint8)


def _split(folder: Path, n: int) -> dict[str, Any] | None:
    """Positions of each part; None where no split is published."""
    paths = {part: folder / f"{part}.npy" for part in _PARTS}
    if not all(path.is_file() for path in paths.values()):
        return None
    found = {}
    for part, path in paths.items():
        with border(path, "positions in the table"):
            rows = np.load(path, allow_pickle=False)
        if (
            rows.ndim != 1
            or rows.dtype.kind not in "iu"
            or (len(rows) and not 0 <= rows.min() <= rows.max() < n)
        ):
            got = f"{rows.dtype} of shape {rows.shape}"
            raise ManyLabelError(str(path), f"positions from 0 to {n - 1}", got)
        found[part] = rows.astype(np.int64)
    return found
