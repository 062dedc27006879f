"""MIML natural scenes as their owners publish them: `miml data.mat` with targets of -1 and 1, and numbered pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from manylabel.data.build import About
from manylabel.data.dataset import DataSet
from manylabel.data.formats.border import border
from manylabel.data.formats.picture_folder import PictureFolder
from manylabel.data.formats.picture_parts import PictureListing, PicturePart, assemble_pictures
from manylabel.errors import ManyLabelError

_TABLE = "miml data.mat"


def find_miml(folder: Path) -> Path | None:
    """The folder itself, where it or a folder in it has `miml data.mat`; None elsewhere."""
    return folder if _table(folder) else None


def read_miml(folder: Path, about: About) -> DataSet:
    """Read the pictures `1.jpg`, `2.jpg`, ... and their targets.

    Parameters
    ----------
    folder : Path
        With `miml data.mat`, in it or in `processed`, and the pictures in any folder.
    about : About
        Takes the settings of :class:`~manylabel.data.formats.options.PictureOptions`.

    Raises
    ------
    ManyLabelError
        If the file is no MATLAB file with `targets` and `class_name`, or these do not fit each other.

    Notes
    -----
    No split is published: a label-stratified quarter of the rows becomes the test part.
    """
    return assemble_pictures(about, list_miml(folder))


def list_miml(folder: Path) -> PictureListing:
    """What the files say of the pictures, as :func:`read_miml` reads them."""
    path = _table(folder)
    assert path is not None, "found before"
    targets, names = _targets(path)
    pictures = PictureFolder(folder)
    files = [pictures.find(f"{i}.jpg", str(path)) for i in range(1, targets.shape[1] + 1)]
    part = PicturePart(files, (targets.T > 0).astype(np.uint8), path)
    return PictureListing(folder, [part], names)


def _table(folder: Path) -> Path | None:
    found = (place / _TABLE for place in (folder, folder / "processed"))
    return next((path for path in found if path.is_file()), None)


def _targets(path: Path) -> tuple[Any, list[str]]:
    """Targets (n_labels, n) of -1 and 1, and the names of the labels."""
    from scipy.io import loadmat

    with border(path, "a MATLAB file with targets and class_name"):
        found = loadmat(path, variable_names=["targets", "class_name"])
        targets = np.asarray(found["targets"])
        names = [str(np.ravel(cell)[0]).strip() for cell in np.ravel(found["class_name"])]
    if targets.ndim != 2 or targets.shape[0] != len(names) or not np.isin(targets, (-1, 1)).all():
        got = f"{targets.dtype} of shape {targets.shape}"
        raise ManyLabelError(f"{path}, targets", f"-1 or 1 for {len(names)} labels of each picture", got)
    return targets, names
