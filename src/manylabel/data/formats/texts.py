"""Texts as gzipped JSON lines, ``{"text": ..., "labels": [names]}``, with the label names in `labels.txt`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from manylabel.data.build import About, Part, assemble
from manylabel.data.dataset import DataSet
from manylabel.data.formats.arrays import joined
from manylabel.data.formats.border import border, open_text, reason, shown
from manylabel.errors import ManyLabelError

_FORM = '{"text": "...", "labels": ["...", ...]}'


def part_file(folder: Path, part: str) -> Path | None:
    """`PART.jsonl.gz`, or `PART.jsonl` where that was unpacked."""
    for name in (f"{part}.jsonl.gz", f"{part}.jsonl"):
        if (folder / name).exists():
            return folder / name
    return None


def read_texts(folder: Path, about: About) -> DataSet:
    """Read `train.jsonl.gz`, `test.jsonl.gz` and, where there is one, `valid.jsonl.gz` of a folder, packed or not.

    Rows to be predicted may be in one of the first two alone; their labels and `labels.txt` are not looked at.

    Raises
    ------
    ManyLabelError
        Naming the file and line of anything that is not as it should be.
    """
    if about.like.unlabelled:
        return _read_unlabelled(folder, about)
    names = _read_names(folder / "labels.txt")
    columns = {name: i for i, name in enumerate(names)}
    train, test = (_read_part(_needed(folder, part), columns) for part in ("train", "test"))
    valid, validation = part_file(folder, "valid"), None
    if valid is not None:
        train, validation = joined(train, _read_part(valid, columns))
    return assemble(about, train, test, label_names=names, validation_rows=validation)


def _needed(folder: Path, part: str) -> Path:
    found = part_file(folder, part)
    if found is None:
        hint = "Deal the rows into train.jsonl and test.jsonl, or give one file of JSON lines as a table."
        raise ManyLabelError(str(folder), f"a file {part}.jsonl or {part}.jsonl.gz", "none", hint)
    return found


def _read_unlabelled(folder: Path, about: About) -> DataSet:
    parts = []
    for path in filter(None, (part_file(folder, part) for part in ("train", "test"))):
        texts = [_read_row(path, number, line, labelled=False)[0] for number, line in _lines(path)]
        parts.append(Part(texts, about.like.no_labels(len(texts)), str(path)))
    return assemble(about, *parts, label_names=about.like.columns)


def _read_names(path: Path) -> list[str]:
    """One name a line; a byte order mark and empty lines at the end are no names."""
    with border(path, "label names, one a line, in UTF-8"):
        names = path.read_text(encoding="utf-8-sig").splitlines()
    while names and not names[-1].strip():
        names.pop()
    first: dict[str, int] = {}
    for number, name in enumerate(names, start=1):
        if not name.strip():
            raise ManyLabelError(
                f"{path}, line {number}", "a label name", "an empty line", "Remove the line."
            )
        if first.setdefault(name, number) != number:
            got = f"{shown(name)} a second time (first on line {first[name]})"
            raise ManyLabelError(f"{path}, line {number}", "every label once", got, "Remove the line.")
    if not names:
        raise ManyLabelError(str(path), "label names, one a line", "none")
    return names


def _read_part(path: Path, columns: dict[str, int]) -> Part:
    import scipy.sparse as sp

    texts: list[str] = []
    labels: list[int] = []
    offsets = [0]
    for number, line in _lines(path):
        text, names = _read_row(path, number, line)
        unknown = [name for name in names if name not in columns]
        if unknown:
            hint = "Add it to labels.txt, or correct it."
            raise ManyLabelError(f"{path}, line {number}", "labels of labels.txt", shown(unknown[0]), hint)
        texts.append(text)
        labels += sorted({columns[name] for name in names})
        offsets.append(len(labels))
    entries = np.ones(len(labels), dtype=np.uint8), np.array(labels, dtype=np.int64), np.array(offsets)
    return Part(texts, sp.csr_matrix(entries, shape=(len(texts), len(columns))), str(path))


def _read_row(path: Path, number: int, line: bytes, labelled: bool = True) -> tuple[str, list[str]]:
    where = f"{path}, line {number}"
    try:
        row = json.loads(line)
        text, names = row["text"], row["labels"] if labelled else []
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ManyLabelError(where, _FORM, f"{shown(line)} ({reason(error)})") from None
    if not isinstance(text, str) or not isinstance(names, list):
        raise ManyLabelError(where, _FORM, shown(line))
    other = next((name for name in names if not isinstance(name, str)), None)
    if other is not None:
        hint = "List each label by its name, as labels.txt has it."
        raise ManyLabelError(where, "labels as a list of names", f"{shown(repr(other))} among them", hint)
    if not text.isascii():
        with border(where, "text of whole characters", "Remove the lone surrogate (\\ud800 to \\udfff)."):
            text.encode()
    return text, names


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Numbered lines, without empty ones."""
    expected = "a whole gzip file of JSON lines" if path.suffix == ".gz" else "JSON lines"
    with border(path, expected), open_text(path) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield number, line
