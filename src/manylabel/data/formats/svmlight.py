"""svmlight / libsvm files with several labels, one or none a row: ``1,4 3:0.5 7:1``."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from manylabel.data.build import About, Like, Part, assemble
from manylabel.data.dataset import DataSet
from manylabel.data.formats.options import SvmlightOptions
from manylabel.data.formats.parts import remark_if_alone, train_and_test
from manylabel.data.formats.sparse_lines import index_lines
from manylabel.data.formats.sparse_text import (
    MOST_LABELS,
    SparseText,
    compact,
    left_out,
    numbered_lines,
    read_sparse_text,
)
from manylabel.errors import ManyLabelError
from manylabel.printable import count

_BINARY = [-1, 1]
_FIRST = re.compile(rb"[-+.,0-9eE]*+(?:\s++qid:[0-9]++)?+\s++[0-9]++:[-+.0-9eE]++")


def looks_like_svmlight(line: bytes) -> bool:
    """Whether a line of a file is a row of labels and ``index:value`` pairs."""
    return _FIRST.match(line) is not None


def read_svmlight(path: Path, about: About) -> DataSet:
    """Read a file, or the training and test file of a data set.

    Parameters
    ----------
    path : Path
        One of `NAME-train.svm` and `NAME-test.svm`, or a file without a split; unpacked where it ends in ``.gz``.
    about : About

    Raises
    ------
    ManyLabelError
        Naming the file and line of anything that is not as it should be.

    Notes
    -----
    Every line is a row; a blank one has neither labels nor features. Only lines with nothing but a comment are none.
    Features are counted from 0 if a 0 occurs in one of the files, else from 1. There is a label for each number that
    occurs, named by it, in ascending order. Where every row has one label, -1 or 1, that is one label.
    """
    train_path, test_path = train_and_test(path)
    paths = [train_path] if test_path is None else [train_path, test_path]
    options = SvmlightOptions.of(about)
    on_disk = options.on_disk
    read = index_lines if on_disk else read_sparse_text
    files = [read(p, numbered_lines(p, "a readable svmlight file")) for p in paths]
    first, width = _numbering(files, options.first, options.width(about))
    labels, names, more = _labels(files, about.like)
    found = tuple(file.features(width, first) for file in files)
    features = found if on_disk else compact(*found)
    parts = [Part(X, Y, str(file.path)) for X, Y, file in zip(features, labels, files, strict=True)]
    why = ": no 0 occurs." if first and options.first is None else "."
    told = f"Features are counted from {first} in the file{why}"
    remarks = (*remark_if_alone(train_path, test_path), told, *more, *_remarks(files))
    made = assemble(dataclasses.replace(about, remarks=about.remarks + remarks), *parts, label_names=names)
    return dataclasses.replace(made, reading={"first": first})


def _numbering(files: Sequence[SparseText], asked: int | None, width: int | None) -> tuple[int, int]:
    """The number of the first feature, and how many features there are."""
    where = str(files[0].path)
    columns_to, least = max(file.columns_to for file in files), min(file.least for file in files)
    if not columns_to and width is not None:  # rows of zeros
        return asked or 0, width
    if not columns_to:
        hint = "Is this a file of labels alone?"
        raise ManyLabelError(where, "a feature in some row", "none", hint)
    if asked is not None and least < asked:
        hint = "Say first=0 with `options` if that is the first feature of these rows, or leave it out."
        raise ManyLabelError(where, f"features from {asked} on", f"{least}", hint)
    first = (0 if least == 0 else 1) if asked is None else asked
    if width is None:
        return first, columns_to - first
    last = columns_to - 1
    if last - first >= width:
        got = f"{last}, counted from {first}"
        raise ManyLabelError(
            where, f"at most {width} features", got, "Use the features of the training rows."
        )
    if asked is None and least > 0 and last < width:  # either numbering would do
        expected = f"a feature 0 or {width}, which would say from which number on features are counted"
        hint = "Say with `options` from which number on the training rows are counted: first=0 or first=1."
        raise ManyLabelError(where, expected, f"features from {least} to {last}", hint)
    return first, width


def _labels(files: Sequence[SparseText], like: Like) -> tuple[list[Any], Sequence[str], tuple[str, ...]]:
    """The label matrices of the files, the names of their columns, and what to tell of others."""
    if like.unlabelled:
        return [like.no_labels(len(file)) for file in files], like.columns, ()
    numbers, more = _label_numbers(files, like.label_names)
    skipped = int(_is_binary(numbers, files))  # -1 is no label of its own
    matrices = [file.label_matrix(numbers)[:, skipped:] for file in files]
    return matrices, [str(number) for number in numbers[skipped:]], more


def _label_numbers(
    files: Sequence[SparseText], names: tuple[str, ...]
) -> tuple[np.ndarray[Any, Any], tuple[str, ...]]:
    """The numbers of the labels, those of a model where it names them by numbers, and what to tell of others."""
    found = np.unique(np.concatenate([np.frombuffer(file.labels, dtype=np.int64) for file in files]))
    if names and all(re.fullmatch("-?[0-9]{1,15}", name) for name in names):
        numbers = np.array(sorted(map(int, names)), dtype=np.int64)
        if names == ("1",) and found.tolist() == _BINARY:
            return found, ()
        others = [str(number) for number in np.setdiff1d(found, numbers).tolist()]
        return numbers, (left_out(others),) if others else ()
    if not 0 < len(found) <= MOST_LABELS:
        raise ManyLabelError(str(files[0].path), f"from 1 to {MOST_LABELS} different labels", f"{len(found)}")
    return found, ()


def _is_binary(numbers: np.ndarray[Any, Any], files: Sequence[SparseText]) -> bool:
    return numbers.tolist() == _BINARY and all(len(file.labels) == len(file) for file in files)


def _remarks(files: Sequence[SparseText]) -> Iterator[str]:
    for file in files:
        if file.blank:
            yield f"{count(file.blank, 'line')} of {file.path.name} without labels and features."
        if file.queries:
            yield f"{count(file.queries, 'row')} of {file.path.name} with a qid, which is ignored."
