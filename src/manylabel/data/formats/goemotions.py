"""GoEmotions as its owners publish it: tab-separated lines of a text, the numbers of its emotions, and an id."""

from __future__ import annotations

from pathlib import Path

from manylabel.data.build import About
from manylabel.data.dataset import DataSet
from manylabel.data.formats.border import shown
from manylabel.data.formats.lines import names_in, part_of, text_lines
from manylabel.data.formats.text_parts import TextPart, assemble_texts
from manylabel.errors import ManyLabelError

_NAMES = ("emotions.txt", "labels.txt")
_FORM = "TEXT<TAB>NUMBER,NUMBER<TAB>ID"


def find_goemotions(folder: Path) -> Path | None:
    """The folder itself, where it has `train.tsv`, `dev.tsv` and the names of the emotions; None elsewhere."""
    has_parts = (folder / "train.tsv").is_file() and (folder / "dev.tsv").is_file()
    return folder if has_parts and part_of(folder, *_NAMES) else None


def read_goemotions(folder: Path, about: About) -> DataSet:
    """Read `train.tsv`, `dev.tsv` and `test.tsv`, with names from `emotions.txt` or `labels.txt`.

    Parameters
    ----------
    folder : Path
    about : About

    Raises
    ------
    ManyLabelError
        Naming the file and line that is not as it should be.
    """
    place = part_of(folder, *_NAMES)
    assert place is not None, "found before"
    names = names_in(place, "names of emotions, one a line")
    train, dev = (_part(folder / f"{part}.tsv", names) for part in ("train", "dev"))
    test = _part(folder / "test.tsv", names) if (folder / "test.tsv").is_file() else None
    return assemble_texts(about, train, test, dev, names)


def _part(path: Path, names: list[str]) -> TextPart:
    found = TextPart.of(path)
    for number, line in text_lines(path, "tab-separated texts"):
        if not line:
            continue
        where, fields = f"{path}, line {number}", line.split("\t")
        if len(fields) != 3:
            raise ManyLabelError(where, _FORM, shown(line))
        words = fields[1].split(",")
        wrong = next((word for word in words if not (word.isdecimal() and int(word) < len(names))), None)
        if wrong is not None:
            raise ManyLabelError(where, f"numbers of emotions from 0 to {len(names) - 1}", shown(wrong))
        found.add(fields[0], (names[int(word)] for word in words))
    return found
