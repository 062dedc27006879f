"""AAPD as its owners publish it: abstracts one a line in `text_train`, their subjects on that line of `label_train`."""

from __future__ import annotations

import json
from pathlib import Path

from manylabel.data.build import About
from manylabel.data.dataset import DataSet
from manylabel.data.formats.border import border, shown
from manylabel.data.formats.lines import part_of, text_lines
from manylabel.data.formats.text_parts import TextPart, all_labels, assemble_texts
from manylabel.errors import ManyLabelError

_ORDER = "label_to_index.json"


def find_aapd(folder: Path) -> Path | None:
    """The folder itself, where it has `text_train` and `label_train`; None elsewhere."""
    return folder if part_of(folder, "text_train") and part_of(folder, "label_train") else None


def read_aapd(folder: Path, about: About) -> DataSet:
    """Read the abstracts of `text_train`, `text_val` and `text_test` with their subjects.

    Parameters
    ----------
    folder : Path
        Also with `label_train`, `label_val` and `label_test`: names of subjects between blanks. `label_to_index.json`,
        where it is there, gives the order of the labels, else their names do.
    about : About

    Raises
    ------
    ManyLabelError
        Naming the file and line that is not as it should be.
    """
    train, validation, test = (_part(folder, part) for part in ("train", "val", "test"))
    assert train is not None, "found before"
    parts = [part for part in (train, validation, test) if part is not None]
    return assemble_texts(about, train, test, validation, _names(folder, parts))


def _part(folder: Path, part: str) -> TextPart | None:
    texts, labels = part_of(folder, f"text_{part}"), part_of(folder, f"label_{part}")
    if texts is None:
        return None
    if labels is None:
        raise ManyLabelError(str(folder), f"the file label_{part} beside {texts.name}", "none")
    found = TextPart.of(texts)
    lines = [line.split() for _, line in text_lines(labels, "names of labels")]
    for number, text in text_lines(texts, "texts"):
        if number > len(lines):
            raise ManyLabelError(
                f"{labels}, line {number}", f"labels of line {number} of {texts.name}", "none"
            )
        found.add(text, lines[number - 1])
    if len(lines) > len(found.texts):
        got = f"{len(found.texts)}"
        raise ManyLabelError(str(texts), f"one text for each of {len(lines)} lines of {labels.name}", got)
    return found


def _names(folder: Path, parts: list[TextPart]) -> list[str]:
    """The labels in the order of their owners."""
    path, found = folder / _ORDER, all_labels(parts)
    if not path.is_file():
        return found
    with border(path, "the number of each label as a JSON object"):
        numbers = {str(name): int(number) for name, number in json.loads(path.read_bytes()).items()}
    unknown = next((name for name in found if name not in numbers), None)
    if unknown is not None:
        raise ManyLabelError(str(path), "a number for every label", f"none for {shown(unknown)}")
    return sorted(numbers, key=lambda name: numbers[name])
