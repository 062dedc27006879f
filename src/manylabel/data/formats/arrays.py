"""Arrays of an npz file, dense as they are or sparse as CSR parts; nothing is unpickled."""

from __future__ import annotations

import math
import os
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from manylabel.data.build import About, Like, Part, assemble
from manylabel.data.dataset import DataSet
from manylabel.data.formats.border import border, open_seekable, shown
from manylabel.data.formats.foreign import hint_for_arrays
from manylabel.data.rows.registry import stacked
from manylabel.errors import ManyLabelError

CSR_PARTS = ("data", "indices", "indptr", "shape")
_FORM = "arrays X_train, y_train, X_test, y_test, or X and y (sparse: X_data, X_indices, X_indptr, X_shape)"
_PLAIN = "an npz file of plain arrays"
_HINT = "Write it with numpy.savez_compressed, without object arrays."
UNFOLDED_BYTES = 1 << 30  # the arrays of a file may always take so much
UNFOLDED_RATIO = (
    200  # and beyond it so many times its size: sparse labels pack 50 to 1, crafted zeros 1000 to 1
)
MOST_COLUMNS = {"X": 2**31 - 1, "Y": 2**22}  # what SciPy indexes; more labels than any public data set has


class Store(Protocol):
    """Named arrays of a file: what data sets of arrays are read from, whatever the file is."""

    path: Path

    def __contains__(self, name: str) -> bool: ...

    def get(self, name: str) -> np.ndarray[Any, Any] | None:
        """An array, or None where the file has none of that name."""

    @property
    def names(self) -> list[str]:
        """Of all arrays; ``A_data``, ``A_indices``, ``A_indptr``, ``A_shape`` where A is sparse."""


def read_arrays(arrays: Store, about: About) -> DataSet:
    """Read a data set from named arrays.

    Parameters
    ----------
    arrays : Store
        ``X_train``, ``y_train``, ``X_test``, ``y_test``, or ``X`` and ``y`` without a split; besides, where
        known, ``X_val`` and ``y_val`` (kept as validation rows of the training part), ``val_rows``,
        ``label_names`` and ``feature_names``. Labels may be ``Y`` as well. A sparse array ``A`` is stored as
        ``A_data``, ``A_indices``, ``A_indptr``, ``A_shape``. Other arrays are not read, and a remark names
        them. Labels of rows to be predicted are not read.
    about : About

    Raises
    ------
    ManyLabelError
        If one of the arrays is lacking, or they hold what a data set cannot.
    """
    test, validation = None, None
    suffixes: tuple[str, ...] = ("_train", "_test", "_val")
    if "X_train" in arrays:
        train, test = _part(arrays, "_train", about.like), _part(arrays, "_test", about.like)
        validation = arrays.get("val_rows")
        if "X_val" in arrays:
            train, validation = joined(train, _part(arrays, "_val", about.like))
    elif "X" in arrays:
        train, suffixes = _part(arrays, "", about.like), ("",)
    else:
        raise ManyLabelError(str(arrays.path), _FORM, _told(arrays), hint_for_arrays(arrays.names))
    return assemble(
        replace(about, remarks=(*about.remarks, *_unread(arrays, suffixes))),
        train,
        test,
        label_names=about.like.columns if about.like.unlabelled else arrays.get("label_names"),
        feature_names=arrays.get("feature_names"),
        validation_rows=validation,
    )


def _unread(arrays: Store, suffixes: tuple[str, ...]) -> list[str]:
    """A remark on arrays that no part of the data set is made of."""
    read = {f"{kind}{suffix}" for kind in "XyY" for suffix in suffixes}
    read |= {f"{name}_{part}" for name in read for part in CSR_PARTS}
    read |= {"label_names", "feature_names", *(["val_rows"] if "_train" in suffixes else [])}
    left = [name for name in arrays.names if name not in read]
    return [f"Arrays that are not read: {_listed(left)}."] if left else []


def _told(arrays: Store) -> str:
    """The names, for a message."""
    return _listed(arrays.names) or "no arrays"


def _listed(names: list[str]) -> str:
    return ", ".join(shown(n)[1:-1] for n in names[:12]) + (", ..." if names[12:] else "")


def read_npz(path: Path, about: About) -> DataSet:
    """Read a data set from one npz file: the arrays that :func:`read_arrays` names.

    Raises
    ------
    ManyLabelError
        If the file cannot be read, lacks one of the arrays, unfolds to more than 1 GiB and more than 200 times its
        size, or holds what a data set cannot.
    """
    with border(path, _PLAIN, _HINT), open_seekable(path) as content, Arrays(path, content) as arrays:
        return read_arrays(arrays, about)


class Arrays:
    """The arrays of an npz file, each checked against the file before memory is asked for.

    Parameters
    ----------
    path : Path
        For messages.
    content : binary file
        Open, and able to seek.
    """

    def __init__(self, path: Path, content: BinaryIO) -> None:
        self.path = path
        self.size = content.seek(0, os.SEEK_END)
        content.seek(0)
        if content.read(6) == b"\x93NUMPY":
            hint = "This is one array of numpy.save: write it with its labels by numpy.savez_compressed(X=..., y=...)."
            raise ManyLabelError(str(path), _PLAIN, "an npy file by another name", hint)
        self._archive = zipfile.ZipFile(content)
        members = self._archive.infolist()
        self._members = {info.filename.removesuffix(".npy"): info for info in members}
        self._left = max(UNFOLDED_BYTES, UNFOLDED_RATIO * self.size)

    def __enter__(self) -> Arrays:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def __contains__(self, name: str) -> bool:
        return name in self._members or f"{name}_data" in self._members

    @property
    def names(self) -> list[str]:
        return sorted(self._members)

    def get(self, name: str) -> np.ndarray[Any, Any] | None:
        """An array, or None where the file has none of that name."""
        info = self._members.get(name)
        if info is None:
            return None
        with border(f"{self.path}, array {name}", _PLAIN, _HINT), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that Python 2, or nobody, wrote
            self._check(name, info)
            with self._archive.open(info) as file:
                return np.lib.format.read_array(file, allow_pickle=False)

    def _check(self, name: str, info: zipfile.ZipInfo) -> None:
        """Refuse an array that its header makes larger than what the file can hold."""
        where = f"{self.path}, array {name}"
        with self._archive.open(info) as file:
            version = np.lib.format.read_magic(file)
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            shape, _, dtype = read[version](file)
            start = file.tell()
        if dtype.hasobject:
            raise ManyLabelError(where, _PLAIN, "an object array, which only pickle could load", _HINT)
        if min(shape, default=0) < 0:
            raise ManyLabelError(where, _PLAIN, f"the shape {shape}", _HINT)
        declared, held = math.prod(shape) * dtype.itemsize, info.file_size - start
        if declared != held or info.compress_size > self.size:
            got = f"a header of shape {shape} ({declared} bytes) before {max(held, 0)} bytes"
            raise ManyLabelError(
                where, "as many bytes as its header declares", got, "The file is damaged: write it again."
            )
        self._left -= declared
        if self._left < 0:
            mib = UNFOLDED_BYTES >> 20
            expected = f"arrays of at most {mib} MiB or {UNFOLDED_RATIO} times the packed size together"
            hint = "If you trust the file, write it again with numpy.savez, which does not pack."
            raise ManyLabelError(where, expected, "more when unpacked", hint)


def joined(train: Part, validation: Part) -> tuple[Part, np.ndarray[Any, Any]]:
    """The rows of both, and the positions of the second among them."""
    n = train.Y.shape[0]
    try:
        both = Part(stacked(train.X, validation.X), stacked(train.Y, validation.Y), train.where)
    except ValueError as error:
        raise ManyLabelError(validation.where, f"the columns of {train.where}", str(error)) from None
    return both, np.arange(n, both.Y.shape[0])


def _part(arrays: Store, suffix: str, like: Like) -> Part:
    X = _matrix(arrays, f"X{suffix}")
    Y = like.no_labels(X.shape[0]) if like.unlabelled else _matrix(arrays, f"y{suffix}", f"Y{suffix}")
    return Part(X, Y, f"{arrays.path}, X{suffix} and y{suffix}")


def _matrix(arrays: Store, *names: str) -> Any:
    for name in names:
        dense = arrays.get(name)
        if dense is not None and dense.ndim == 0:
            hint = "Store one row for each example."
            raise ManyLabelError(
                f"{arrays.path}, array {name}", "an array with at least one row", "one number", hint
            )
        if dense is not None:
            return dense
        if name in arrays:
            return _csr(arrays, name)
    raise ManyLabelError(str(arrays.path), _FORM, f"no array {names[0]}")


def _csr(arrays: Store, name: str) -> Any:
    import scipy.sparse as sp

    expected = f"the CSR parts of {name}: {', '.join(CSR_PARTS)}"
    with border(
        arrays.path, expected, "Store the attributes data, indices, indptr and shape of a SciPy CSR matrix."
    ):
        data, indices, indptr, shape = (_csr_array(arrays, f"{name}_{part}") for part in CSR_PARTS)
        rows, columns = (int(n) for n in shape)
        most = MOST_COLUMNS[name[0].upper()]
        if (rows, columns) != tuple(shape) or not 0 <= columns <= most or rows != len(indptr) - 1:
            got = f"a shape {shape.tolist()} beside {len(indptr)} offsets"
            raise ManyLabelError(str(arrays.path), f"{expected}, of at most {most} columns", got)
        if data.dtype.kind not in "biuf" or {indices.dtype.kind, indptr.dtype.kind} - set("iu"):
            raise ManyLabelError(
                str(arrays.path), expected, f"types {data.dtype}, {indices.dtype}, {indptr.dtype}"
            )
        matrix = sp.csr_matrix((data, indices, indptr), shape=(rows, columns))
        matrix.check_format()
        return matrix


def _csr_array(arrays: Store, name: str) -> np.ndarray[Any, Any]:
    array = arrays.get(name)
    if array is None or array.ndim != 1:
        got = f"no array {name}" if array is None else f"{name} of shape {array.shape}"
        raise ManyLabelError(
            str(arrays.path), f"the CSR parts of {name.rpartition('_')[0]}: {', '.join(CSR_PARTS)}", got
        )
    return array
