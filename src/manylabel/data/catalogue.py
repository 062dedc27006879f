"""Data sets with a public address: found in a local folder, or downloaded, verified and kept, or told how to get."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from manylabel.data.build import About, Like
from manylabel.data.dataset import DataSet
from manylabel.data.downloads import RemoteFile, fetch
from manylabel.data.formats.border import border, shown
from manylabel.data.formats.folder import about_of, has_card
from manylabel.data.formats.mulan import read_mulan
from manylabel.data.formats.options import refuse_options
from manylabel.errors import ManyLabelError

_OWN = ("rows", "labels", "files", "digest", "validation_rows")  # what no entry has from another


class OnlyByHand(ManyLabelError):
    """A data set of the catalogue whose files only a person can get, and that is not there."""


@dataclass(frozen=True)
class Entry:
    """A data set of the catalogue.

    Attributes
    ----------
    name, about, source, licence, reference, split : str
    rows : (training rows, test rows), optional
        As published, validation rows among the training rows; the second is 0 where no split is published.
    labels : int, optional
    format : str, default "arff"
        Of :data:`manylabel.data.formats.registry.FORMATS`.
    features : int, optional
        Of vectors.
    base : str
        Address of the folder of the files.
    files : tuple of RemoteFile
        What is downloaded; none where only a person can get the files.
    steps : tuple of str
        What a person does to get them.
    agreement : str
        What has to be agreed to before; empty where nothing has.
    digest : str
        Of the data set, see :class:`~manylabel.data.dataset.DataSet`; empty where it is not known.
    validation_rows : tuple of int, or None
        Published validation rows, as positions in the training file.
    read : mapping
        Settings of the reader.
    published : str
        The name under which tables of papers have it, where it is another one.
    """

    name: str
    about: str
    source: str
    licence: str
    reference: str
    split: str
    rows: tuple[int, int] | None = None
    labels: int | None = None
    format: str = "arff"
    features: int | None = None
    base: str = ""
    files: tuple[RemoteFile, ...] = ()
    steps: tuple[str, ...] = ()
    agreement: str = ""
    digest: str = ""
    validation_rows: tuple[int, ...] | None = None
    read: Mapping[str, Any] = field(default_factory=dict)
    published: str = ""

    @property
    def bytes(self) -> int:
        """Size of the download, as far as it is known."""
        return sum(file.bytes for file in self.files)

    def told(self, folder: Path) -> str:
        """What a person does to have the files in ``folder``, in lines."""
        agreed = [f"Agree to: {self.agreement}."] if self.agreement else []
        steps = [*agreed, *self.steps, f"Put it all into {folder / self.name}."]
        return "\n".join(f"{number}. {step}" for number, step in enumerate(steps, start=1))


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
        with border(f"catalogue, entry {shown(name)}", f"a table with {fields}, or `like`"):
            tables[name] = _whole(table, tables)
            entries[name] = _entry(name, dict(tables[name]))
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
        If only a person can get the files, which the message says how; an address cannot be reached, a file is not
        what it should be, or the folder cannot be written.
    """
    target = folder / entry.name
    if not entry.files and not target.is_dir():
        hint = f"Its files cannot be downloaded by a program:\n{entry.told(folder)}"
        raise OnlyByHand(f"data set {entry.name}", f"a copy in {target}", "none", hint)
    for file in entry.files:
        fetch(f"data set {entry.name}", file.url or entry.base + file.name, file, target)
    return target


def load_entry(
    entry: Entry, folder: Path, options: Mapping[str, Any] | None = None, like: Like | None = None
) -> DataSet:
    """Read a data set of the catalogue, downloading what is missing into ``folder / NAME``."""
    files = download(entry, folder)
    how = f"downloaded to {files}" if entry.files else f"copy {files}"
    return read_copy(entry, files, how, options, like)


def read_copy(
    entry: Entry,
    folder: Path,
    how: str,
    options: Mapping[str, Any] | None = None,
    like: Like | None = None,
) -> DataSet:
    """Read a copy of a data set of the catalogue, as arrays or as its owners publish it, and verify its content.

    Parameters
    ----------
    entry : Entry
    folder : Path
    how : str
        How the copy was found, for its source.
    options : mapping, optional
        Settings of the reader, above those of the entry, which hold for files as their owners publish them.
    like : Like, optional
        Features of a model. Labels are those of the data set.

    Raises
    ------
    ManyLabelError
        If the files cannot be read, or hold other rows than the published ones.
    """
    about = About(entry.name, f"{entry.source}, {how}", entry.licence, f"{entry.split} ({entry.reference})")
    if not entry.digest and has_card(folder):
        about = dataclasses.replace(
            about_of(folder), name=entry.name
        )  # a copy made by somebody tells of itself
    like = (like or Like()).of_features
    of_card = {name: value for name, value in about.options.items() if name not in like.settled}
    about = dataclasses.replace(about, options={**of_card, **(options or {})}, like=like)
    with border(folder, f"a copy of {entry.name} that can be read"):
        dataset = _read(entry, folder, about)
    if entry.digest and dataset.digest != entry.digest:
        expected = f"the published {entry.name} (digest {entry.digest[:12]}...)"
        hint = f"Give a changed copy another name; without {folder} the published files are downloaded."
        raise ManyLabelError(str(folder), expected, f"other content ({dataset.digest[:12]}...)", hint)
    return dataset


def _read(entry: Entry, folder: Path, about: About) -> DataSet:
    """The data set in a folder: the format of the entry, or another one that a copy was written in."""
    from manylabel.data.formats.registry import FORMATS, format_of_folder

    arrays, own = (
        next(format for format in FORMATS if format.name == name) for name in ("npz", entry.format)
    )
    if content := arrays.find(folder):
        return arrays.load(content, about)
    content = own.find(folder)
    if content is None:
        found = format_of_folder(folder)
        if found is None:
            hint = f"What belongs there:\n{entry.told(folder.parent)}" if entry.steps else ""
            raise ManyLabelError(str(folder), f"the files of {entry.name} ({own.about})", "others", hint)
        own, content = found
    else:
        about = dataclasses.replace(about, options={**entry.read, **about.options})
    if own.name == "arff" and entry.validation_rows is not None:
        refuse_options(about.options, str(content))
        return read_mulan(content, about, entry.validation_rows)
    return own.load(content, about)


def _whole(table: dict[str, Any], tables: dict[str, Any]) -> dict[str, Any]:
    """A table, and what it has from the one before it that it is like."""
    like = table.pop("like", None)
    return table if like is None else {k: v for k, v in tables[like].items() if k not in _OWN} | table


def _entry(name: str, table: dict[str, Any]) -> Entry:
    base = table.get("base", "")
    files = tuple(RemoteFile(**file) for file in table.pop("files", ()))
    if any(not (file.url or base) for file in files):
        raise ValueError("files without a base address")
    if not files and not table.get("steps"):
        raise ValueError("neither files nor steps of a person")
    rows = table.pop("validation_rows", None)
    n_train, n_test = table.pop("rows", (None, None))
    steps = tuple(step.replace("{name}", name) for step in table.pop("steps", ()))
    return Entry(
        name=name,
        files=files,
        rows=None if n_train is None else (n_train, n_test),
        validation_rows=rows and tuple(rows),
        steps=steps,
        **table,
    )
