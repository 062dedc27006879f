"""A data set as Mulan publishes it: `NAME-train.arff`, `NAME-test.arff` (or `NAME.arff`) and `NAME.xml`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from manylabel.data.assembly import About, assemble
from manylabel.data.dataset import DataSet
from manylabel.data.formats.arff import read_arff
from manylabel.errors import ManyLabelError

_TRAIN = re.compile("train", re.IGNORECASE)


def read_mulan(path: Path, about: About, validation_rows: Any = None) -> DataSet:
    """Read the ARFF files of one data set.

    Parameters
    ----------
    path : Path
        The folder, the training file (the test file is the one named ``test`` instead of ``train``), or a
        file without a split.
    about : About
    validation_rows : positions in the training file, optional

    Raises
    ------
    ManyLabelError
        If the files are not there or not as they should be, or do not have the same columns.
    """
    table_path = _only_table(path) if path.is_dir() else path
    xml = _xml_of(table_path)
    table = read_arff(table_path, xml)
    test_path = _test_of(table_path)
    test = None
    if test_path is not None:
        other = read_arff(test_path, xml)
        if (other.feature_names, other.label_names) != (table.feature_names, table.label_names):
            raise ManyLabelError(
                str(test_path), f"the attributes of {table_path.name}", "others, or another order"
            )
        test = other.part
    return assemble(
        about,
        table.part,
        test,
        label_names=table.label_names,
        feature_names=table.feature_names,
        validation_rows=validation_rows,
    )


def _only_table(folder: Path) -> Path:
    tables = sorted(folder.glob("*.arff"))
    training = [table for table in tables if _test_of(table) is not None]
    found = training or tables
    if len(found) != 1:
        got = ", ".join(table.name for table in tables) or "none"
        raise ManyLabelError(str(folder), "NAME-train.arff and NAME-test.arff, or one ARFF file", got)
    return found[0]


def _test_of(table: Path) -> Path | None:
    """The test file that belongs to a training file."""
    for match in reversed(list(_TRAIN.finditer(table.stem))):
        word = "test" if match[0].islower() else "TEST" if match[0].isupper() else "Test"
        test = table.with_name(f"{table.stem[: match.start()]}{word}{table.stem[match.end() :]}.arff")
        if test.exists():
            return test
    return None


def _xml_of(table: Path) -> Path:
    bare = re.sub(r"[-_.]?(train|test)", "", table.stem, flags=re.IGNORECASE)
    for stem in (table.stem, bare):
        if table.with_name(f"{stem}.xml").exists():
            return table.with_name(f"{stem}.xml")
    others = sorted(table.parent.glob("*.xml"))
    return others[0] if len(others) == 1 else table.with_name(f"{bare}.xml")
