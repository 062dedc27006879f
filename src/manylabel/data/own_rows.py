"""Rows of whatever file a person names: a table by what its columns mean, or a data set in the order of its file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from manylabel.data.build import DRAWN, UNDIVIDED, Like
from manylabel.data.columns import Column
from manylabel.data.dataset import DataSet, Rows
from manylabel.data.formats.options import refuse_options
from manylabel.data.loading import load
from manylabel.data.rows import Features
from manylabel.data.tables import Schema, Table, read_table
from manylabel.errors import ManyLabelError, did_you_mean
from manylabel.labels import LabelMatrix

BLOCK_ROWS = 4096


@dataclass(frozen=True)
class OwnRows:
    """Rows that somebody brought.

    Attributes
    ----------
    X : Features
    Y : LabelMatrix (n, n_labels)
    label_names : tuple of n_labels str
    where : str
        What was read.
    told : tuple of str
        What was found out on the way, one sentence each.
    table : Table or None
        Where the rows are those of a table.
    feature_names : tuple of n_features str, or None
        Of a data set whose file names its features.
    reading : mapping
        See :attr:`manylabel.data.DataSet.reading`.
    """

    X: Features
    Y: LabelMatrix
    label_names: tuple[str, ...]
    where: str
    told: tuple[str, ...] = ()
    table: Table | None = None
    feature_names: tuple[str, ...] | None = None
    reading: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.Y)


def read_training_rows(
    source: str | Path,
    *,
    labels: str | Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    like: Like | None = None,
    **reading: Any,
) -> OwnRows:
    """Rows to train on: of a table with its label columns named, or the training part of a data set.

    Parameters
    ----------
    source : str or Path
    labels : str or sequence of str, optional
        Label columns, for a table alone; see :func:`manylabel.data.read_table`.
    options : mapping, optional
        Settings of the reader of a data set, such as ``{"side": 224}`` for pictures; a table has none.
    like : Like, optional
        Of a data set: features of a model whose encoder is taken. A table has its own schema.
    **reading
        Other arguments of :func:`manylabel.data.read_table`.

    Raises
    ------
    ManyLabelError
        If there is no such file, or it cannot be used; a table without ``labels`` is refused.
    """
    if labels is None:
        _refuse_table(source)
        dataset = load(source, undivided=True, options=options, like=like)
        return _of_dataset(dataset, dataset.train, "training")
    refuse_options(options or {}, str(source))
    return _of_table(read_table(source, labels=labels, **reading))


def read_test_rows(
    source: str | Path,
    schema: Schema | None,
    label_names: tuple[str, ...],
    *,
    labels: str | Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
    like: Like | None = None,
    **reading: Any,
) -> OwnRows:
    """Rows with the labels of a model: of a table like its training rows, or the test part of a data set.

    Parameters
    ----------
    source : str or Path
    schema : Schema or None
        What the columns of the training table meant.
    label_names : tuple of n_labels str
        In the order of the columns that the labels shall have.
    labels : str or sequence of str, optional
        Label columns of a table; by default those of the training table.
    options : mapping, optional
        As :func:`read_training_rows` takes them.
    like : Like, optional
        What rows the model takes.
    **reading
        ``delimiter`` and ``encoding`` of a table.

    Raises
    ------
    ManyLabelError
        If the file cannot be read, has no rows, no labels or others than these.
    """
    if schema is not None:
        refuse_options(options or {}, str(source))
        return _test_rows_of_table(source, schema, label_names, labels, reading)
    if labels is not None:
        hint = "The model was trained on rows of another format, which names its labels itself."
        raise ManyLabelError("`labels`", f"none for {source}", repr(labels), hint)
    like = replace(like or Like(), label_names=label_names)
    dataset = load(source, undivided=True, options=options, like=like)
    found = _of_dataset(dataset, dataset.test, "test")
    place = {name: i for i, name in enumerate(dataset.label_names)}
    absent = [name for name in label_names if name not in place]
    if absent or len(place) != len(label_names):
        expected = f"the {len(label_names)} labels of the model"
        got = f"{len(place)} labels" + (f" without {absent[0]!r:.60}" if absent else "")
        raise ManyLabelError(str(source), expected, got, "Take rows of the data that it was trained on.")
    order = [place[name] for name in label_names]
    Y = found.Y if order == sorted(order) else _reordered(found.Y, order)
    return OwnRows(found.X, Y, label_names, found.where, told=found.told)


def schema_of_columns(
    source: str | Path,
    kind: str,
    feature_names: tuple[str, ...] | None = None,
    options: Mapping[str, Any] | None = None,
    **reading: Any,
) -> Schema | None:
    """What the columns of a table mean to a model that was trained on no table; None where it takes none.

    A model of texts takes one column of them, one of vectors the columns that have the names of its features.

    Parameters
    ----------
    source : str or Path
    kind : str
        Of the rows that the model takes.
    feature_names : tuple of n_features str, or None
        Of a model that knows them.
    options : mapping, optional
        ``text`` names the column of the texts; by default the only one, or that of this name.
    **reading
        ``delimiter`` and ``encoding`` of the table.

    Raises
    ------
    ManyLabelError
        If the table has no such column, or ``options`` are others.
    """
    if not is_plain_table(source, but_for="pictures"):
        return None
    if kind == "vectors" and feature_names is not None:
        refuse_options(options or {}, str(source))
        return Schema(tuple(Column(name, "number", "a feature") for name in feature_names), as_vectors=True)
    return _column_of_texts(source, options, reading) if kind == "text" else None


def _column_of_texts(
    source: str | Path, options: Mapping[str, Any] | None, reading: Mapping[str, Any]
) -> Schema:
    from manylabel.data.formats.table_registry import open_table

    names, asked = open_table(source, **reading).names, dict(options or {})
    name = str(asked.pop("text", names[0] if len(names) == 1 else "text"))
    refuse_options(asked, str(source))
    if name not in names:
        got = ", ".join(map(repr, names[:12])) + (", ..." if len(names) > 12 else "")
        hint = did_you_mean(name, names, "Name the column of the texts with `options`: text=COLUMN.")
        raise ManyLabelError(str(source), f"a column {name!r} of the texts", f"the columns {got}", hint)
    return Schema((Column(name, "text", "the texts"),))


def _test_rows_of_table(
    source: str | Path,
    schema: Schema,
    label_names: tuple[str, ...],
    labels: str | Sequence[str] | None,
    reading: Mapping[str, Any],
) -> OwnRows:
    if labels is not None:
        schema = schema.with_labels(source, labels, label_names, **reading)
    if schema.labels is None:
        got, hint = "none: the model was trained on labels apart", "Name its label columns with `labels`."
        raise ManyLabelError(str(source), "label columns", got, hint)
    rows = _of_table(schema.apply(source, **reading))
    if not len(rows):
        raise ManyLabelError(str(source), "rows with labels", "none below the names of the columns")
    return rows


def blocks_of_rows(
    source: str | Path,
    schema: Schema | None,
    identifier: str | None = None,
    rows: int = BLOCK_ROWS,
    options: Mapping[str, Any] | None = None,
    like: Like | None = None,
    tell: Callable[[str], object] | None = None,
    **reading: Any,
) -> Iterator[tuple[Features, list[str] | None]]:
    """Features of new rows block by block, in the order of their file; labels in it are not looked at.

    A table is streamed, a data set read whole; of one with a published split it is the test part.

    Parameters
    ----------
    source : str or Path
    schema : Schema or None
        What the columns of the training table meant; None for a model of other rows.
    identifier : str, optional
        A column of the table that names the rows.
    rows : int, default 4096
    options : mapping, optional
        As :func:`read_training_rows` takes them.
    like : Like, optional
        Features and labels of the model, and whether rows may come without labels.
    tell : callable (sentence), optional
        Called with each remark on how a data set was read, such as files left out.
    **reading
        ``delimiter`` and ``encoding`` of a table.

    Yields
    ------
    X : Features
    identifiers : list of str, or None

    Raises
    ------
    ManyLabelError
        If the file cannot be read, or has other columns than the training rows.
    """
    if schema is not None:
        refuse_options(options or {}, str(source))
        yield from _blocks_of_table(source, schema, identifier, rows, reading)
        return
    _refuse_other_table(source)
    like = replace(like or Like(), identifier=identifier)
    own = Path(source) if like.unlabelled and Path(source).exists() else source  # before a set of that name
    dataset = load(own, undivided=True, options=options, like=like)
    X, names = dataset.test.X, dataset.test_names
    part = () if dataset.split == UNDIVIDED else (_which_rows(dataset, "test"),)
    if tell is not None:
        for remark in (*dataset.remarks, *part):
            tell(remark)
    if identifier is not None and names is None:
        hint = "Its rows keep their order: row i of the output is row i of the input."
        raise ManyLabelError("`identifier`", "a column of a table", f"{str(source)!r}, which has none", hint)
    for start in range(0, len(X), rows):
        block = slice(start, start + rows)
        yield X.take(block), None if names is None else list(names[block])


def _blocks_of_table(
    source: str | Path, schema: Schema, identifier: str | None, rows: int, reading: Mapping[str, Any]
) -> Iterator[tuple[Features, list[str] | None]]:
    from manylabel.data.formats.table_registry import open_table

    opened = open_table(source, **reading)
    unlabelled = replace(schema, labels=None)
    if identifier is None:
        yield from ((table.X, None) for table in unlabelled.blocks(opened, rows))
        return
    if identifier not in opened.names:
        hint = did_you_mean(identifier, opened.names, f"It has {', '.join(map(repr, opened.names)):.400}.")
        raise ManyLabelError(
            f"{opened.where}, `identifier`", "one of its columns", f"{identifier!r:.60}", hint
        )
    column = opened.names.index(identifier)
    cells = chain.from_iterable(block[0] for block in opened.blocks([column]))
    for table in unlabelled.blocks(opened, rows):
        yield table.X, ["" if cell is None else str(cell) for cell in islice(cells, len(table))]


def _reordered(Y: LabelMatrix, order: list[int]) -> LabelMatrix:
    """The labels in another order."""

    def moved(labels: LabelMatrix) -> LabelMatrix:
        return labels.sparse().transposed.take(np.array(order)).sparse().transposed

    return moved(Y.with_unknown(None)).with_unknown(moved(Y.unknown) if Y.has_unknown else None)


def _of_table(table: Table) -> OwnRows:
    return OwnRows(table.X, table.Y, table.label_names, table.where, table.told, table)


def _of_dataset(dataset: DataSet, part: Rows, name: str) -> OwnRows:
    whole = dataset.split == UNDIVIDED
    which = "All rows are taken." if whole else _which_rows(dataset, name)
    return OwnRows(
        part.X,
        part.Y,
        dataset.label_names,
        dataset.source or dataset.name,
        told=(*dataset.remarks, which),
        feature_names=dataset.feature_names,
        reading=dataset.reading,
    )


def _which_rows(dataset: DataSet, part: str) -> str:
    split = (
        "a split that is drawn, as none is published," if dataset.split == DRAWN else "the published split"
    )
    return f"The {part} rows of {split} are taken."


def is_plain_table(source: str | Path, but_for: str = "") -> bool:
    """Whether a path names a table, and no data set of another format (``but_for`` one) whose file ends alike."""
    from manylabel.data.formats.registry import format_of_file
    from manylabel.data.formats.table_registry import is_readable, is_table

    path = Path(source)
    found = format_of_file(path) if is_table(path) and is_readable(path) else None
    return is_table(path) and (found is None or found.name == but_for)


def are_new_pictures(source: str | Path) -> bool:
    """Whether a path names a picture, or a folder of pictures that is no data set."""
    from manylabel.data.formats.pictures import new_pictures
    from manylabel.data.formats.registry import format_of_folder

    path = Path(source)
    return bool(new_pictures(path)) and not (path.is_dir() and format_of_folder(path))


def _refuse_table(source: str | Path) -> None:
    if is_plain_table(source):
        hint = "Name the column of the tags, or those of 0 and 1 by names or a pattern such as is_*."
        raise ManyLabelError("`labels`", f"the label columns of {source}", "none", hint)


def _refuse_other_table(source: str | Path) -> None:
    if is_plain_table(source):
        hint = "Train on a table to predict for tables, or give a file of the format that it was trained on."
        raise ManyLabelError(str(source), "rows as the model was trained on, which was no table", "one", hint)
