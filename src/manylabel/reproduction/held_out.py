"""Training rows of a data set as a data set of their own: a quarter of them stands in for the test rows."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from manylabel import data, files
from manylabel.data.rows import Vectors
from manylabel.errors import ManyLabelError
from manylabel.study.folder_names import name_of_data


def write_training_rows(name: str, data_dir: Path | None, folder: Path) -> str:
    """Write the training part of a data set as ``NAME.npz`` without a split, of which loading draws a quarter.

    Parameters
    ----------
    name : str
        A catalogue data set, or a path.
    data_dir : Path or None
        Folder of local data sets.
    folder : Path
        Where to write.

    Returns
    -------
    str
        The path of the file.

    Raises
    ------
    ManyLabelError
        If the data set cannot be read, or its rows are no dense vectors.
    """
    found = data.load(name, data_dir)
    if not isinstance(found.train.X, Vectors):
        raise ManyLabelError(
            f"data set {name}", "dense vectors", found.kind, "Name other data sets with `sets`."
        )
    Y = found.train.Y.dense().numpy()
    known = found.train.Y.known()
    arrays: dict[str, Any] = {
        "X": np.asarray(found.train.X),
        "y": Y if known is None else np.where(known.numpy(), Y, np.nan),
        "label_names": np.array(found.label_names),
    }
    content, path = io.BytesIO(), folder / f"{name_of_data(name)}.npz"
    np.savez_compressed(content, **arrays)
    files.usable_folder(folder, "`out`")
    files.write(path, content.getvalue())
    return str(path)
