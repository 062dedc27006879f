"""HDF5 files: ``X`` and ``y``, dense, or sparse as groups of CSR parts; nothing outside the file is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from manylabel.data.build import About
from manylabel.data.dataset import DataSet
from manylabel.data.formats.arrays import CSR_PARTS, UNFOLDED_BYTES, UNFOLDED_RATIO, read_arrays
from manylabel.data.formats.border import border, open_seekable
from manylabel.errors import ManyLabelError, missing_extra

_PLAIN = "an HDF5 file of plain arrays"
# deflate, shuffle, checksum, szip, nbit, scale-offset and LZF; any other filter is code that HDF5 loads from a folder.
_FILTERS = {1, 2, 3, 4, 5, 6, 32000}
_UNWRITTEN = 1100  # deflate makes at most 1032 to 1; beyond, most of an array was never written


def read_hdf5(path: Path, about: About) -> DataSet:
    """Read a data set from one HDF5 file.

    Parameters
    ----------
    path : Path
        Holds what :func:`~manylabel.data.formats.arrays.read_arrays` names, ``X`` and ``y`` among them: a data set, or
        a group of ``data``, ``indices``, ``indptr`` and ``shape`` (``shape`` may be an attribute). They may stand in
        groups ``train`` and ``test``. ``label_names`` and ``feature_names`` may be attributes of the file, or of y, X.
    about : About

    Raises
    ------
    ManyLabelError
        If the file cannot be read, lacks one of the arrays, points out of itself, needs a filter that does not come
        with HDF5, or unfolds to more than 1 GiB and more than 200 times its size.
    """
    try:
        import h5py
    except ImportError:
        raise missing_extra(str(path), "h5py", "data") from None
    with border(path, _PLAIN), open_seekable(path) as content, h5py.File(content, "r") as file:
        return read_arrays(Hdf5Arrays(path, file), about)


class Hdf5Arrays:
    """The arrays of an open HDF5 file, each checked before memory is asked for.

    Parameters
    ----------
    path : Path
        For messages.
    file : h5py.File
    """

    def __init__(self, path: Path, file: Any) -> None:
        self.path, self._file = path, file
        self._left = max(UNFOLDED_BYTES, UNFOLDED_RATIO * file.id.get_filesize())

    def __contains__(self, name: str) -> bool:
        return self._find(name) is not None or self._find(f"{name}_data") is not None

    @property
    def names(self) -> list[str]:
        return sorted(self._file)

    def get(self, name: str) -> np.ndarray[Any, Any] | None:
        """An array, a part of a sparse one (``X_data``), or names that stand in an attribute."""
        if name.endswith("_names"):
            return None if (names := self._names(name)) is None else np.asarray(names, dtype=object)
        owner, _, part = name.rpartition("_")
        group = self._find(owner) if part in CSR_PARTS else None
        if group is None or _is_array(group):
            found = self._find(name)
        elif part == "shape" and "shape" in group.attrs:
            return np.asarray(group.attrs["shape"])
        else:
            found = self._link(group, part)
        return self._read(name, found) if _is_array(found) else None

    def _find(self, name: str) -> Any:
        """A data set or group: ``X_train`` at the top, or ``X`` in the group ``train``."""
        found = self._link(self._file, name)
        owner, _, part = name.rpartition("_")
        if found is None and part in ("train", "test", "val"):
            group = self._link(self._file, part)
            return None if group is None or _is_array(group) else self._link(group, owner)
        return found

    def _link(self, group: Any, name: str) -> Any:
        """What a group has by a name; links that could lead out of the file are refused."""
        import h5py

        links, key = group.id.links, name.encode()  # group[name], and even "in", would follow a link
        if not name or not links.exists(key):
            return None
        if links.get_info(key).type != h5py.h5l.TYPE_HARD:
            hint = "Write the array itself into the file."
            raise ManyLabelError(f"{self.path}, {name}", _PLAIN, "a link to somewhere else", hint)
        return group[name]

    def _names(self, name: str) -> Any:
        found = self._link(self._file, name)
        if found is not None:
            return self._read(name, found)
        owners = (self._file, *map(self._find, ("y", "Y") if name == "label_names" else ("X",)))
        attributes = (owner.attrs for owner in owners if owner is not None)
        return next((own[name] for own in attributes if name in own), None)

    def data_set(self, name: str) -> Any:
        """A data set to be read row by row, with the checks of one that is read at once.

        Raises
        ------
        ManyLabelError
            If there is none of that name, and for what is refused of any array.
        """
        found = self._link(self._file, name)
        if not _is_array(found):
            raise ManyLabelError(str(self.path), f"a data set {name}", ", ".join(self.names) or "nothing")
        self._check(f"{self.path}, {name}", found)
        return found

    def _check(self, where: str, found: Any) -> bool:
        """Refuse what cannot be read safely; whether it is text."""
        import h5py

        is_text = h5py.check_string_dtype(found.dtype) is not None
        if found.dtype.hasobject and not is_text:
            raise ManyLabelError(where, _PLAIN, "references or rows of different lengths")
        if found.is_virtual or found.external:
            raise ManyLabelError(where, _PLAIN, "an array that lies in other files")
        self._check_filters(where, found)
        self._check_size(where, found)
        return is_text

    def _read(self, name: str, found: Any) -> np.ndarray[Any, Any]:
        where = f"{self.path}, {name}"
        with border(where, _PLAIN):
            is_text = self._check(where, found)
            return np.asarray(found.asstr()[()] if is_text else found[()])

    def _check_filters(self, where: str, found: Any) -> None:
        made = found.id.get_create_plist()
        filters = {made.get_filter(i)[0] for i in range(made.get_nfilters())}
        if filters - _FILTERS:
            hint = "Write it again with gzip, or without compression."
            raise ManyLabelError(
                where, "a filter that comes with HDF5", f"filter {min(filters - _FILTERS)}", hint
            )

    def _check_size(self, where: str, found: Any) -> None:
        size = int(np.prod(found.shape, dtype=object)) * found.dtype.itemsize
        stored = found.id.get_storage_size()
        if size > _UNWRITTEN * stored:
            got = f"{size} bytes by its shape {found.shape} and {stored} in the file"
            raise ManyLabelError(where, "an array that was written as a whole", got)
        self._left -= size
        if self._left < 0:
            mib = UNFOLDED_BYTES >> 20
            expected = f"arrays of at most {mib} MiB or {UNFOLDED_RATIO} times the size of the file together"
            hint = "If you trust the file, write it again without compression."
            raise ManyLabelError(where, expected, "more when unpacked", hint)


def _is_array(found: Any) -> bool:
    import h5py

    return isinstance(found, h5py.Dataset)
