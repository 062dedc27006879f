"""UK-LEX as its owners publish it: laws as JSON lines, each with its labels and the part that it is in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from manylabel.data.build import About
from manylabel.data.dataset import DataSet
from manylabel.data.formats.border import border, shown
from manylabel.data.formats.lines import text_lines
from manylabel.data.formats.text_parts import TextPart, assemble_texts
from manylabel.errors import ManyLabelError

_PARTS = {"train": "train", "dev": "dev", "val": "dev", "valid": "dev", "validation": "dev", "test": "test"}
_FORM = '{"body": "...", "labels": [...], "data_type": "train", "dev" or "test"}'


def find_uklex(folder: Path) -> Path | None:
    """The only file `uk-lex*.jsonl` of a folder; None where there is none, or several."""
    found = sorted(folder.glob("uk-lex*.jsonl*"))
    return found[0] if len(found) == 1 else None


def read_uklex(path: Path, about: About) -> DataSet:
    """Read the laws of a file; a text is a title, where there is one, and the body below it.

    Parameters
    ----------
    path : Path
        Such as `uk-lex18.jsonl` or `uk-lex69.jsonl`.
    about : About

    Raises
    ------
    ManyLabelError
        Naming the line that is not as it should be.

    Notes
    -----
    The parts follow each other in time. Labels stand in the order of their names.
    """
    parts = {part: TextPart.of(path) for part in ("train", "dev", "test")}
    for number, line in text_lines(path, "laws as JSON lines"):
        if line.strip():
            _add(parts, f"{path}, line {number}", line)
    if not parts["train"].texts:
        raise ManyLabelError(str(path), "laws of the part 'train'", "none")
    test, dev = (parts[part] if parts[part].texts else None for part in ("test", "dev"))
    return assemble_texts(about, parts["train"], test, dev)


def _add(parts: dict[str, TextPart], where: str, line: str) -> None:
    with border(where, _FORM):
        law: dict[str, Any] = json.loads(line)
        part, body, labels = _PARTS.get(str(law["data_type"])), law["body"], law["labels"]
    if part is None or not isinstance(body, str) or not isinstance(labels, list):
        raise ManyLabelError(where, _FORM, shown(line))
    title = law.get("title")
    parts[part].add(f"{title}\n{body}" if isinstance(title, str) and title else body, map(str, labels))
