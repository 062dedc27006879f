"""Pictures found by their names, wherever below a folder their owners' archives put them."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from manylabel.data.formats.border import shown
from manylabel.errors import ManyLabelError

PICTURES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


class PictureFolder:
    """The pictures below a folder; links to folders are not followed.

    Parameters
    ----------
    root : Path
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._by_name: defaultdict[str, list[Path]] = defaultdict(list)
        for path in pictures_below(root):
            self._by_name[path.name].append(path)

    def find(self, name: str, where: str) -> Path:
        """The picture of a name, which may begin with folders; the place where it should be if it is not there.

        Of several pictures of one name it is the one that shares most of the folders.

        Parameters
        ----------
        name : str
        where : str
            The file and line that name it, for messages.

        Raises
        ------
        ManyLabelError
            For a name that leads out of the folder.
        """
        wanted = PurePosixPath(name.replace("\\", "/"))
        if not wanted.name or ".." in wanted.parts or wanted.is_absolute():
            raise ManyLabelError(where, "the name of a picture", shown(name))
        found = self._by_name.get(wanted.name)
        if not found:
            return self.root / wanted
        best = found[0] if len(found) == 1 else max(found, key=lambda path: _shared(path.parts, wanted.parts))
        if best.is_symlink() and not best.resolve().is_relative_to(self.root.resolve()):
            raise ManyLabelError(where, f"a picture in {self.root}", f"{shown(name)}, which lies elsewhere")
        return best

    def names(self) -> list[str]:
        """The names of all pictures, without their folders."""
        return sorted(self._by_name)


def pictures_below(root: Path) -> Iterator[Path]:
    """The pictures below a folder, those of each folder by name."""
    return (path for path in files_below(root) if is_picture(path) and not path.is_dir())


def files_below(root: Path) -> Iterator[Path]:
    """The files below a folder, those of each folder by name, and links to folders, which are not followed."""
    for folder, folders, files in os.walk(root):
        yield from (Path(folder, file) for file in sorted(files))
        yield from (link for name in sorted(folders) if (link := Path(folder, name)).is_symlink())


def is_picture(path: Path) -> bool:
    """Whether a file is a picture by its name."""
    return path.name.lower().endswith(PICTURES)


def _shared(path: tuple[str, ...], wanted: tuple[str, ...]) -> int:
    """How many parts agree, from the end."""
    pairs = zip(reversed(path), reversed(wanted), strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(path), len(wanted)))
