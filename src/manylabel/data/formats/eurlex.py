"""EURLEX57K as its owners publish it: a file of JSON for each law, in a folder for each part, with EUROVOC concepts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from manylabel.data.build import About
from manylabel.data.dataset import DataSet
from manylabel.data.formats.border import border, shown
from manylabel.data.formats.text_parts import TextPart, assemble_texts
from manylabel.errors import ManyLabelError

_FORM = 'a law as {"concepts": [...], "main_body": [...]}'
_FIELDS = ("title", "header", "recitals", "main_body")


def find_eurlex(folder: Path) -> Path | None:
    """The folder with `train`, `dev` and `test`, this one or its `dataset`, where it holds laws; None elsewhere."""
    return next((place for place in (folder, folder / "dataset") if _has_laws(place / "train")), None)


def read_eurlex(folder: Path, about: About) -> DataSet:
    """Read the laws of the folders `train`, `dev` and `test`; a text is title, header, recitals and body.

    Parameters
    ----------
    folder : Path
    about : About

    Raises
    ------
    ManyLabelError
        Naming the file that is not as it should be.

    Notes
    -----
    Labels are the numbers of EUROVOC concepts that occur in any part, in the order of these numbers as text.
    """
    train, dev, test = (
        _part(folder / part) if (folder / part).is_dir() else None for part in ("train", "dev", "test")
    )
    assert train is not None, "found before"
    return assemble_texts(about, train, test, dev)


def _has_laws(folder: Path) -> bool:
    first = next(iter(sorted(folder.glob("*.json"))), None) if folder.is_dir() else None
    try:
        return first is not None and b'"concepts"' in first.read_bytes()
    except OSError:
        return False


def _part(folder: Path) -> TextPart:
    found = TextPart.of(folder)
    for path in sorted(folder.glob("*.json")):
        with border(path, _FORM):
            law: dict[str, Any] = json.loads(path.read_text("utf-8-sig"))
            concepts, pieces = law["concepts"], [law.get(field) or "" for field in _FIELDS]
        lines = [line for piece in pieces for line in (piece if isinstance(piece, list) else [piece])]
        if not isinstance(concepts, list) or not all(isinstance(line, str) for line in lines):
            raise ManyLabelError(str(path), _FORM, shown(str(law)))
        found.add("\n".join(line.strip() for line in lines if line.strip()), map(str, concepts))
    return found
