"""A data set as Mulan publishes it: `NAME-train.arff`, `NAME-test.arff` (or `NAME.arff`) and `NAME.xml`."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

from manylabel.data.build import About, Part, assemble
from manylabel.data.dataset import DataSet
from manylabel.data.formats.arff import ArffTable, read_arff
from manylabel.data.rows.registry import same_layout
from manylabel.errors import ManyLabelError

_ENDINGS = (".arff", ".arff.gz")
_PARTS = ("train", "test")
_PART_OF_A_NAME = re.compile(r"(?:^|[^A-Za-z])(train|test)(?![a-z])|(?<=[a-z0-9])(Train|Test)(?![a-z])", re.A)


def is_arff(path: Path) -> bool:
    """Whether a file's name says that it is an ARFF table, packed or not."""
    return path.name.lower().endswith(_ENDINGS)


def arff_files(folder: Path) -> list[Path]:
    """The ARFF tables of a folder, by name."""
    return sorted(path for path in folder.iterdir() if is_arff(path))


def read_mulan(path: Path, about: About, validation_rows: Any = None) -> DataSet:
    """Read the ARFF files of one data set.

    Parameters
    ----------
    path : Path
        The folder, the training or the test file (the other one is the file named ``test`` instead of ``train``), or a
        file without a split.
    about : About
    validation_rows : positions in the training file, optional

    Raises
    ------
    ManyLabelError
        If the files are not there or not as they should be, or do not have the same columns.
    """
    given = _only_table(path) if path.is_dir() else path
    table_path = _other(given, "test") or given
    test_path = _other(table_path, "train")
    xml, guess = _xml_of(table_path)
    table = read_arff(table_path, xml, guess)
    remarks, test = table.remarks, None
    if test_path is None:
        remarks += _alone(table_path)
    else:
        other = read_arff(test_path, xml, guess)
        _same_columns(table_path, table, test_path, other)
        remarks += tuple(remark for remark in other.remarks if remark not in remarks)
        table, test = _same_layout(table, other.part)
    return assemble(
        dataclasses.replace(about, remarks=about.remarks + remarks),
        table.part,
        test,
        label_names=table.label_names,
        feature_names=table.feature_names,
        validation_rows=validation_rows if test is not None else None,
    )


def _same_columns(path: Path, table: ArffTable, test_path: Path, test: ArffTable) -> None:
    """Refuse a test file whose columns, or what they mean, are others."""
    for what in ("feature_names", "label_names", "ones"):
        here, there = getattr(table, what), getattr(test, what)
        if here == there:
            continue
        pairs = enumerate(zip(here, there, strict=False))
        first = next((i for i, (a, b) in pairs if a != b), min(len(here), len(there)))
        told = [repr(names[first])[:60] if first < len(names) else "none" for names in (here, there)]
        kind = {"feature_names": "feature", "label_names": "label", "ones": "word for 1 of label"}[what]
        expected = f"the attributes of {path.name} ({kind} {first + 1}: {told[0]})"
        got = f"others, or another order ({told[1]})"
        raise ManyLabelError(str(test_path), expected, got, "Both files need one header.")


def _same_layout(table: ArffTable, test: Part) -> tuple[ArffTable, Part]:
    """Both parts sparse where one is: a table with many categories is sparse only if it has many rows."""
    X, X_test = same_layout(table.part.X, test.X)
    part = dataclasses.replace(table.part, X=X)
    return dataclasses.replace(table, part=part), dataclasses.replace(test, X=X_test)


def _only_table(folder: Path) -> Path:
    tables = arff_files(folder)
    training = [table for table in tables if _other(table, "train") is not None]
    found = training or tables
    if len(found) != 1:
        got = ", ".join(table.name for table in tables[:8]) + (", ..." if tables[8:] else "") or "none"
        hint = f"Give the path of one of them, for example {found[0]}." if found else ""
        raise ManyLabelError(str(folder), "NAME-train.arff and NAME-test.arff, or one ARFF file", got, hint)
    return found[0]


def _stem(table: Path) -> str:
    """The name without its ending."""
    ending = next((e for e in reversed(_ENDINGS) if table.name.lower().endswith(e)), table.suffix)
    return table.name[: len(table.name) - len(ending)]


def _other(table: Path, part: str) -> Path | None:
    """The file that belongs to one named ``part``: the test file of a training file, or the other way round."""
    stem, wanted = _stem(table), _PARTS[1 - _PARTS.index(part)]
    matches = list(re.finditer(part, stem, re.IGNORECASE))
    if not matches:
        return None
    near: dict[str, Path] = {}
    for path in arff_files(table.parent):
        near.setdefault(_stem(path).lower(), path)
    for match in reversed(matches):
        word = wanted if match[0].islower() else wanted.upper() if match[0].isupper() else wanted.title()
        name = f"{stem[: match.start()]}{word}{stem[match.end() :]}"
        for ending in _ENDINGS:
            if table.with_name(name + ending).exists():
                return table.with_name(name + ending)
        if name.lower() in near:
            return near[name.lower()]
    return None


def _alone(table: Path) -> tuple[str, ...]:
    """What to tell of a file that is named as one part of a split, where the other part is not there."""
    found = _PART_OF_A_NAME.search(_stem(table))
    if found is None:
        return ()
    part = (found[1] or found[2]).lower()
    other = _PARTS[1 - _PARTS.index(part)]
    return (f"{table.name} is named a {part} file, but no {other} file is beside it: it is split by itself.",)


def _xml_of(table: Path) -> tuple[Path, bool]:
    """The XML file of a table, and whether that is only a guess."""
    stem = _stem(table)
    bare = re.sub(r"[-_.]?(train|test)", "", stem, flags=re.IGNORECASE)
    files = sorted(path for path in table.parent.iterdir() if path.suffix.lower() == ".xml")
    for name in (stem, bare):
        if table.with_name(f"{name}.xml").exists():
            return table.with_name(f"{name}.xml"), False
        for path in files:
            if path.stem.lower() == name.lower():
                return path, False
    return (files[0], True) if len(files) == 1 else (table.with_name(f"{bare}.xml"), False)
