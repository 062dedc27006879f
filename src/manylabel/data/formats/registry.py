"""The formats of data sets: which reader takes a file, by its ending, or a folder, by what is in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from manylabel.data.build import About, Like
from manylabel.data.dataset import DataSet
from manylabel.data.formats.arrays import read_npz
from manylabel.data.formats.border import open_text
from manylabel.data.formats.foreign import refuse_foreign
from manylabel.data.formats.format import Format
from manylabel.data.formats.hdf5 import read_hdf5
from manylabel.data.formats.mulan import arff_files, read_mulan
from manylabel.data.formats.options import OpenSparseOptions, PictureOptions, SparseOptions, SvmlightOptions
from manylabel.data.formats.parts import ending, only_table, stem
from manylabel.data.formats.picture_list import ENDINGS, lists_pictures
from manylabel.data.formats.pictures import new_pictures, read_new_pictures, read_pictures
from manylabel.data.formats.published import PUBLISHED
from manylabel.data.formats.scipy_matrices import is_scipy_matrix, matrix_of_features, read_scipy
from manylabel.data.formats.sparse_parquet import is_sparse_parquet, read_sparse_parquet
from manylabel.data.formats.svmlight import looks_like_svmlight, read_svmlight
from manylabel.data.formats.tagged_texts import looks_tagged, read_tagged_texts
from manylabel.data.formats.texts import part_file, read_texts
from manylabel.data.formats.xmc import looks_like_xmc, of_features, read_xmc

_SAY_NOTHING = ("", ".txt", ".dat", ".data")  # endings of files whose first line has to say what they are


def format_of_file(path: Path) -> Format | None:
    """The format of a file, or None for one that no reader takes."""
    kind = ending(path)
    if kind not in _SAY_NOTHING:
        found = (format for format in FORMATS if kind in format.endings and format.accepts(path))
        return next(found, None)
    line = _first_line(path)
    return next((format for format in FORMATS if format.looks_so(line)), None)


def format_of_folder(folder: Path) -> tuple[Format, Path] | None:
    """The format of the data set in a folder, and what to read there; None where there is no data set."""
    found = ((format, format.find(folder)) for format in FORMATS)
    return next(((format, path) for format, path in found if path is not None), None)


def read_file(
    path: Path,
    undivided: bool = False,
    options: Mapping[str, Any] | None = None,
    like: Like | None = None,
) -> DataSet:
    """Read the data set of a file, and of those that belong to it.

    Parameters
    ----------
    path : Path
    undivided : bool, default False
    options : mapping, optional
    like : Like, optional
        See :class:`manylabel.data.build.About`.

    Raises
    ------
    ManyLabelError
        If no reader takes it, or the one that does refuses it.
    """
    format = format_of_file(path)
    about = About(stem(path), str(path), undivided=undivided, options=options or {}, like=like or Like())
    if format is None and about.like.unlabelled and new_pictures(path):
        return read_new_pictures(path, about)
    if format is None:
        endings = dict.fromkeys(ending for format in (*GENERAL, *PUBLISHED) for ending in format.endings)
        raise refuse_foreign(path, ", ".join(endings))
    return format.load(path, about)


def _first_line(path: Path) -> bytes:
    """The first line that is neither blank nor a comment, without its end."""
    try:
        with open_text(path) as file:
            lines = file.read(1 << 16).splitlines()
    except (OSError, EOFError, ValueError):
        return b""
    return next((line for line in lines if line.strip() and not line.startswith(b"#")), b"")


def _in_folder(folder: Path, name: str, owner: Callable[[Path], Path] = Path) -> Path | None:
    """The file of a folder that a format takes, if there is one; ``owner`` is the file that brings another."""
    files = (child for child in folder.iterdir() if child.is_file())
    found = sorted(
        {owner(file) for file in files if (format := format_of_file(file)) and format.name == name}
    )
    return only_table(folder, found, "one data set") if found else None


def _named(name: str) -> Callable[[Path], Path | None]:
    return lambda folder: folder / name if (folder / name).exists() else None


GENERAL: tuple[Format, ...] = (
    Format(
        name="npz",
        title="NumPy arrays",
        about="X and y, or X_train, y_train, X_test, y_test, in one file; sparse ones as CSR parts",
        read=read_npz,
        endings=(".npz",),
        accepts=lambda path: not is_scipy_matrix(path),
        find=_named("data.npz"),
    ),
    Format(
        name="texts",
        title="Texts as JSON lines",
        about='a folder with train.jsonl, test.jsonl (lines {"text": ..., "labels": [...]}) and labels.txt',
        read=read_texts,
        find=lambda folder: folder if part_file(folder, "train") or part_file(folder, "test") else None,
    ),
    Format(
        name="arff",
        title="ARFF",
        about="as Mulan (with an XML file of label names), MEKA (-C in @relation) and KEEL (@outputs) write it",
        read=read_mulan,
        endings=(".arff",),
        find=lambda folder: folder if arff_files(folder) else None,
    ),
    Format(
        name="hdf5",
        title="HDF5",
        about="X and y, or groups train and test with them; sparse ones as groups of CSR parts",
        read=read_hdf5,
        endings=(".h5", ".hdf5"),
        find=lambda folder: _in_folder(folder, "hdf5"),
    ),
    Format(
        name="scipy",
        title="SciPy matrices",
        about="features and labels as two files of scipy.sparse.save_npz, X.npz and Y.npz",
        read=read_scipy,
        endings=(".npz",),
        accepts=is_scipy_matrix,
        find=lambda folder: _in_folder(folder, "scipy", matrix_of_features),
    ),
    Format(
        name="pictures",
        title="Pictures with a CSV file",
        about="a folder of pictures and a CSV file: names of files, then tags or one 0/1 column a label",
        read=read_pictures,
        endings=ENDINGS,
        accepts=lists_pictures,
        find=lambda folder: _in_folder(folder, "pictures"),
        options=PictureOptions,
    ),
    Format(
        name="xmc",
        title="XMC text",
        about="a line `n_rows n_features n_labels`, then svmlight's rows; or features and labels in two files",
        read=read_xmc,
        endings=(".xmc",),
        looks_so=looks_like_xmc,
        find=lambda folder: _in_folder(folder, "xmc", of_features),
        options=SparseOptions,
    ),
    Format(
        name="svmlight",
        title="svmlight / libsvm",
        about="rows `label,label index:value index:value`, with several labels, one or none",
        read=read_svmlight,
        endings=(".svm", ".libsvm", ".svmlight"),
        looks_so=looks_like_svmlight,
        find=lambda folder: _in_folder(folder, "svmlight"),
        options=SvmlightOptions,
    ),
    Format(
        name="parquet",
        title="Sparse rows in Parquet",
        about="columns of lists: indices and values (or a struct of both, as Spark's vectors), and labels",
        read=read_sparse_parquet,
        endings=(".parquet", ".pq"),
        accepts=is_sparse_parquet,
        find=lambda folder: folder if is_sparse_parquet(folder) else _in_folder(folder, "parquet"),
        options=OpenSparseOptions,
    ),
    Format(
        name="tagged",
        title="LibMultiLabel texts",
        about="lines `id<TAB>label label<TAB>text` in a file that ends in .txt",
        read=read_tagged_texts,
        looks_so=looks_tagged,
        find=lambda folder: _in_folder(folder, "tagged"),
    ),
)
"""Formats of tools and of people's own data, in the order in which a folder is searched for them."""

FORMATS: tuple[Format, ...] = (*PUBLISHED, *GENERAL)
"""In the order in which a folder is searched: what owners publish may hold tables that general readers take as well."""
