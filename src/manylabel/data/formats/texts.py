"""Texts as gzipped JSON lines, ``{"text": ..., "labels": [names]}``, with the label names in `labels.txt`."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from manylabel.data.assembly import About, Part, assemble
from manylabel.data.dataset import DataSet
from manylabel.data.formats.arrays import joined
from manylabel.errors import ManyLabelError


def read_texts(folder: Path, about: About) -> DataSet:
    """Read `train.jsonl.gz`, `test.jsonl.gz` and, where there is one, `valid.jsonl.gz` of a folder.

    Raises
    ------
    ManyLabelError
        Naming the file and line of anything that is not as it should be.
    """
    names = _read_names(folder / "labels.txt")
    columns = {name: i for i, name in enumerate(names)}
    train, test = (_read_part(folder / f"{part}.jsonl.gz", columns) for part in ("train", "test"))
    validation = None
    if (folder / "valid.jsonl.gz").exists():
        train, validation = joined(train, _read_part(folder / "valid.jsonl.gz", columns))
    return assemble(about, train, test, label_names=names, validation_rows=validation)


def _read_names(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ManyLabelError(str(path), "label names, one a line, in UTF-8", str(error)) from None


def _read_part(path: Path, columns: dict[str, int]) -> Part:
    texts: list[str] = []
    labels: list[list[int]] = []
    for number, line in _lines(path):
        text, names = _read_row(path, number, line)
        unknown = [name for name in names if name not in columns]
        if unknown:
            raise ManyLabelError(f"{path}, line {number}", "labels of labels.txt", repr(unknown[0]))
        texts.append(text)
        labels.append([columns[name] for name in names])
    Y = np.zeros((len(texts), len(columns)), dtype=np.uint8)
    for row, carried in zip(Y, labels, strict=True):
        row[carried] = 1
    return Part(texts, Y, str(path))


def _read_row(path: Path, number: int, line: bytes) -> tuple[str, list[Any]]:
    form = '{"text": "...", "labels": ["...", ...]}'
    try:
        row = json.loads(line)
        text, names = row["text"], row["labels"]
    except (ValueError, KeyError, TypeError) as error:
        raise ManyLabelError(f"{path}, line {number}", form, f"{line[:60]!r} ({error})") from None
    if not isinstance(text, str) or not isinstance(names, list):
        raise ManyLabelError(f"{path}, line {number}", form, repr(line[:60]))
    return text, names


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with gzip.open(path, "rb") as file:
            yield from enumerate(file, start=1)
    except (OSError, EOFError, zlib.error) as error:
        raise ManyLabelError(str(path), "a whole gzip file of JSON lines", str(error)) from None
