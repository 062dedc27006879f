"""Model folders: model.json and safetensors files, written atomically, checked before they are read; no code in them.

::

    MODEL/model.json             format, versions, recipe, labels, input, note, parts, digests
    MODEL/PART-DIGEST.safetensors    the tensors of one part, named by a digest of what they are

A new model.json takes the place of the old one in one step, once its files are beside those of the old one: a kill
leaves the old model or the new one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from manylabel import files
from manylabel.data.build import Like
from manylabel.errors import ManyLabelError
from manylabel.methods.part import Part
from manylabel.methods.versions import versions
from manylabel.training.checkpoint import Tensors

FORMAT = 1
RECORD = "model.json"
OWN_FILES = (RECORD, "*.safetensors")
"""Patterns of the files that a model folder is made of."""
EARLIER = ("model.safetensors", "model.joblib")
"""Files in which versions without model folders kept a model."""

_FILE = re.compile(r"[\w-]+(\.[\w-]+)*-[0-9a-f]{16}\.safetensors")
_AGAIN = "Take the folder from a copy, or train and save again."


class Schema(BaseModel):
    """What rows a model takes.

    Attributes
    ----------
    kind : str
        Of features, as recipes call it.
    form : str
        What rows have to agree with, as :attr:`manylabel.data.rows.Features.form` says it.
    feature_names : tuple of n_features str, or None
        In the order of the training rows, where their file named them.
    reading : dict
        Settings of their reader that new rows are read with, see :attr:`manylabel.data.DataSet.reading`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    form: str
    feature_names: tuple[str, ...] | None = None
    reading: dict[str, Any] = {}

    @property
    def like(self) -> Like:
        """What new rows have to be like: how many numbers they have, or how large pictures are."""
        width = re.fullmatch(r"shape \((\d+),\)", self.form)
        if width:
            return Like(int(width[1]), feature_names=self.feature_names, reading=self.reading)
        shape = re.fullmatch(r"shape \((\d+), (\d+), (\d+)\)", self.form) if self.kind == "images" else None
        size = (int(shape[1]), int(shape[2]), int(shape[3])) if shape else None
        return Like(picture_shape=size, reading=self.reading)


class PartRecord(BaseModel):
    """A part of a model, its tensors in a file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: str
    meta: dict[str, Any]
    file: str | None
    parts: dict[str, PartRecord]


class Contents(BaseModel):
    """What a model folder tells beside its parts.

    Attributes
    ----------
    recipe : dict
        The settings of the method, resolved for the kind of rows.
    label_names : tuple of n_labels str
    input : Schema
    note : str
        What a reader of the decisions should know.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    recipe: dict[str, Any]
    label_names: tuple[str, ...]
    input: Schema
    note: str


class ModelRecord(Contents):
    """``model.json``."""

    format: int
    versions: dict[str, str]
    parts: dict[str, PartRecord]
    sha256: dict[str, str]


def write(folder: str | Path, contents: Contents, parts: Mapping[str, Part]) -> None:
    """Write a model, or leave the one that is there as it was.

    Parameters
    ----------
    folder : str or Path
        It is made, with its parents, where it is missing; a model in it is replaced.
    contents : Contents
    parts : mapping of str to Part
        A name of letters, digits and hyphens each.

    Raises
    ------
    ManyLabelError
        If the folder cannot be written, holds other files than those of a model, or another process writes there.
    """
    place = usable_place(folder)
    with files.Lock(place, f"save, folder {place}"):
        digests: dict[str, str] = {}
        trees = {name: _written(place, name, part, digests) for name, part in parts.items()}
        body = {
            "format": FORMAT,
            "versions": versions(),
            **contents.model_dump(),
            "parts": {name: tree.model_dump() for name, tree in trees.items()},
            "sha256": digests,
        }
        text = json.dumps(body | {"digest": _digest_of(body)}, indent=1, allow_nan=False)
        files.write(place / RECORD, text.encode())
        for path in place.iterdir():
            if _FILE.fullmatch(path.name) and path.name not in digests:
                with suppress(OSError):  # an old model's; somebody may hold it open
                    path.unlink()


def read(folder: str | Path) -> tuple[ModelRecord, dict[str, Part]]:
    """Read what :func:`write` wrote.

    Returns
    -------
    record : ModelRecord
    parts : dict of str to Part

    Raises
    ------
    ManyLabelError
        If there is no model, it is damaged or incomplete, or another version wrote it in another form.
    """
    place = files.as_path(folder, "load")
    record = _record(place)
    tensors = {name: _tensors(place / name, digest) for name, digest in record.sha256.items()}
    named = [part.file for part in _all(record.parts) if part.file is not None]
    if sorted(named) != sorted(tensors):
        raise _damaged(place / RECORD, "parts whose files have no digests")
    return record, {name: _part(part, tensors) for name, part in record.parts.items()}


def _written(place: Path, path: str, part: Part, digests: dict[str, str]) -> PartRecord:
    """Write the files of a part and of those within it."""
    name = None
    if part.tensors:
        content = _serialised(part.tensors)
        digest = hashlib.sha256(content).hexdigest()
        name = f"{path}-{digest[:16]}.safetensors"
        if not (place / name).is_file() or (place / name).read_bytes() != content:
            files.write(place / name, content)
        digests[name] = digest
    inner = {key: _written(place, f"{path}.{key}", within, digests) for key, within in part.parts.items()}
    return PartRecord(type=part.type, meta=part.meta, file=name, parts=inner)


def _serialised(tensors: Tensors) -> bytes:
    from safetensors.torch import save

    return save(
        {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    )  # none shares memory


def weights_digest(folder: str | Path) -> str:
    """What tells the tensors of a model from those of any other; "" where no model can be read."""
    try:
        record = _record(files.as_path(folder, "load"))
    except ManyLabelError:
        return ""
    return hashlib.sha256("".join(sorted(record.sha256.values())).encode()).hexdigest()


def holds_model(folder: str | Path) -> bool:
    """Whether there is a model in a folder, which :func:`write` would replace."""
    return (Path(folder) / RECORD).exists()


def usable_place(folder: str | Path) -> Path:
    """A folder that a model can be written to; it is made where it is missing.

    Raises
    ------
    ManyLabelError
        If it cannot be written, or holds something else, as a home does: a model would be lost among its files.
    """
    place = files.usable_folder(folder, "save, folder")
    names = {path.name for path in place.iterdir()}
    if RECORD in names or all(_FILE.fullmatch(name) or files.is_own(name) for name in names):
        return place
    expected, hint = "a new or empty folder, or one of a model", "Name another folder."
    raise ManyLabelError(f"save, folder {place}", expected, "a folder with other files", hint)


def _record(place: Path) -> ModelRecord:
    """The checked ``model.json`` of a folder."""
    path = place / RECORD
    try:
        found = json.loads(path.read_bytes())
        version, form = found["versions"]["manylabel"], found["format"]
        if not isinstance(form, int) or not isinstance(version, str):
            raise TypeError("no format")
    except OSError as error:
        raise _no_model(place, error) from None
    except Exception as error:  # whatever damage makes of it
        raise _damaged(path, f"an unreadable file ({type(error).__name__}: {str(error)[:100]})") from error
    if form != FORMAT:
        hint = f"Read it with manylabel {version:.40}, or with a version that is as new."
        got = f"one of format {form}, as version {version:.40} wrote it"
        raise ManyLabelError(str(path), f"a model of format {FORMAT}", got, hint)
    digest = found.pop("digest", None)
    try:
        if digest != _digest_of(found):
            raise _damaged(path, "a damaged file: another content than was written")
        return ModelRecord.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        raise _damaged(path, f"{first['msg']} at {'.'.join(map(str, first['loc']))}") from None
    except RecursionError as error:
        raise _damaged(path, "one within the other without an end") from error


def _no_model(place: Path, error: OSError) -> ManyLabelError:
    """The error for a place without a model.json; files of earlier versions are told."""
    candidates = (
        [place] if place.is_file() else [at / name for at in (place, place.parent) for name in EARLIER]
    )
    earlier = [path for path in candidates if path.is_file() and path.suffix in (".safetensors", ".joblib")]
    if earlier:
        got = f"{earlier[0].name}, as a version before model folders wrote it{_version_beside(earlier[0])}"
        hint = "Read it with that version, or train and save again."
        raise ManyLabelError(str(place), f"a model folder with {RECORD}", got, hint)
    got = "no such folder"
    if place.exists():
        got = "a file" if place.is_file() else f"no {RECORD} in it"
        if (place / RECORD).exists():
            got = f"{RECORD} that cannot be read ({error.strerror})"
    return ManyLabelError(str(place), "a model folder", got, "Name a folder that fit or `save` wrote.")


def _version_beside(path: Path) -> str:
    """Which version made the run that a file belongs to, where a record beside it tells."""
    with suppress(Exception):
        return f" ({json.loads((path.parent / 'run.json').read_bytes())['versions']['manylabel']:.40})"
    return ""


def _tensors(path: Path, digest: str) -> Tensors:
    from safetensors.torch import load

    if not _FILE.fullmatch(path.name):
        raise _damaged(path.parent / RECORD, f"a file of the name {path.name!r:.80}")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise _damaged(path, "no such file: the model folder is incomplete") from None
    except OSError as error:
        raise _damaged(path, error.strerror or str(error)) from None
    if hashlib.sha256(content).hexdigest() != digest:
        raise _damaged(path, "a damaged file: another content than was written")
    try:
        return load(content)
    except Exception as error:  # whatever a file that was never one of tensors makes of it
        raise _damaged(path, f"an unreadable file ({type(error).__name__}: {str(error)[:100]})") from error


def _part(record: PartRecord, tensors: dict[str, Tensors]) -> Part:
    own = {} if record.file is None else tensors[record.file]
    return Part(
        record.type, record.meta, own, {name: _part(inner, tensors) for name, inner in record.parts.items()}
    )


def _all(records: Mapping[str, PartRecord]) -> Iterator[PartRecord]:
    for record in records.values():
        yield record
        yield from _all(record.parts)


def _digest_of(body: dict[str, Any]) -> str:
    """SHA-256 of what a record says, however it is laid out."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _damaged(path: Path, got: str) -> ManyLabelError:
    return files.Damaged(str(path), "a part of a model as it was written", got, _AGAIN)
