"""Data sets with a public address: found in a local folder, or downloaded once, verified and kept."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from manylabel.data.build import About
from manylabel.data.cache import CACHE_VARIABLE
from manylabel.data.dataset import DataSet
from manylabel.data.formats.arrays import read_npz
from manylabel.data.formats.border import border, shown
from manylabel.data.formats.mulan import read_mulan
from manylabel.errors import ManyLabelError, missing_extra


@dataclass(frozen=True)
class RemoteFile:
    """A file to download.

    Attributes
    ----------
    name : str
        Appended to the entry's ``base`` address.
    bytes : int
    sha256 : str
    """

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Entry:
    """A data set of the catalogue.

    Attributes
    ----------
    name, about, source, licence, reference, split : str
    rows : (training rows, test rows)
    features, labels : int
    base : str
        Address of the folder of the files.
    files : tuple of RemoteFile
        Mulan's ``NAME.xml``, ``NAME-train.arff`` and ``NAME-test.arff``.
    digest : str
        Of the data set, see :class:`~manylabel.data.dataset.DataSet`.
    validation_rows : tuple of int, or None
        Published validation rows, as positions in the training file.
    """

    name: str
    about: str
    rows: tuple[int, int]
    features: int
    labels: int
    source: str
    licence: str
    reference: str
    split: str
    digest: str
    base: str
    files: tuple[RemoteFile, ...]
    validation_rows: tuple[int, ...] | None = None

    @property
    def bytes(self) -> int:
        """Size of the download."""
        return sum(file.bytes for file in self.files)


def parse_catalogue(text: str) -> dict[str, Entry]:
    """The entries of a catalogue in TOML, by name.

    Raises
    ------
    ManyLabelError
        If it is no TOML, or an entry lacks a field, has one too many, or one of another type.
    """
    with border("catalogue", "TOML with a table for each data set"):
        tables = tomllib.loads(text)
    entries = {}
    for name, table in tables.items():
        fields = ", ".join(f.name for f in dataclasses.fields(Entry))
        with border(f"catalogue, entry {shown(name)}", f"a table with {fields}"):
            entries[name] = _entry(name, table)
    return entries


@cache
def catalogue() -> dict[str, Entry]:
    """The entries that ship with the library, by name."""
    return parse_catalogue(
        resources.files("manylabel.data").joinpath("catalogue.toml").read_text(encoding="utf-8")
    )


def download(entry: Entry, folder: Path) -> Path:
    """Fetch what is missing of an entry into ``folder / NAME``, verify all of its files, return that folder.

    Raises
    ------
    ManyLabelError
        If an address cannot be reached, a file is not what it should be, or the folder cannot be written.
    """
    target = folder / entry.name
    for file in entry.files:
        _fetch(entry, file, target)
    return target


def load_entry(entry: Entry, folder: Path) -> DataSet:
    """Read a data set of the catalogue, downloading what is missing into ``folder / NAME``."""
    files = download(entry, folder)
    return read_copy(entry, files, f"downloaded to {files}")


def read_copy(entry: Entry, folder: Path, how: str) -> DataSet:
    """Read a copy of a data set of the catalogue, as arrays or as Mulan's files, and verify its content.

    Raises
    ------
    ManyLabelError
        If the files cannot be read, or hold other rows than the published ones.
    """
    about = About(entry.name, f"{entry.source}, {how}", entry.licence, f"{entry.split} ({entry.reference})")
    with border(folder, f"a copy of {entry.name} that can be read"):
        if (folder / "data.npz").exists():
            dataset = read_npz(folder / "data.npz", about)
        else:
            dataset = read_mulan(folder, about, entry.validation_rows)
    if dataset.digest != entry.digest:
        expected = f"the published {entry.name} (digest {entry.digest[:12]}...)"
        hint = f"Give a changed copy another name; without {folder} the published files are downloaded."
        raise ManyLabelError(str(folder), expected, f"other content ({dataset.digest[:12]}...)", hint)
    return dataset


def _entry(name: str, table: dict[str, Any]) -> Entry:
    files = tuple(RemoteFile(**file) for file in table.pop("files"))
    rows = table.pop("validation_rows", None)
    sizes = tuple(table.pop("rows"))
    return Entry(name=name, files=files, rows=sizes, validation_rows=rows and tuple(rows), **table)


def _pooch() -> Any:
    try:
        import pooch
    except ImportError:
        raise missing_extra("download", "pooch", "data") from None
    pooch.get_logger().setLevel("WARNING")
    return pooch


def _fetch(entry: Entry, file: RemoteFile, target: Path) -> None:
    pooch = _pooch()
    from requests import RequestException  # comes with pooch

    url, who = entry.base + file.name, f"data set {entry.name}"
    hint = "Check the connection, or name a folder that holds a copy with `data_dir` or MANYLABEL_DATA."
    try:
        pooch.retrieve(url, f"sha256:{file.sha256}", fname=file.name, path=target)
    except RequestException as error:
        raise ManyLabelError(who, f"to download {url}", _reason(error), hint) from None
    except OSError as error:
        hint = f"Name another folder with {CACHE_VARIABLE}."
        got = error.strerror or str(error)
        raise ManyLabelError(who, f"a folder {target} to write to", got, hint) from None
    except ValueError:  # pooch found another digest
        expected = f"{url} to have sha256 {file.sha256}"
        hint = f"The file has changed or was cut off. {hint}"
        raise ManyLabelError(who, expected, "another content", hint) from None


def _reason(error: Any) -> str:
    if error.response is not None:
        return f"HTTP status {error.response.status_code}"
    return f"no answer ({type(error).__name__})"
