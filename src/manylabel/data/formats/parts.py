"""Training and test file of one data set, found by their names: `NAME-train.svm` brings `NAME-test.svm`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from manylabel.errors import ManyLabelError

PACKED = ".gz"
_WORDS = (("train", "test"), ("trn", "tst"))
_PART_OF_A_NAME = re.compile(
    r"(?:^|[^A-Za-z])(train|test|trn|tst)(?![a-z])|(?<=[a-z0-9])(Train|Test)(?![a-z])", re.A
)


def ending(path: Path) -> str:
    """The ending of a name in lower case, without ``.gz``; empty where it has none."""
    return Path(path.name.lower().removesuffix(PACKED)).suffix


def stem(path: Path) -> str:
    """The name without its ending, and without ``.gz``."""
    packed = len(PACKED) if path.name.lower().endswith(PACKED) else 0
    return path.name[: len(path.name) - packed - len(ending(path))]


def train_and_test(path: Path) -> tuple[Path, Path | None]:
    """The training and the test file that one of them brings; a file without a split stands alone."""
    train = _other(path, 1) or path
    return train, _other(train, 0)


def only_table(folder: Path, tables: Sequence[Path], expected: str) -> Path:
    """The training file, or the only file, among those of a folder.

    Raises
    ------
    ManyLabelError
        If there are several data sets.
    """
    training = [table for table in tables if _other(table, 0) is not None]
    found = training or tables
    if len(found) != 1:
        got = ", ".join(table.name for table in tables[:8]) + (", ..." if tables[8:] else "") or "none"
        hint = f"Give the path of one of them, for example {found[0]}." if found else ""
        raise ManyLabelError(str(folder), expected, got, hint)
    return found[0]


def remark_if_alone(path: Path, test: Path | None) -> tuple[str, ...]:
    """What to tell of a file that is named as one part of a split, where the other part is not there."""
    found = _PART_OF_A_NAME.search(stem(path)) if test is None else None
    if found is None:
        return ()
    part = (found[1] or found[2]).lower()
    other = next(pair[1 - pair.index(part)] for pair in _WORDS if part in pair)
    return (f"{path.name} is named a {part} file, but no {other} file is beside it: it is split by itself.",)


def _other(path: Path, part: int) -> Path | None:
    """The other part of a file that is named the training (0) or test (1) part."""
    found = (_partner(path, pair[part], pair[1 - part]) for pair in _WORDS)
    return next((other for other in found if other is not None), None)


def _partner(path: Path, word: str, wanted: str) -> Path | None:
    own, kind = stem(path), ending(path)
    matches = list(re.finditer(word, own, re.IGNORECASE))
    if not matches:
        return None
    near: dict[str, Path] = {}
    for child in sorted(path.parent.iterdir()):
        if ending(child) == kind:
            near.setdefault(stem(child).lower(), child)
    for match in reversed(matches):
        replaced = wanted if match[0].islower() else wanted.upper() if match[0].isupper() else wanted.title()
        name = f"{own[: match.start()]}{replaced}{own[match.end() :]}"
        for suffix in (kind, kind + PACKED):
            if path.with_name(name + suffix).exists():
                return path.with_name(name + suffix)
        if name.lower() in near:
            return near[name.lower()]
    return None
