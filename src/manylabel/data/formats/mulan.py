"""A data set as Mulan publishes it: `NAME-train.arff`, `NAME-test.arff` (or `NAME.arff`) and `NAME.xml`."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

from manylabel.data.build import About, Part, assemble
from manylabel.data.dataset import DataSet
from manylabel.data.formats.arff import ArffTable, read_arff
from manylabel.data.formats.parts import ending, only_table, remark_if_alone, stem, train_and_test
from manylabel.data.rows.registry import same_layout
from manylabel.errors import ManyLabelError

_FILES = "NAME-train.arff and NAME-test.arff, or one ARFF file"


def arff_files(folder: Path) -> list[Path]:
    """The ARFF tables of a folder, by name."""
    return sorted(path for path in folder.iterdir() if ending(path) == ".arff")


def read_mulan(path: Path, about: About, validation_rows: Any = None) -> DataSet:
    """Read the ARFF files of one data set.

    Parameters
    ----------
    path : Path
        The folder, the training or the test file (the other one is the file named ``test`` instead of ``train``), or a
        file without a split.
    about : About
        Rows to be predicted may be features alone.
    validation_rows : positions in the training file, optional

    Raises
    ------
    ManyLabelError
        If the files are not there or not as they should be, or do not have the same columns.
    """
    given = only_table(path, arff_files(path), _FILES) if path.is_dir() else path
    table_path, test_path = train_and_test(given)
    xml, guess = _xml_of(table_path)
    unlabelled = about.like.unlabelled
    table = read_arff(table_path, xml, guess, about.like)
    remarks, test = table.remarks, None
    remarks += remark_if_alone(table_path, test_path)
    if test_path is not None:
        other = read_arff(test_path, xml, guess, about.like)
        _same_columns(table_path, table, test_path, other, unlabelled)
        remarks += tuple(remark for remark in other.remarks if remark not in remarks)
        table, test = _same_layout(table, other.part)
    if unlabelled:
        part = dataclasses.replace(table.part, Y=about.like.no_labels(table.part.Y.shape[0]))
        table = dataclasses.replace(table, part=part, label_names=about.like.columns)
        test = test and dataclasses.replace(test, Y=about.like.no_labels(test.Y.shape[0]))
    return assemble(
        dataclasses.replace(about, remarks=about.remarks + remarks),
        table.part,
        test,
        label_names=table.label_names,
        feature_names=table.feature_names,
        validation_rows=validation_rows if test is not None else None,
    )


def _same_columns(
    path: Path, table: ArffTable, test_path: Path, test: ArffTable, features_alone: bool
) -> None:
    """Refuse a test file whose columns, or what they mean, are others."""
    for what in ("feature_names",) if features_alone else ("feature_names", "label_names", "ones"):
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


def _xml_of(table: Path) -> tuple[Path, bool]:
    """The XML file of a table, and whether that is only a guess."""
    own = stem(table)
    bare = re.sub(r"[-_.]?(train|test)", "", own, flags=re.IGNORECASE)
    files = sorted(path for path in table.parent.iterdir() if path.suffix.lower() == ".xml")
    for name in (own, bare):
        if table.with_name(f"{name}.xml").exists():
            return table.with_name(f"{name}.xml"), False
        for path in files:
            if path.stem.lower() == name.lower():
                return path, False
    return (files[0], True) if len(files) == 1 else (table.with_name(f"{bare}.xml"), False)
