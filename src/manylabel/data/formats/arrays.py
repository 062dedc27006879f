"""Arrays of an npz file, dense as they are or sparse as CSR parts; nothing is unpickled."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from manylabel.data.assembly import About, Part, assemble
from manylabel.data.dataset import DataSet
from manylabel.errors import ManyLabelError

_CSR = ("data", "indices", "indptr", "shape")
_FORM = "arrays X_train, y_train, X_test, y_test, or X and y (sparse: X_data, X_indices, X_indptr, X_shape)"


def read_npz(path: Path, about: About) -> DataSet:
    """Read a data set from one npz file.

    Parameters
    ----------
    path : Path
        ``X_train``, ``y_train``, ``X_test``, ``y_test``, or ``X`` and ``y`` without a split; besides, where
        known, ``X_val`` and ``y_val`` (kept as validation rows of the training part), ``val_rows``,
        ``label_names`` and ``feature_names``. A sparse array ``A`` is stored as ``A_data``, ``A_indices``,
        ``A_indptr``, ``A_shape``.
    about : About

    Raises
    ------
    ManyLabelError
        If the file cannot be read, lacks one of the arrays, or holds what a data set cannot.
    """
    arrays = _read(path)
    test, validation = None, None
    if _has(arrays, "X_train"):
        train, test = _part(arrays, "_train", path), _part(arrays, "_test", path)
        validation = arrays.get("val_rows")
        if _has(arrays, "X_val"):
            train, validation = joined(train, _part(arrays, "_val", path))
    elif _has(arrays, "X"):
        train = _part(arrays, "", path)
    else:
        raise _without_features(path, arrays)
    return assemble(
        about,
        train,
        test,
        label_names=arrays.get("label_names"),
        feature_names=arrays.get("feature_names"),
        validation_rows=validation,
    )


def joined(train: Part, validation: Part) -> tuple[Part, np.ndarray[Any, Any]]:
    """The rows of both, and the positions of the second among them."""
    n = len(train.X) if isinstance(train.X, list) else train.X.shape[0]
    try:
        both = Part(_stack(train.X, validation.X), _stack(train.Y, validation.Y), train.where)
    except ValueError as error:
        raise ManyLabelError(validation.where, f"the columns of {train.where}", str(error)) from None
    return both, np.arange(n, len(both.X) if isinstance(both.X, list) else both.X.shape[0])


def _stack(first: Any, second: Any) -> Any:
    if isinstance(first, list):
        return first + second
    if hasattr(first, "tocsr") or hasattr(second, "tocsr"):
        import scipy.sparse as sp

        return sp.vstack([sp.csr_matrix(first), sp.csr_matrix(second)], format="csr")
    return np.concatenate([first, second])


def _without_features(path: Path, arrays: dict[str, Any]) -> ManyLabelError:
    hint = "These are labels without features, which nothing can be trained on: add X_train and X_test."
    got = ", ".join(sorted(arrays)) or "no arrays"
    return ManyLabelError(str(path), _FORM, got, hint if "y_train" in arrays else "")


def _read(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    try:
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except OSError as error:
        if error.errno is not None:
            raise ManyLabelError(str(path), "a readable file", error.strerror or str(error)) from None
        got = str(error)
    except (ValueError, EOFError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        got = str(error) or type(error).__name__
    hint = "Write it with numpy.savez_compressed, without object arrays."
    raise ManyLabelError(str(path), "an npz file of plain arrays", got.splitlines()[0], hint)


def _has(arrays: dict[str, Any], name: str) -> bool:
    return name in arrays or f"{name}_data" in arrays


def _part(arrays: dict[str, Any], suffix: str, path: Path) -> Part:
    X = _matrix(arrays, (f"X{suffix}",), path)
    Y = _matrix(arrays, (f"y{suffix}", f"Y{suffix}"), path)
    return Part(X, Y, f"{path}, X{suffix} and y{suffix}")


def _matrix(arrays: dict[str, Any], names: tuple[str, ...], path: Path) -> Any:
    for name in names:
        if name in arrays:
            return arrays[name]
        if f"{name}_data" in arrays:
            return _csr(arrays, name, path)
    raise ManyLabelError(str(path), _FORM, f"no array {names[0]}")


def _csr(arrays: dict[str, Any], name: str, path: Path) -> Any:
    import scipy.sparse as sp

    try:
        data, indices, indptr, shape = (arrays[f"{name}_{part}"] for part in _CSR)
        matrix = sp.csr_matrix((data, indices, indptr), shape=tuple(int(n) for n in shape))
        matrix.check_format()
    except (KeyError, ValueError, TypeError) as error:
        raise ManyLabelError(str(path), f"the CSR parts of {name}: {', '.join(_CSR)}", str(error)) from None
    return matrix
