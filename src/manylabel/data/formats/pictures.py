"""Pictures in a folder with a CSV file: file names first, then tags or one 0/1 column a label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from manylabel.data.build import About
from manylabel.data.dataset import DataSet
from manylabel.data.formats.border import shown
from manylabel.data.formats.parts import remark_if_alone, train_and_test
from manylabel.data.formats.picture_folder import files_below, is_picture
from manylabel.data.formats.picture_list import PictureList, label_matrix, read_list
from manylabel.data.formats.picture_parts import PictureListing, PicturePart, assemble_pictures
from manylabel.errors import ManyLabelError
from manylabel.printable import count

_MOST_TOLD = 5  # names of files
_OF_SYSTEMS = ("thumbs.db", "desktop.ini")  # what systems put beside pictures


def read_pictures(path: Path, about: About) -> DataSet:
    """Read the pictures that one CSV file lists, or those of a training and a test file.

    Parameters
    ----------
    path : Path
        The CSV file, `train.csv` (brings `test.csv`) or one without a split. Its first column names files in its
        folder, or in one folder of that; the others are one column of tags, or a 0/1 column for each label.
    about : About
        Takes the settings of :class:`~manylabel.data.formats.options.PictureOptions`. Of rows to be predicted the file
        may list names alone, and what else it has is not looked at.

    Raises
    ------
    ManyLabelError
        Naming the line of a row, or the pictures, that are not as they should be: lacking, damaged, outside of the
        folder, or of more than 67 million pixels.
    """
    train_path, test_path = train_and_test(path)
    like = about.like
    lists = [read_list(p, like.unlabelled) for p in (train_path, test_path) if p is not None]
    if like.unlabelled:
        matrices, names = [like.no_labels(len(found.files)) for found in lists], list(like.columns)
        told: tuple[str, ...] = ()
    else:
        matrices, names, told = label_matrix(lists, like.label_names)
    parts = [
        PicturePart(found.files, Y, found.path, found.lines, found.column(like.identifier))
        for found, Y in zip(lists, matrices, strict=True)
    ]
    if like.unlabelled and Path(about.source).is_dir():
        told = _not_listed(path, lists)
    told = (*remark_if_alone(train_path, test_path), *told)
    return assemble_pictures(about, PictureListing(path.parent, parts, names, told=told))


def new_pictures(path: Path) -> list[Path]:
    """The pictures of a folder that no file lists, by their paths, or one picture; none where there are none.

    Files and folders whose names begin with a dot are no part of a folder.
    """
    if path.is_dir():
        return sorted(file for file in _visible(path) if is_picture(file) and not file.is_dir())
    return [path] if is_picture(path) and path.is_file() else []


def read_new_pictures(path: Path, about: About) -> DataSet:
    """Read the pictures of a folder, or one picture, to be predicted.

    Raises
    ------
    ManyLabelError
        Naming the pictures that cannot be read, and links out of the folder.
    """
    files = new_pictures(path)
    told: tuple[str, ...] = ()
    root = path if path.is_dir() else path.parent
    if path.is_dir():
        _refuse_links(path, files)
        others = sorted(set(_visible(path)) - set(files))
        told = _left_out(
            [file for file in others if file.name.lower() not in _OF_SYSTEMS], path, "of another kind"
        )
    part = PicturePart(files, about.like.no_labels(len(files)), path)
    return assemble_pictures(about, PictureListing(root, [part], about.like.columns, told=told))


def _visible(root: Path) -> Iterator[Path]:
    for file in files_below(root):
        if not any(part.startswith(".") for part in file.relative_to(root).parts):
            yield file


def _refuse_links(root: Path, files: Sequence[Path]) -> None:
    inside = root.resolve()
    for file in files:
        if file.is_symlink() and not file.resolve().is_relative_to(inside):
            got, hint = (
                f"{shown(file.name)}, a link to elsewhere",
                "Copy the picture, or name its own folder.",
            )
            raise ManyLabelError(str(root), "pictures in this folder", got, hint)


def _not_listed(path: Path, lists: Sequence[PictureList]) -> tuple[str, ...]:
    """What to tell of the pictures beside a file that does not list them."""
    listed = {file for found in lists for file in found.files}
    others = [file for file in new_pictures(path.parent) if file not in listed]
    return _left_out(others, path.parent, f"that {path.name} does not list")


def _left_out(others: Sequence[Path], root: Path, why: str) -> tuple[str, ...]:
    if not others:
        return ()
    names = ", ".join(shown(file.relative_to(root).as_posix()) for file in others[:_MOST_TOLD])
    more = ", ..." if others[_MOST_TOLD:] else ""
    return (f"{count(len(others), 'file')} {why} left out: {names}{more}.",)
