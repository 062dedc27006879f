"""Text of extreme multi-label classification: a line `n_rows n_features n_labels`, then rows as svmlight has them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from manylabel.data.build import About, Like, Part, assemble
from manylabel.data.dataset import DataSet
from manylabel.data.formats.border import shown
from manylabel.data.formats.options import SparseOptions
from manylabel.data.formats.parts import remark_if_alone, stem, train_and_test
from manylabel.data.formats.sparse_lines import index_lines
from manylabel.data.formats.sparse_text import (
    MOST_FEATURES,
    MOST_LABELS,
    Line,
    SparseText,
    compact,
    numbered_lines,
    read_sparse_text,
)
from manylabel.errors import ManyLabelError

_HEADER = re.compile(rb"\s*+[0-9]++(?:\s++[0-9]++){1,2}+\s*+")
_WHAT = "an XMC file that can be read"
_FEW_LABELS = 1 << 16  # a header may always name so many, and beyond one a byte of the file
_PAIR = ("Xf", "Y")  # how the names of features and labels end


def looks_like_xmc(line: bytes) -> bool:
    """Whether the first line of a file tells its size: rows, features and labels, or rows and columns."""
    return _HEADER.fullmatch(line) is not None


def read_xmc(path: Path, about: About) -> DataSet:
    """Read one file or a training and a test file, each alone or as a pair of features and labels.

    Parameters
    ----------
    path : Path
        `train.txt` (brings `test.txt`), a file without a split, or `trn_X_Xf.txt` (brings `trn_X_Y.txt` and the same
        two of `tst`); unpacked where it ends in ``.gz``. Labels of rows to be predicted are not looked at.
    about : About

    Raises
    ------
    ManyLabelError
        Naming the file and line of anything that is not as it should be.

    Notes
    -----
    Features and labels are counted from 0; those that no row has are kept, as the header counts them.
    """
    train_path, test_path = train_and_test(of_features(path))
    on_disk = SparseOptions.of(about).on_disk
    tables = [_read(p, on_disk, about.like) for p in (train_path, test_path) if p is not None]
    if len({(X.shape[1], Y.shape[1]) for X, Y in tables}) > 1:
        (X, Y), (X_test, Y_test) = tables
        expected = f"the {X.shape[1]} features and {Y.shape[1]} labels of {train_path.name}"
        raise ManyLabelError(str(test_path), expected, f"{X_test.shape[1]} and {Y_test.shape[1]}")
    features = [X for X, _ in tables] if on_disk else compact(*(X for X, _ in tables))
    paths = (train_path, test_path)
    parts = [Part(X, Y, str(p)) for X, (_, Y), p in zip(features, tables, paths, strict=False)]
    remarks = about.remarks + remark_if_alone(train_path, test_path)
    n_labels = parts[0].Y.shape[1]
    names = about.like.columns if about.like.unlabelled else [str(number) for number in range(n_labels)]
    return assemble(dataclasses.replace(about, remarks=remarks), *parts, label_names=names)


def _read(path: Path, on_disk: bool, like: Like) -> tuple[Any, Any]:
    """Features, CSR or on disk, and labels of one part, CSR."""
    lines = numbered_lines(path, _WHAT)
    sizes, header = _sizes(path, lines)
    read = partial(index_lines, start=header) if on_disk else read_sparse_text
    if len(sizes) == 3:
        _, width, n_labels = sizes
        if like.unlabelled:
            rows = _rows(path, lines, sizes, max(n_labels, MOST_LABELS), read)
            return rows.features(width), like.no_labels(len(rows))
        _check_labels(path, n_labels)
        rows = _rows(path, lines, sizes, n_labels, read)
        return rows.features(width), rows.label_matrix(np.arange(n_labels))
    Y = like.no_labels(sizes[0]) if like.unlabelled else _labels_beside(path, sizes[0])
    return _rows(path, lines, sizes, None, read).features(sizes[1]), Y


def _labels_beside(path: Path, n: int) -> Any:
    label_path = _partner(path, 0)
    if label_path is None:
        hint = "Features stand in trn_X_Xf.txt and labels in trn_X_Y.txt, or both in one file with three numbers first."
        raise ManyLabelError(str(path), "a file of labels beside these features", "none", hint)
    lines = numbered_lines(label_path, _WHAT)
    sizes, _ = _sizes(label_path, lines)
    if len(sizes) != 2 or sizes[0] != n:
        got = " ".join(map(str, sizes))
        raise ManyLabelError(f"{label_path}, line 1", f"{n} rows, as {path.name} has, and labels", got)
    _check_labels(label_path, sizes[1])
    Y = _rows(label_path, lines, sizes, None, read_sparse_text).features(sizes[1])
    return (Y != 0).astype(np.uint8)


def _check_labels(path: Path, n_labels: int) -> None:
    most = min(MOST_LABELS, max(_FEW_LABELS, path.stat().st_size))
    if not 0 < n_labels <= most:
        expected = f"from 1 to {most} labels in a file of this size"
        raise ManyLabelError(f"{path}, line 1", expected, f"{n_labels}")


def _rows(
    path: Path,
    lines: Iterator[Line],
    sizes: tuple[int, ...],
    n_labels: int | None,
    read: Callable[..., SparseText],
) -> SparseText:
    """The rows that the header counts; blank lines behind them are ignored."""
    n, width = sizes[:2]
    rows = read(path, islice(lines, n), width, n_labels, labelled=n_labels is not None)
    if len(rows) != n:
        hint = "The file may have been cut off."
        raise ManyLabelError(str(path), f"{n} rows, as line 1 says", f"{len(rows)}", hint)
    more = next(((number, line) for number, line in lines if line.strip()), None)
    if more is not None:
        raise ManyLabelError(f"{path}, line {more[0]}", f"{n} rows, as line 1 says", "more")
    return rows


def _sizes(path: Path, lines: Iterator[Line]) -> tuple[tuple[int, ...], int]:
    """The numbers of the first line, and how many bytes it has."""
    _, line = next(lines, (1, b""))
    words = line.split()
    where = f"{path}, line 1"
    if not looks_like_xmc(line) or max(map(len, words)) > 15:
        raise ManyLabelError(
            where, "the numbers of rows, features and labels", shown(line.decode(errors="replace"))
        )
    sizes = tuple(map(int, words))
    if sizes[0] == 0 or sizes[1] == 0 or sizes[1] > MOST_FEATURES:
        raise ManyLabelError(where, f"rows, and from 1 to {MOST_FEATURES} columns", " ".join(map(str, sizes)))
    return sizes, len(line)


def of_features(path: Path) -> Path:
    """The file of features that belongs to one of labels; any other file stays."""
    return _partner(path, 1) or path


def _partner(path: Path, given: int) -> Path | None:
    """The file of labels beside one of features (given 0), or the other way round (1)."""
    own, ours, theirs = stem(path), _PAIR[given], _PAIR[1 - given]
    if not own.endswith(ours):
        return None
    partner = path.with_name(own.removesuffix(ours) + theirs + path.name[len(own) :])
    return partner if partner.exists() else None
