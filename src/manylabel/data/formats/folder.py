"""A folder with the files of one data set, and a `card.json` that tells of their origin."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from manylabel.data.build import About, Like
from manylabel.data.dataset import DataSet
from manylabel.data.formats.border import border, shown
from manylabel.data.formats.foreign import hint_for_folder
from manylabel.data.formats.pictures import new_pictures, read_new_pictures
from manylabel.data.formats.registry import FORMATS, format_of_folder
from manylabel.errors import ManyLabelError

_UNLISTED = (
    "Pictures need a CSV file beside them: names of files, then a column of tags or one 0/1 column a label."
)


def is_data_folder(path: Path) -> bool:
    """Whether a folder holds features to read, not labels alone."""
    try:
        found = path.is_dir() and format_of_folder(path)
        return bool(found) and str(_card(path).get("kind")) != "labels only"
    except ManyLabelError:
        return True  # a broken card is told when the folder is read
    except OSError:
        return False


def read_folder(
    path: Path,
    undivided: bool = False,
    options: Mapping[str, Any] | None = None,
    like: Like | None = None,
) -> DataSet:
    """Read the data set of a folder.

    Parameters
    ----------
    path : Path
        A folder with files of one format of :mod:`manylabel.data.formats.registry`.
        ``card.json``, where there is one, tells of its origin, and under ``read`` settings of the reader.
    undivided : bool, default False
    options : mapping, optional
        They stand above those of the card.
    like : Like, optional
        What a model decided stands above the card as well. See :class:`manylabel.data.build.About`.

    Raises
    ------
    ManyLabelError
        If there is nothing to read, or the files are not as they should be.
    """
    with border(path, "a folder that can be read"):
        about, like = about_of(path), like or Like()
        of_card = {name: value for name, value in about.options.items() if name not in like.settled}
        asked = {**of_card, **(options or {})}
        about = dataclasses.replace(about, undivided=undivided, options=asked, like=like)
        found = format_of_folder(path)
        if found:
            format, content = found
            return format.load(content, about)
        if about.like.unlabelled and new_pictures(path):
            return read_new_pictures(path, about)
        got = ", ".join(sorted(child.name for child in path.iterdir())[:5]) or "an empty folder"
        hint = _UNLISTED if new_pictures(path) else hint_for_folder(path)
    expected = f"files of one format ({', '.join(format.title for format in FORMATS)})"
    raise ManyLabelError(str(path), expected, got, hint)


def _card(path: Path) -> dict[str, Any]:
    file = path / "card.json"
    if not file.exists():
        return {}
    with border(file, "a JSON object", "Correct it, or remove it: the data are read without."):
        content = file.read_text(encoding="utf-8-sig")
        card = json.loads(content)
        json.dumps(card, ensure_ascii=False).encode()  # a lone surrogate could be neither shown nor recorded
        if not isinstance(card, dict):
            raise ManyLabelError(str(file), "a JSON object", shown(content))
    return card


def has_card(path: Path) -> bool:
    """Whether a `card.json` tells of a folder."""
    return (path / "card.json").exists()


def about_of(path: Path) -> About:
    """What the `card.json` of a folder tells of it; its name and path where there is none.

    Raises
    ------
    ManyLabelError
        For a card that is no JSON object.
    """
    card = _card(path)
    options = card.get("read", {})
    if not isinstance(options, dict):
        got = shown(json.dumps(options))
        raise ManyLabelError(str(path / "card.json"), "settings of the reader as an object under 'read'", got)
    origin = card.get("origin")
    return About(
        name=str(card.get("name", path.resolve().name)),
        source=f"{origin}, read from {path}" if origin else str(path),
        licence=str(card.get("license", "not stated")),
        split=str(card.get("split", "the given training and test files")),
        remarks=(str(card["quirks"]),) if card.get("quirks") else (),
        options=options,
    )
