"""Files of other formats: which they are, and how to turn them into one that is read."""

from __future__ import annotations

import re
from pathlib import Path

from manylabel.errors import ManyLabelError

_SAVE = "numpy.savez_compressed('NAME.npz', {x}y=Y), where Y is a 0/1 matrix with one column a label"
_SAVE_SPARSE = _SAVE.format(x="X_data=X.data, X_indices=X.indices, X_indptr=X.indptr, X_shape=X.shape, ")
_SAVE_DENSE = _SAVE.format(x="X=X, ")
_HOW = {
    "libsvm": (
        "Read it with sklearn.datasets.load_svmlight_file(PATH, multilabel=True), turn its label lists into Y with "
        f"sklearn.preprocessing.MultiLabelBinarizer, and write {_SAVE_SPARSE}."
    ),
    "xmc": (
        "Cut off its first line (rows, features, labels), read the rest with sklearn.datasets.load_svmlight_file(PATH, "
        "multilabel=True, n_features=FEATURES, zero_based=True), turn its label lists into Y with "
        f"sklearn.preprocessing.MultiLabelBinarizer(classes=range(LABELS)), and write {_SAVE_SPARSE}."
    ),
    "table": f"Read it, for example with pandas, and write {_SAVE_DENSE}.",
    "other": f"Load it in Python and write {_SAVE_DENSE}, or {_SAVE_SPARSE}.",
}
_TABLES = (
    ".csv",
    ".tsv",
    ".parquet",
    ".feather",
    ".xlsx",
    ".xls",
    ".json",
    ".jsonl",
    ".pkl",
    ".pickle",
    ".h5",
)
_XMC = re.compile(rb"\s*+[0-9]++\s++[0-9]++\s++[0-9]++\s*+$")
_LIBSVM = re.compile(rb"[-+.,0-9eE]*+(?:\s++qid:[0-9]++)?+\s++[0-9]++:[-+.0-9eE]++")


def refuse_foreign(path: Path) -> ManyLabelError:
    """The error for a file that no reader takes, with the way to one that is read."""
    told = path.suffix or "no ending"
    expected = "a file that ends in .npz or .arff, or a folder"
    return ManyLabelError(str(path), expected, told, _HOW[_kind(path)])


def _kind(path: Path) -> str:
    if any(suffix.lower() in _TABLES for suffix in path.suffixes):
        return "table"
    try:
        with path.open("rb") as file:
            first = file.readline(1 << 16).rstrip()
    except OSError:
        return "other"
    if _XMC.match(first):
        return "xmc"
    return "libsvm" if path.suffix.lower() in (".svm", ".libsvm") or _LIBSVM.match(first) else "other"


def hint_for_arrays(names: list[str]) -> str:
    """What to do with an npz file that holds other arrays than ours."""
    if {"data", "format", "shape"} <= set(names):
        return f"This is one matrix of SciPy: load it with scipy.sparse.load_npz and write {_SAVE_SPARSE}."
    if any(name in names for name in ("y_train", "y", "Y_train", "Y")):
        return "These are labels without features, which nothing can be trained on: add X_train and X_test."
    return f"Write it with {_SAVE_DENSE}."


def hint_for_folder(folder: Path) -> str:
    """What to do with a folder that holds none of our files."""
    children = sorted(folder.iterdir())
    arrays = [child for child in children if child.suffix.lower() == ".npz"]
    if arrays:
        return f"Give the path of an npz file in it, for example {arrays[0]}, or name it data.npz."
    tables = [child for child in children if child.is_dir()]
    if tables:
        return f"Give the path of one folder in it, for example {tables[0]}."
    files = [child for child in children if child.is_file() and child.name not in ("card.json", "labels.txt")]
    return _HOW[_kind(files[0])] if files else ""
