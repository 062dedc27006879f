"""A folder with arrays, texts or ARFF files, and a `card.json` that tells of their origin."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from manylabel.data.assembly import About
from manylabel.data.dataset import DataSet
from manylabel.data.formats.arrays import read_npz
from manylabel.data.formats.mulan import read_mulan
from manylabel.data.formats.texts import read_texts
from manylabel.errors import ManyLabelError


def is_data_folder(path: Path) -> bool:
    """Whether a folder holds features to read, not labels alone."""
    if (path / "data.npz").exists():
        return str(_card(path).get("kind")) != "labels only"
    return (path / "train.jsonl.gz").exists() or any(path.glob("*.arff"))


def read_folder(path: Path) -> DataSet:
    """Read the data set of a folder.

    Parameters
    ----------
    path : Path
        A folder with ``data.npz``, with JSON lines of texts, or with ARFF files.
        ``card.json``, where there is one, tells of its origin.

    Raises
    ------
    ManyLabelError
        If there is nothing to read, or the files are not as they should be.
    """
    about = _about(path)
    if (path / "data.npz").exists():
        return read_npz(path / "data.npz", about)
    if (path / "train.jsonl.gz").exists():
        return read_texts(path, about)
    if any(path.glob("*.arff")):
        return read_mulan(path, about)
    got = ", ".join(sorted(child.name for child in path.iterdir())[:5]) or "an empty folder"
    raise ManyLabelError(str(path), "data.npz, train.jsonl.gz or ARFF files", got)


def _card(path: Path) -> dict[str, Any]:
    try:
        card = json.loads((path / "card.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ManyLabelError(str(path / "card.json"), "a JSON object", str(error)) from None
    return card if isinstance(card, dict) else {}


def _about(path: Path) -> About:
    card = _card(path)
    origin = card.get("origin")
    return About(
        name=str(card.get("name", path.resolve().name)),
        source=f"{origin}, read from {path}" if origin else str(path),
        licence=str(card.get("license", "not stated")),
        split=str(card.get("split", "the given training and test files")),
        remarks=(str(card["quirks"]),) if card.get("quirks") else (),
    )
