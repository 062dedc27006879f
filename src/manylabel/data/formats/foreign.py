"""Files of other formats: which they are, and how to turn them into one that is read."""

from __future__ import annotations

from pathlib import Path

from manylabel.data.formats.table_registry import is_table
from manylabel.errors import ManyLabelError

_SAVE = "numpy.savez_compressed('NAME.npz', {x}y=Y), where Y is a 0/1 matrix with one column a label"
_SAVE_SPARSE = _SAVE.format(x="X_data=X.data, X_indices=X.indices, X_indptr=X.indptr, X_shape=X.shape, ")
_SAVE_DENSE = _SAVE.format(x="X=X, ")
_HOW = {
    "table": "Of a table name the label columns with `labels`, which run, tune and fit take, or read it with "
    "manylabel.data.read_table(PATH, labels=COLUMN), where COLUMN holds its tags.",
    "other": f"Load it in Python and write {_SAVE_DENSE}, or {_SAVE_SPARSE}.",
}


def refuse_foreign(path: Path, endings: str) -> ManyLabelError:
    """The error for a file that no reader takes, with the way to one that is read."""
    expected = f"a file that ends in {endings}, or a folder"
    return ManyLabelError(str(path), expected, path.suffix or "no ending", _HOW[_kind(path)])


def _kind(path: Path) -> str:
    return "table" if is_table(path) else "other"


def hint_for_arrays(names: list[str]) -> str:
    """What to do with an npz file that holds other arrays than ours."""
    if any(name in names for name in ("y_train", "y", "Y_train", "Y")):
        return "These are labels without features, which nothing can be trained on: add X_train and X_test."
    return f"Write it with {_SAVE_DENSE}."


def hint_for_folder(folder: Path) -> str:
    """What to do with a folder that holds none of our files."""
    if is_table(folder):  # one of parts
        return _HOW["table"]
    children = sorted(folder.iterdir())
    arrays = [child for child in children if child.suffix.lower() == ".npz"]
    if arrays:
        return f"Give the path of an npz file in it, for example {arrays[0]}, or name it data.npz."
    tables = [child for child in children if child.is_dir()]
    if tables:
        return f"Give the path of one folder in it, for example {tables[0]}."
    files = [child for child in children if child.is_file() and child.name not in ("card.json", "labels.txt")]
    return _HOW[_kind(files[0])] if files else ""
