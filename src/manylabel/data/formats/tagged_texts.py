"""Texts as LibMultiLabel has them, one a line: ``id<TAB>label label<TAB>text``."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from manylabel.data.build import About, Part, assemble
from manylabel.data.dataset import DataSet
from manylabel.data.formats.border import border, shown
from manylabel.data.formats.parts import remark_if_alone, train_and_test
from manylabel.data.formats.sparse_text import MOST_LABELS, left_out, numbered_lines
from manylabel.data.formats.tag_matrix import tag_matrix
from manylabel.errors import ManyLabelError

_ROW = re.compile(rb"[^\t]++\t[^\t]*+\t[^\t]*[^\t ] [^\t]*")
_FORM = "ID<TAB>LABEL LABEL<TAB>TEXT"
_WHAT = "a file of texts in UTF-8"


def looks_tagged(line: bytes) -> bool:
    """Whether a line of a file has three fields between tabs, the last one of several words."""
    return _ROW.fullmatch(line) is not None


def read_tagged_texts(path: Path, about: About) -> DataSet:
    """Read a file, or the training and test file of a data set.

    Parameters
    ----------
    path : Path
        One of `train.txt` and `test.txt`, or a file without a split; unpacked where it ends in ``.gz``. Labels are
        words between blanks; a row without labels has an empty field. Blank lines are none.
    about : About

    Raises
    ------
    ManyLabelError
        Naming the file and line of anything that is not as it should be.
    """
    train_path, test_path = train_and_test(path)
    paths = [p for p in (train_path, test_path) if p is not None]
    tables = [_read(p) for p in paths]
    found = {label for _, rows in tables for labels in rows for label in labels}
    like = about.like
    wanted = like.columns if like.unlabelled else like.label_names
    names = list(wanted) or sorted(found, key=_as_numbers_stand)
    if not 0 < len(names) <= MOST_LABELS:
        raise ManyLabelError(str(train_path), f"from 1 to {MOST_LABELS} different labels", f"{len(names)}")
    at = {name: j for j, name in enumerate(names)}
    parts = [
        Part(texts, tag_matrix([at.keys() & labels for labels in rows], at), str(p))
        for (texts, rows), p in zip(tables, paths, strict=True)
    ]
    told = ["Read as lines of id, labels and text."]
    others = sorted(found - at.keys(), key=_as_numbers_stand)
    if others and not like.unlabelled:
        told.append(left_out(others))
    remarks = (*about.remarks, *told, *remark_if_alone(train_path, test_path))
    return assemble(dataclasses.replace(about, remarks=remarks), *parts, label_names=names)


def _as_numbers_stand(name: str) -> tuple[bool, int, str]:
    """2 before 10, and numbers before words."""
    is_number = name.isascii() and name.isdecimal() and len(name) < 16
    return not is_number, int(name) if is_number else 0, name


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    texts, rows = [], []
    for number, line in numbered_lines(path, _WHAT):
        where = f"{path}, line {number}"
        if not line.strip():
            continue
        with border(where, _WHAT):
            fields = line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n").split("\t")
        if len(fields) != 3:
            raise ManyLabelError(where, _FORM, shown(line.decode(errors="replace").rstrip()))
        texts.append(fields[2])
        rows.append(fields[1].split())
    return texts, rows
