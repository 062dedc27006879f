"""Features and labels as two files of ``scipy.sparse.save_npz``, `X.npz` and `Y.npz`, perhaps in two parts."""

from __future__ import annotations

import dataclasses
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from manylabel.data.build import About, Like, Part, assemble
from manylabel.data.dataset import DataSet
from manylabel.data.formats.arrays import MOST_COLUMNS, Arrays
from manylabel.data.formats.border import border, open_seekable, shown
from manylabel.data.formats.parts import remark_if_alone, train_and_test
from manylabel.data.rows.sparse import check_indices
from manylabel.errors import ManyLabelError

_PARTS = {"csr": ("indices", "indptr"), "csc": ("indices", "indptr"), "coo": ("row", "col")}
_WHAT = "a matrix of scipy.sparse.save_npz"
_MANY_ROWS = 1 << 20  # a matrix may always have so many, and beyond one a byte of the file
_FEATURES = re.compile(r"(?<![A-Za-z])(?:X|x|features)(?![A-Za-z])")
_LABELS = re.compile(r"(?<![A-Za-z])(?:Y|y|labels)(?![A-Za-z])")


def is_scipy_matrix(path: Path) -> bool:
    """Whether an npz file holds one sparse matrix of SciPy."""
    try:
        with open_seekable(path) as content, zipfile.ZipFile(content) as archive:
            return {"data.npy", "format.npy", "shape.npy"} <= set(archive.namelist())
    except Exception:  # whatever is wrong with the file is told where it is read
        return False


def matrix_of_features(path: Path) -> Path:
    """The file of features that belongs to one of labels; any other file stays."""
    return _partner(path, _LABELS, ("X", "x", "features")) or path


def read_scipy(path: Path, about: About) -> DataSet:
    """Read the matrices of one data set.

    Parameters
    ----------
    path : Path
        `X.npz` or `X_train.npz`, which bring `Y.npz`, or `Y_train.npz` and both of test; also ``X.trn.npz``, and
        ``features`` and ``labels`` for X and Y. CSR, CSC and COO matrices are taken. Labels of rows to
        be predicted are not read.
    about : About

    Raises
    ------
    ManyLabelError
        Naming the file of anything that is not as it should be.
    """
    train_path, test_path = train_and_test(matrix_of_features(path))
    parts = [_part(p, about.like) for p in (train_path, test_path) if p is not None]
    remarks = about.remarks + remark_if_alone(train_path, test_path)
    return assemble(dataclasses.replace(about, remarks=remarks), *parts)


def _part(path: Path, like: Like) -> Part:
    if like.unlabelled:
        X = _read(path, MOST_COLUMNS["X"])
        return Part(X, like.no_labels(X.shape[0]), str(path))
    labels = _partner(path, _FEATURES, ("Y", "y", "labels"))
    if labels is None:
        hint = "Save the labels as a 0/1 matrix and name the two files X.npz and Y.npz."
        raise ManyLabelError(str(path), "a matrix of labels beside this one", "none", hint)
    return Part(_read(path, MOST_COLUMNS["X"]), _read(labels, MOST_COLUMNS["Y"]), f"{path} and {labels.name}")


def _read(path: Path, most_columns: int) -> Any:
    import scipy.sparse as sp

    hint = "Save a CSR matrix with scipy.sparse.save_npz."
    with border(path, _WHAT, hint), open_seekable(path) as content, Arrays(path, content) as arrays:
        form = _form(arrays)
        data, first, second = (_vector(arrays, name) for name in ("data", *_PARTS[form]))
        rows, columns = map(int, _vector(arrays, "shape"))
        most_rows = max(_MANY_ROWS, arrays.size)
        if not (0 < rows <= most_rows and 0 < columns <= most_columns):
            expected = f"from 1 to {most_rows} rows and {most_columns} columns in a file of this size"
            raise ManyLabelError(str(path), expected, f"shape ({rows}, {columns})")
        if {first.dtype.kind, second.dtype.kind} - set("iu"):
            raise ManyLabelError(str(path), "whole numbers as positions", f"{first.dtype} and {second.dtype}")
        if form == "coo":
            matrix = sp.coo_matrix((data, (first, second)), shape=(rows, columns))
        else:
            matrix = {"csr": sp.csr_matrix, "csc": sp.csc_matrix}[form](
                (data, first, second), shape=(rows, columns)
            )
        check_indices(matrix, str(path))
        return matrix.tocsr()


def _form(arrays: Arrays) -> str:
    found = arrays.get("format")
    form = b"" if found is None or found.ndim else bytes(found.astype("S"))
    name = form.decode(errors="replace")
    if name not in _PARTS:
        hint = "Save it after .tocsr()."
        raise ManyLabelError(str(arrays.path), f"one of the layouts {', '.join(_PARTS)}", shown(name), hint)
    return name


def _vector(arrays: Arrays, name: str) -> np.ndarray[Any, Any]:
    found = arrays.get(name)
    if found is None or found.ndim != 1:
        got = "none" if found is None else f"shape {found.shape}"
        raise ManyLabelError(f"{arrays.path}, array {name}", "a list of numbers", got)
    return found


def _partner(path: Path, own: re.Pattern[str], others: tuple[str, ...]) -> Path | None:
    """The file of labels beside one of features, or the other way round."""
    for match in reversed(list(own.finditer(path.name))):
        for other in others:
            partner = path.with_name(path.name[: match.start()] + other + path.name[match.end() :])
            if partner.is_file():
                return partner
    return None
