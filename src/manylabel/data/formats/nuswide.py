"""NUS-WIDE as its owners publish it: lists of pictures, and a file of 0 and 1 for each of 81 concepts and each part."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from manylabel.data.build import About
from manylabel.data.dataset import DataSet
from manylabel.data.formats.border import shown
from manylabel.data.formats.lines import names_in, text_lines
from manylabel.data.formats.picture_folder import PictureFolder
from manylabel.data.formats.picture_parts import PictureListing, PicturePart, assemble_pictures
from manylabel.errors import ManyLabelError

_LISTS = ("TrainImagelist.txt", "TestImagelist.txt")


def find_nuswide(folder: Path) -> Path | None:
    """The folder itself, where it has the list of training pictures, in it or in `ImageList`; None elsewhere."""
    return folder if _list(folder, _LISTS[0]) else None


def read_nuswide(folder: Path, about: About) -> DataSet:
    """Read the published training and test pictures with their concepts.

    Parameters
    ----------
    folder : Path
        With `ImageList/TrainImagelist.txt` and `TestImagelist.txt`, `Groundtruth/TrainTestLabels/Labels_NAME_Train.txt`
        and `Labels_NAME_Test.txt`, and the pictures in any folders. `Concepts81.txt`, where it is there, gives the
        order of the labels, else their names do.
    about : About
        Takes the settings of :class:`~manylabel.data.formats.options.PictureOptions`.

    Raises
    ------
    ManyLabelError
        Naming the file and line that is not as it should be.
    """
    return assemble_pictures(about, list_nuswide(folder))


def list_nuswide(folder: Path) -> PictureListing:
    """What the files say of the pictures, as :func:`read_nuswide` reads them."""
    pictures = PictureFolder(folder)
    labels = _label_files(folder)
    concepts = next(iter(sorted(folder.rglob("Concepts81.txt"))), None)
    names = names_in(concepts, "names of concepts, one a line") if concepts else sorted(labels["Train"])
    parts = []
    for part, name in zip(labels, _LISTS, strict=True):
        path = _list(folder, name)
        if path is None:
            raise ManyLabelError(str(folder), f"the file {name}", "none")
        parts.append(_part(path, labels[part], names, pictures))
    return PictureListing(folder, parts, names)


def _list(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / "ImageList" / name, folder / name) if path.is_file()), None)


def _label_files(folder: Path) -> dict[str, dict[str, Path]]:
    """Part -> concept -> file."""
    found: dict[str, dict[str, Path]] = {"Train": {}, "Test": {}}
    for path in sorted(folder.rglob("Labels_*_*.txt")):
        concept, _, part = path.stem.removeprefix("Labels_").rpartition("_")
        if part in found:
            found[part][concept] = path
    return found


def _part(path: Path, labels: dict[str, Path], names: list[str], pictures: PictureFolder) -> PicturePart:
    listed = [
        (number, line.strip()) for number, line in text_lines(path, "names of pictures") if line.strip()
    ]
    Y = np.zeros((len(listed), len(names)), np.uint8)
    for j, name in enumerate(names):
        if name not in labels:
            raise ManyLabelError(str(path.parent), f"a file of labels of {shown(name)}", "none")
        Y[:, j] = _zeros_and_ones(labels[name], len(listed), path)
    files = [pictures.find(name, f"{path}, line {number}") for number, name in listed]
    return PicturePart(files, Y, path, [number for number, _ in listed])


def _zeros_and_ones(path: Path, n: int, listed: Path) -> Any:
    found = []
    for number, line in text_lines(path, "lines of 0 or 1"):
        word = line.strip()
        if word not in ("0", "1", ""):
            raise ManyLabelError(f"{path}, line {number}", "0 or 1", shown(word))
        if word:
            found.append(word == "1")
    if len(found) != n:
        raise ManyLabelError(
            str(path), f"one line for each of {n} pictures of {listed.name}", f"{len(found)}"
        )
    return np.array(found)
