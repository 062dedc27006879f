"""What a format of data sets is: a reader, and how its files and folders are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from manylabel.data.build import About
from manylabel.data.dataset import DataSet
from manylabel.data.formats.options import ReadOptions, refuse_options


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
    accepts : callable (path) -> bool
        Which of the files with such an ending are of this format. Default: all.
    looks_so : callable (line) -> bool
        Whether the first line of a file, whose ending says nothing, is one of this format.
    find : callable (folder) -> path or None
        What to read in a folder; None where it holds no such data set.
    options : type of ReadOptions, or None
        The settings that the reader takes.
    """

    name: str
    title: str
    about: str
    read: Callable[[Path, About], DataSet]
    endings: tuple[str, ...] = ()
    accepts: Callable[[Path], bool] = lambda path: True
    looks_so: Callable[[bytes], bool] = lambda line: False
    find: Callable[[Path], Path | None] = lambda folder: None
    options: type[ReadOptions] | None = None

    def load(self, path: Path, about: About) -> DataSet:
        """Read a data set with the settings in ``about``.

        Raises
        ------
        ManyLabelError
            For settings that the reader does not know, and as ``read`` does.
        """
        if self.options is None:
            refuse_options(about.options, str(path))
        else:
            self.options.of(about)  # before anything is read
        return self.read(path, about)
