"""One way in to all data sets: by the name of a known one, or by the path of one's own."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from manylabel.data.build import Like
from manylabel.data.dataset import DataSet
from manylabel.errors import ManyLabelError, did_you_mean

DATA_VARIABLE = "MANYLABEL_DATA"
DIGITS = "digits"


def load(
    name_or_path: str | Path,
    data_dir: str | Path | None = None,
    *,
    labels: str | Sequence[str] | None = None,
    undivided: bool = False,
    options: Mapping[str, Any] | None = None,
    like: Like | None = None,
) -> DataSet:
    """Load a data set.

    Parameters
    ----------
    name_or_path : str or Path
        ``"digits"`` (composed in memory), a name of the catalogue, the name of a folder in ``data_dir``, or
        the path of a file or folder of one of the formats of :mod:`manylabel.data.formats.registry` (npz, ARFF,
        svmlight, XMC text, HDF5, SciPy matrices, texts, pictures), packed with gzip or not; one file of a pair brings
        the other.
    data_dir : str or Path, optional
        Folder of local data sets, one folder each, which are not downloaded. Default: the variable ``MANYLABEL_DATA``.
    labels : str or sequence of str, optional
        Label columns: the path is that of a table then, as :func:`manylabel.data.read_table` takes it. What its columns
        mean is found out over all rows.
    undivided : bool, default False
        Whether the rows of a path or local folder without a published split stay together, in the order of their file,
        in place of the test part that is drawn from them: both parts are then all rows.
    options : mapping, optional
        Settings of the reader of a path or local folder, such as ``{"side": 224}`` for pictures; a folder may also name
        them in its ``card.json`` under ``read``. Which there are stands on the page of the format.
    like : Like, optional
        Features and labels of a model, for files that tell them by what occurs. With ``unlabelled`` none are needed.

    Returns
    -------
    DataSet
        Its ``source`` says which copy was read.

    Raises
    ------
    ManyLabelError
        If there is no such data set, it cannot be downloaded, or it holds what cannot be used, by file and line.

    Examples
    --------
    >>> from manylabel import data
    >>> scenes = data.load("digits")
    >>> scenes.train.X.shape
    torch.Size([3000, 1, 32, 32])
    """
    name, folder = str(name_or_path), _local_folder(data_dir)
    if labels:
        return _from_table(name, labels, undivided, options)
    if isinstance(name_or_path, os.PathLike) or Path(name).name != name:
        return _from_path(Path(name), undivided, options, like)
    found = _digits(options) if name == DIGITS else _by_name(name, folder, undivided, options, like)
    if found is None:
        raise _unknown(name, data_dir)
    return _beside_its_namesake(found, name, folder)


def _beside_its_namesake(found: DataSet, name: str, folder: Path | None) -> DataSet:
    """The data set of a name, with a remark where a folder of that name lies here and was not read."""
    here = Path(name)
    if not here.is_dir() or name not in names(folder):
        return found
    if folder and (folder / name).resolve() == here.resolve():
        return found
    told = f"{name} is the known data set of this name, not the folder here: give .{os.sep}{name} for that."
    return replace(found, remarks=(*found.remarks, told))


def _digits(options: Mapping[str, Any] | None) -> DataSet:
    from manylabel.data.digits import compose_digits
    from manylabel.data.formats.options import refuse_options

    refuse_options(options or {}, DIGITS)
    return compose_digits()


def _by_name(
    name: str, folder: Path | None, undivided: bool, options: Mapping[str, Any] | None, like: Like | None
) -> DataSet | None:
    """A local copy, else what the catalogue knows, else a file of that name; None without any."""
    from manylabel.data.cache import cache_folder
    from manylabel.data.catalogue import catalogue, load_entry, read_copy
    from manylabel.data.formats.folder import read_folder

    entry = catalogue().get(name)
    if name and folder and (folder / name).is_dir():
        copy = folder / name
        if entry:
            return read_copy(entry, copy, f"local copy {copy}", options, like)
        return read_folder(copy, undivided, options, like)
    if entry:
        return load_entry(entry, cache_folder(), options, like)
    if name and Path(name).exists():
        return _from_path(Path(name), undivided, options, like)
    return None


def names(data_dir: str | Path | None = None) -> tuple[str, ...]:
    """The names that :func:`load` knows: ``digits``, the catalogue, and the data sets in ``data_dir``."""
    from manylabel.data.catalogue import catalogue
    from manylabel.data.formats.folder import is_data_folder

    folder = _local_folder(data_dir)
    local = [child.name for child in folder.iterdir() if is_data_folder(child)] if folder else []
    return (DIGITS, *sorted({*catalogue(), *local} - {DIGITS}))


def seen_from(folder: str | Path, name_or_path: str, data_dir: str | Path | None = None) -> str:
    """What :func:`load` takes of a name or path that was written in another folder: a relative path joined to it."""
    path, known = os.path.join(folder, name_or_path), Path(name_or_path).name == name_or_path
    if known and (name_or_path in names(data_dir) or not (_is_there(path))):
        return name_or_path
    return path


def _is_there(path: str) -> bool:
    """Whether there is such a file or folder, or a file with such a part."""
    return os.path.exists(path) or os.path.exists(path.rpartition("#")[0])


def _local_folder(data_dir: str | Path | None) -> Path | None:
    given = data_dir or os.environ.get(DATA_VARIABLE)
    if not given:
        return None
    if not Path(given).is_dir():
        raise ManyLabelError(
            "`data_dir`", "an existing folder", str(given), f"Correct `data_dir` or {DATA_VARIABLE}."
        )
    return Path(given)


def _from_path(path: Path, undivided: bool, options: Mapping[str, Any] | None, like: Like | None) -> DataSet:
    from manylabel.data.formats.border import border
    from manylabel.data.formats.folder import read_folder
    from manylabel.data.formats.registry import read_file

    with border(path, "a data set that can be read"):
        if not path.exists():
            raise ManyLabelError(str(path), "an existing file or folder", "nothing there")
        if path.is_dir():
            return read_folder(path, undivided, options, like)
        if not path.is_file():
            raise ManyLabelError(
                str(path), "a file or folder", "a device, socket or pipe", "Copy it into a file."
            )
        return read_file(path, undivided, options, like)


def _from_table(
    source: str, labels: str | Sequence[str], undivided: bool, options: Mapping[str, Any] | None
) -> DataSet:
    from manylabel.data.build import About, Part, assemble
    from manylabel.data.formats.options import refuse_options
    from manylabel.data.formats.parts import stem
    from manylabel.data.formats.table_registry import may_be_table
    from manylabel.data.tables import read_table

    refuse_options(options or {}, source)
    path, is_known = Path(source), source in names() and not _is_there(source)
    if is_known or (path.is_file() and path.suffix and not may_be_table(path)):
        got = f"{source}, a known data set" if is_known else source
        hint = "A data set that is no table brings its labels: leave `labels` out. A table ends in .csv, .parquet, ..."
        raise ManyLabelError("`labels`", "the path of a table beside them", got, hint)
    table = read_table(source, labels=labels)
    about = About(stem(Path(source)), table.where, remarks=table.told, undivided=undivided)
    return assemble(about, Part(table.X, table.Y, table.where), label_names=table.label_names)


def _unknown(name: str, data_dir: str | Path | None) -> ManyLabelError:
    known = names(data_dir)
    otherwise = (
        f"Name the folder that holds its folder with `data_dir` or {DATA_VARIABLE}, or give the path of a file "
        "or folder."
    )
    hint = did_you_mean(name, known, otherwise)
    return ManyLabelError("data set", f"one of {', '.join(known)}, or a path", repr(name), hint)
