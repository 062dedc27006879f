"""Pictures with instance annotations in JSON, as MS-COCO and Objects365 publish them: categories become labels."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from manylabel.data.build import About
from manylabel.data.dataset import DataSet
from manylabel.data.formats.border import border, shown
from manylabel.data.formats.json_objects import members
from manylabel.data.formats.parts import ending
from manylabel.data.formats.picture_folder import PictureFolder
from manylabel.data.formats.picture_parts import PictureListing, PicturePart, assemble_pictures
from manylabel.data.formats.tag_matrix import number_matrix
from manylabel.errors import ManyLabelError

_LISTS = ("images", "annotations", "categories")
_BEGINNING = re.compile(rb'\s*\{\s*"(?:info|images|licenses|annotations|categories|type)"\s*:')
_TRAIN, _TEST = re.compile("train", re.I), re.compile("val|test", re.I)


def find_coco(folder: Path) -> Path | None:
    """The folder itself, where it or its folder `annotations` has a file of instances; None elsewhere."""
    return folder if _files(folder) else None


def looks_like_coco(path: Path) -> bool:
    """Whether a JSON file begins as one of instances does."""
    try:
        with path.open("rb") as file:
            return ending(path) == ".json" and _BEGINNING.match(file.read(4096)) is not None
    except OSError:
        return False


def read_coco(path: Path, about: About) -> DataSet:
    """Read instance annotations and the pictures that they are of.

    Parameters
    ----------
    path : Path
        A file such as `instances_train2014.json`, or a folder with such files, in it or in `annotations`: the one whose
        name says train, and the one that says val or test. A file brings only itself.
    about : About
        Takes the settings of :class:`~manylabel.data.formats.options.PictureOptions`.

    Raises
    ------
    ManyLabelError
        Naming the file and object that is not as it should be.

    Notes
    -----
    A label is given where one object of its category is annotated, crowds included. Labels stand in the order of the
    numbers of their categories, which is the owners'. Pictures without an object are rows without labels.
    """
    return assemble_pictures(about, list_coco(path))


def list_coco(path: Path) -> PictureListing:
    """What the files say of the pictures, as :func:`read_coco` reads them."""
    root = path
    files = _files(path) if path.is_dir() else [path]
    if not path.is_dir():
        root = path.parent.parent if path.parent.name == "annotations" else path.parent
    found = [_Instances(file) for file in files]
    for other in found[1:]:
        if other.categories != found[0].categories:
            raise ManyLabelError(str(other.path), f"the categories of {files[0].name}", "others")
    pictures = PictureFolder(root)
    parts = [instances.part(pictures) for instances in found]
    return PictureListing(root, parts, list(found[0].categories.values()))


def _files(folder: Path) -> list[Path]:
    """The training file and the test file, or the only one; none where there is no such file or no way to tell."""
    for place in (folder / "annotations", folder):
        children = sorted(place.glob("*.json")) if place.is_dir() else []
        found = [file for file in children if looks_like_coco(file)]
        instances = [file for file in found if "instances" in file.name] or found
        train = [file for file in instances if _TRAIN.search(file.name)]
        test = [file for file in instances if _TEST.search(file.name) and file not in train]
        if len(train) == 1:
            return [train[0], *test[:1]]
        if len(instances) == 1:
            return instances
    return []


class _Instances:
    """One file: number of a picture -> its name, number of a category -> its name, and which are together."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.images: dict[Any, str] = {}
        self.categories: dict[Any, str] = {}
        self.together: dict[Any, set[Any]] = {}
        self._where: dict[Any, int] = {}
        for name, number, value in members(path, _LISTS):
            with border(f"{path}, {name}, object {number}", f"an object of {name}"):
                self._add(name, number, value)
        self.categories = dict(sorted(self.categories.items()))
        self._check()

    def _add(self, name: str, number: int, value: dict[str, Any]) -> None:
        if name == "images":
            self.images[value["id"]] = str(value["file_name"])
            self._where[value["id"]] = number
        elif name == "categories":
            self.categories[value["id"]] = str(value["name"])
        else:
            # a set an object, of few categories: the objects themselves are not kept
            self.together.setdefault(value["image_id"], set()).add(value["category_id"])

    def _check(self) -> None:
        for name, found in (("images", self.images), ("categories", self.categories)):
            if not found:
                raise ManyLabelError(str(self.path), f"a list {name!r} of objects", "none")
        for image, categories in self.together.items():
            if image not in self.images:
                got = f"an annotation of {shown(str(image))}"
                raise ManyLabelError(str(self.path), "annotations of pictures in 'images'", got)
            unknown = next((number for number in categories if number not in self.categories), None)
            if unknown is not None:
                got = f"{shown(str(unknown))} of picture {shown(str(image))}"
                raise ManyLabelError(str(self.path), "annotations of categories in 'categories'", got)

    def part(self, pictures: PictureFolder) -> PicturePart:
        at = {number: j for j, number in enumerate(self.categories)}
        rows = [sorted(at[number] for number in self.together.get(image, ())) for image in self.images]
        files = [
            pictures.find(name, f"{self.path}, images, object {self._where[image]}")
            for image, name in self.images.items()
        ]
        return PicturePart(files, number_matrix(rows, len(at)), self.path)
