"""MIRFLICKR-25k as its owners publish it: a file of picture numbers for each of 24 labels, and 14 stricter ones."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from manylabel.data.build import About
from manylabel.data.dataset import DataSet
from manylabel.data.formats.border import shown
from manylabel.data.formats.lines import text_lines
from manylabel.data.formats.options import PictureOptions
from manylabel.data.formats.picture_folder import PictureFolder
from manylabel.data.formats.picture_parts import PictureListing, PicturePart, assemble_pictures
from manylabel.errors import ManyLabelError

_MARK = "plant_life.txt"  # a name that no other data set has
_PICTURE = re.compile(r"im(\d+)\.jpg")
_RELEVANT = "_r1"


class MirflickrOptions(PictureOptions):
    """Settings of the reader of MIRFLICKR-25k.

    Attributes
    ----------
    relevant : bool, default False
        Whether the 14 labels of pictures to which a label is relevant follow the 24 others.
    """

    of_new_rows = (*PictureOptions.of_new_rows, "relevant")
    relevant: bool = False


def find_mirflickr(folder: Path) -> Path | None:
    """The folder itself, where it or a folder in it has the files of labels; None elsewhere."""
    return folder if _annotations(folder) else None


def read_mirflickr(folder: Path, about: About) -> DataSet:
    """Read the pictures `im1.jpg`, `im2.jpg`, ... and their labels.

    Parameters
    ----------
    folder : Path
        With `animals.txt`, `baby.txt`, ..., in it or in one folder of it: the numbers of the pictures with the label,
        one a line. Pictures may be in any folder below.
    about : About
        Takes the settings of :class:`MirflickrOptions`.

    Raises
    ------
    ManyLabelError
        Naming the file and line that is not as it should be.

    Notes
    -----
    No split is published: a label-stratified quarter of the rows becomes the test part.
    """
    return assemble_pictures(about, list_mirflickr(folder, about), MirflickrOptions)


def list_mirflickr(folder: Path, about: About) -> PictureListing:
    """What the files say of the pictures, as :func:`read_mirflickr` reads them."""
    place = _annotations(folder)
    assert place is not None, "found before"
    paths = {path.stem: path for path in sorted(place.glob("*.txt")) if path.stem.lower() != "readme"}
    names = [name for name in paths if not name.endswith(_RELEVANT)]
    if MirflickrOptions.of(about).relevant:
        names += [name for name in paths if name.endswith(_RELEVANT)]
    numbers = [_numbers(paths[name]) for name in names]
    pictures = PictureFolder(folder)
    there = [int(found[1]) for name in pictures.names() if (found := _PICTURE.fullmatch(name))]
    n = max([*there, *(max(some, default=0) for some in numbers)])
    Y = np.zeros((n, len(names)), np.uint8)
    for j, some in enumerate(numbers):
        Y[np.array(some, dtype=np.int64) - 1, j] = 1
    files = [pictures.find(f"im{i}.jpg", str(folder)) for i in range(1, n + 1)]
    return PictureListing(folder, [PicturePart(files, Y, place)], names)


def _annotations(folder: Path) -> Path | None:
    places = [folder, *sorted(child for child in folder.iterdir() if child.is_dir())]
    return next((place for place in places if (place / _MARK).is_file()), None)


def _numbers(path: Path) -> list[int]:
    found = []
    for number, line in text_lines(path, "numbers of pictures, one a line"):
        word = line.strip()
        if not word:
            continue
        if not (word.isascii() and word.isdecimal() and 0 < int(word[:9]) < 10**6):
            raise ManyLabelError(f"{path}, line {number}", "the number of a picture, from 1", shown(word))
        found.append(int(word))
    return found
