"""PASCAL VOC as its owners publish it: a file of XML for each picture, whose objects may be marked as difficult."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from manylabel.data.build import About
from manylabel.data.dataset import DataSet
from manylabel.data.formats.border import border, shown
from manylabel.data.formats.lines import text_lines
from manylabel.data.formats.options import PictureOptions
from manylabel.data.formats.picture_folder import PictureFolder
from manylabel.data.formats.picture_parts import PictureListing, PicturePart, assemble_pictures
from manylabel.errors import ManyLabelError

Objects = dict[str, bool]
"""Label -> whether all of its objects are difficult."""


class VocOptions(PictureOptions):
    """Settings of the reader of PASCAL VOC.

    Attributes
    ----------
    difficult : "unknown", "negative" or "positive", default "unknown"
        What a label is whose objects are all marked as difficult: neither positive nor negative, as in the challenge;
        negative; or positive in training and unknown in the test part.
    """

    of_new_rows = (*PictureOptions.of_new_rows, "difficult")
    difficult: Literal["unknown", "negative", "positive"] = "unknown"


def find_voc(folder: Path) -> Path | None:
    """The folder with `Annotations` and `ImageSets`: this one, or one in it; None where there is none."""
    places = [folder, *sorted(folder.glob("VOC*")), *sorted(folder.glob("VOCdevkit/VOC*"))]
    return next((place for place in places if (place / "Annotations").is_dir() and _lists(place)), None)


def read_voc(folder: Path, about: About) -> DataSet:
    """Read the pictures of `trainval.txt` and `test.txt` with the names of their objects.

    Parameters
    ----------
    folder : Path
        Such as `VOC2007`, with `Annotations`, `ImageSets/Main` and `JPEGImages`.
    about : About
        Takes the settings of :class:`VocOptions`.

    Raises
    ------
    ManyLabelError
        Naming the file, and its line, that is not as it should be.
    """
    return assemble_pictures(about, list_voc(folder, about), VocOptions)


def list_voc(folder: Path, about: About) -> PictureListing:
    """What the files say of the pictures, as :func:`read_voc` reads them."""
    difficult = VocOptions.of(about).difficult
    listed = [(path, _names(path)) for path in _lists(folder)]
    found = [[_objects(folder / "Annotations" / f"{name}.xml") for _, name in names] for _, names in listed]
    labels = sorted({label for part in found for objects in part for label in objects})
    if not labels:
        raise ManyLabelError(str(folder / "Annotations"), "objects with names", "none")
    pictures = PictureFolder(folder)
    parts = []
    for number, ((path, names), objects) in enumerate(zip(listed, found, strict=True)):
        kind = "unknown" if difficult == "positive" and number == 1 else difficult
        files = [pictures.find(f"{name}.jpg", f"{path}, line {line}") for line, name in names]
        Y = _matrix(objects, labels, {"unknown": np.nan, "negative": 0.0, "positive": 1.0}[kind])
        parts.append(PicturePart(files, Y, path, [line for line, _ in names]))
    return PictureListing(folder, parts, labels)


def _lists(folder: Path) -> list[Path]:
    """`trainval.txt`, or `train.txt` where there is none; then `test.txt`, or `val.txt` beside `train.txt`."""
    place = folder / "ImageSets" / "Main"
    pairs = (("trainval.txt", "test.txt"), ("train.txt", "val.txt"))
    found = next((pair for pair in pairs if (place / pair[0]).is_file()), ())
    return [place / name for name in found if (place / name).is_file()]


def _names(path: Path) -> list[tuple[int, str]]:
    """Line and name of every picture."""
    found = []
    for number, line in text_lines(path, "names of pictures, one a line"):
        words = line.split()
        if words:
            if "/" in words[0] or "\\" in words[0] or words[0].startswith("."):
                raise ManyLabelError(f"{path}, line {number}", "the name of a picture", shown(words[0]))
            found.append((number, words[0]))
    return found


def _matrix(rows: list[Objects], labels: list[str], of_difficult: float) -> Any:
    Y = np.zeros((len(rows), len(labels)), np.float32)
    at = {label: j for j, label in enumerate(labels)}
    for i, objects in enumerate(rows):
        for label, is_difficult in objects.items():
            Y[i, at[label]] = of_difficult if is_difficult else 1.0
    return Y


def _objects(path: Path) -> Objects:
    """The labels of one picture."""
    with border(path, "the annotation of a picture"):
        content = path.read_bytes()
    found: Objects = {}
    for name, is_difficult in _parse(path, content):
        found[name] = found.get(name, True) and is_difficult
    return found


def _parse(path: Path, content: bytes) -> list[tuple[str, bool]]:
    """Name and mark of every object; an event for each element and no tree, and no entities."""
    from xml.parsers import expat

    found: list[tuple[str, bool]] = []
    tags: list[str] = []
    texts: dict[str, str] = {}

    def start(tag: str, _: Any) -> None:
        tags.append(tag)
        if tags[1:] == ["object"]:
            texts.clear()

    def text(data: str) -> None:
        if tags[1:2] == ["object"] and len(tags) == 3:
            texts[tags[2]] = texts.get(tags[2], "") + data

    def end(_: str) -> None:
        if tags[1:] == ["object"]:
            where = f"{path}, line {parser.CurrentLineNumber}"
            name, mark = texts.get("name", "").strip(), texts.get("difficult", "0").strip()
            if not name or mark not in ("0", "1"):
                got = f"name {shown(name)}, difficult {shown(mark)}"
                raise ManyLabelError(where, "an object with a name, difficult or not (1 or 0)", got)
            found.append((name, mark == "1"))
        tags.pop()

    def entity(name: str, *_: Any) -> None:
        raise ManyLabelError(str(path), "an annotation without entities", f"the entity {shown(name)}")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.EntityDeclHandler = text, entity
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        raise ManyLabelError(f"{path}, line {error.lineno}", "well-formed XML", str(error)) from None
    return found
