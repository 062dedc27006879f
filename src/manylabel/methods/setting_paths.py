"""Settings that are paths: made whole where they are read, and compared by what lies there, wherever that is."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from manylabel.methods import model_folder
from manylabel.methods.recipe import Settings
from manylabel.models import PICTURE_ENCODERS
from manylabel.models.encoders.registry import PACKAGED
from manylabel.models.frozen.places import PATH_OR_NAME, WHAT_IS_READ, may_be_name

ANYWHERE = ".../"
"""In front of the name of a file or folder whose place does not matter."""
_NAMES = (*PICTURE_ENCODERS, PACKAGED)  # what they name wins over a file or folder of that name


def path_settings(schema: type[BaseModel], above: str = "") -> Iterator[str]:
    """Dotted names of the settings of a schema that are paths, by their types."""
    for name, field in schema.model_fields.items():
        kinds = (field.annotation, *get_args(field.annotation))
        if any(PATH_OR_NAME in getattr(kind, "__metadata__", field.metadata) for kind in kinds):
            yield above + name
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from path_settings(kind, f"{above}{name}.")


PATH_SETTINGS = tuple(path_settings(Settings))
"""Of every family, under this name or at the end of a longer one, as of a learner of a stack."""
_RECIPES = ("like", "method")  # that may name recipe files: of a recipe, and of a learner


def whole(settings: Mapping[str, Any], folder: str | Path = "") -> dict[str, Any]:
    """Settings with absolute paths, so that they mean the same in every process.

    Parameters
    ----------
    settings : mapping
        By dotted name or in tables; whatever else it holds stays as it is.
    folder : str or Path, default the working directory
        Where relative paths are seen from. A name that is no file or folder there stays a name, as of the hub.
    """
    return _changed(settings, lambda text: whole_path(text, folder))


def whole_path(text: str, folder: str | Path = "") -> str:
    """One setting as :func:`whole` reads it."""
    if not text.strip() or "\0" in text or text == PACKAGED:
        return text
    path = Path(folder, os.path.expanduser(text))
    if text in _NAMES and not model_folder.holds_model(path):
        return text
    return text if may_be_name(text) and not os.path.exists(path) else os.path.realpath(path)


def path_of_recipe(method: str, folder: str | Path) -> str:
    """A method whose recipe file was named in another folder; any other stays as it is."""
    return os.path.join(folder, method) if method.endswith(".toml") else method


def anywhere(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that tell of a path only its last part."""
    return _changed(settings, lambda text: text if may_be_name(text) else ANYWHERE + Path(text).name)


def by_content(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The same, with a digest of what lies at each path: equal where the same weights lie in another folder."""

    def told(text: str) -> str:
        return text if may_be_name(text) else f"{ANYWHERE}{Path(text).name} {digest_of(text)}"

    return _changed(whole(settings), told)


def digest_at(settings: Mapping[str, Any]) -> str:
    """What tells the weights at the paths of settings from any others; "" where none can be read."""
    found: list[str] = []

    def noted(text: str) -> str:
        found.append("" if may_be_name(text) else digest_of(text))
        return text

    _changed(settings, noted)
    return "-".join(filter(None, found))


def digest_of(path: str) -> str:
    """sha256 of a file, of what is read of the folder of an encoder, or of the tensors of a model; "" of nothing."""
    place = Path(path)
    if place.is_file():
        return _of_file(place)
    if model_folder.holds_model(place):
        return model_folder.weights_digest(place)
    inside = sorted(
        {file for pattern in WHAT_IS_READ for at in ("", "*/") for file in place.glob(at + pattern)}
    )
    told = [f"{file.relative_to(place).as_posix()} {_of_file(file)}" for file in inside if file.is_file()]
    return hashlib.sha256("\n".join(told).encode()).hexdigest() if told else ""


def _of_file(path: Path) -> str:
    try:
        found = path.stat()
        return _read(path, found.st_mtime_ns, found.st_size)
    except OSError:  # whoever needs it says so
        return ""


@lru_cache(maxsize=256)
def _read(path: Path, changed: int, size: int) -> str:
    """sha256 of a file, read once while its time of change and size stay."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _changed(settings: Mapping[str, Any], change: Callable[[str], str], above: str = "") -> dict[str, Any]:
    """The settings, with what ``change`` makes of each path."""
    made: dict[str, Any] = {}
    for name, value in settings.items():
        place = f"{above}.{name}"
        if isinstance(value, Mapping):
            made[name] = _changed(value, change, place)
        else:
            made[name] = change(value) if isinstance(value, str) and _is_path(place, value) else value
    return made


def _is_path(place: str, value: str) -> bool:
    """Whether the setting at a place such as ``.text.encoder.weights`` is a path, or names a recipe file."""
    if place.endswith(tuple(f".{name}" for name in PATH_SETTINGS)):
        return True
    return value.endswith(".toml") and place.rpartition(".")[2] in _RECIPES
