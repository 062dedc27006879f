"""Pictures in a folder with a CSV file: file names first, then tags or one 0/1 column a label."""

from __future__ import annotations

from pathlib import Path

from manylabel.data.build import About
from manylabel.data.dataset import DataSet
from manylabel.data.formats.parts import remark_if_alone, train_and_test
from manylabel.data.formats.picture_folder import PICTURES, pictures_below
from manylabel.data.formats.picture_list import label_matrix, read_list
from manylabel.data.formats.picture_parts import PictureListing, PicturePart, assemble_pictures


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
        PicturePart(found.files, Y, found.path, found.lines) for found, Y in zip(lists, matrices, strict=True)
    ]
    told = (*remark_if_alone(train_path, test_path), *told)
    return assemble_pictures(about, PictureListing(path.parent, parts, names, told=told))


def new_pictures(path: Path) -> list[Path]:
    """The pictures of a folder that no file lists, by their paths, or one picture; none where there are none."""
    if path.is_dir():
        return sorted(pictures_below(path))
    return [path] if path.suffix.lower() in PICTURES and path.is_file() else []


def read_new_pictures(path: Path, about: About) -> DataSet:
    """Read the pictures of a folder, or one picture, to be predicted.

    Raises
    ------
    ManyLabelError
        Naming the pictures that cannot be read.
    """
    files = new_pictures(path)
    root = path if path.is_dir() else path.parent
    part = PicturePart(files, about.like.no_labels(len(files)), path)
    return assemble_pictures(about, PictureListing(root, [part], about.like.columns))
