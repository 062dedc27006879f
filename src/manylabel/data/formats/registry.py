"""The formats of data sets: which reader takes a file, by its ending, or a folder, by what is in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from manylabel.data.build import About
from manylabel.data.dataset import DataSet
from manylabel.data.formats.arrays import read_npz
from manylabel.data.formats.mulan import arff_files, read_mulan
from manylabel.data.formats.texts import part_file, read_texts

PACKED = ".gz"


@dataclass(frozen=True)
class Format:
    """One format of data sets.

    Attributes
    ----------
    name : str
        Short, for commands.
    title, about : str
        For lists: a name that people know, and one line on what such a file or folder holds.
    read : callable (path, about) -> DataSet
        Takes the file or folder that the other two find.
    endings : tuple of str
        Of file names in lower case, without ``.gz``.
    find : callable (folder) -> path or None
        What to read in a folder; None where it holds no such data set.
    """

    name: str
    title: str
    about: str
    read: Callable[[Path, About], DataSet]
    endings: tuple[str, ...] = ()
    find: Callable[[Path], Path | None] = lambda folder: None

    def takes(self, path: Path) -> bool:
        """Whether the reader takes a file."""
        return _unpacked_name(path).endswith(self.endings)

    def stem(self, path: Path) -> str:
        """The name of a file without its ending."""
        name = _unpacked_name(path)
        ending = next((ending for ending in self.endings if name.endswith(ending)), Path(name).suffix)
        return path.name[: len(name) - len(ending)]


def format_of_file(path: Path) -> Format | None:
    """The format of a file, or None for one that no reader takes."""
    return next((format for format in FORMATS if format.takes(path)), None)


def format_of_folder(folder: Path) -> tuple[Format, Path] | None:
    """The format of the data set in a folder, and what to read there; None where there is no data set."""
    found = ((format, format.find(folder)) for format in FORMATS)
    return next(((format, path) for format, path in found if path is not None), None)


def _unpacked_name(path: Path) -> str:
    return path.name.lower().removesuffix(PACKED)


def _named(name: str) -> Callable[[Path], Path | None]:
    return lambda folder: folder / name if (folder / name).exists() else None


FORMATS: tuple[Format, ...] = (
    Format(
        name="npz",
        title="NumPy arrays",
        about="X and y, or X_train, y_train, X_test, y_test, in one file; sparse ones as CSR parts",
        read=read_npz,
        endings=(".npz",),
        find=_named("data.npz"),
    ),
    Format(
        name="texts",
        title="Texts as JSON lines",
        about='a folder with train.jsonl, test.jsonl (lines {"text": ..., "labels": [...]}) and labels.txt',
        read=read_texts,
        find=lambda folder: folder if part_file(folder, "train") else None,
    ),
    Format(
        name="arff",
        title="ARFF",
        about="as Mulan (with an XML file of label names), MEKA (-C in @relation) and KEEL (@outputs) write it",
        read=read_mulan,
        endings=(".arff",),
        find=lambda folder: folder if arff_files(folder) else None,
    ),
)
"""In the order in which a folder is searched for them."""
