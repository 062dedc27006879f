"""Read a table with labels, keep what its columns mean as a schema, and apply that to new files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from manylabel.data.column_storage import Codes, ColumnBuilder, Numbers, Storage, Stored
from manylabel.data.columns import Column, as_told, understood
from manylabel.data.dataset import Rows
from manylabel.data.formats.border import shown
from manylabel.data.formats.table_registry import open_table
from manylabel.data.formats.table_source import TableSource
from manylabel.data.rows import Features, Texts, features_of_file
from manylabel.data.rows.table import TableRows
from manylabel.data.tags import (
    LabelColumns,
    TableLabels,
    known_label_columns,
    label_columns,
    read_known_labels,
    read_labels,
)
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix

_BLOCK_ROWS = 16_384


@dataclass(frozen=True)
class Schema:
    """What the columns of a table mean: kept with a model, applied to new files.

    Attributes
    ----------
    columns : tuple of Column
        All but those of the labels, those left out among them.
    labels : LabelColumns or None
    as_vectors : bool, default False
        Whether rows are vectors of these columns in their order, all of them numbers without gaps.
    """

    columns: tuple[Column, ...]
    labels: LabelColumns | None = None
    as_vectors: bool = False

    @property
    def features(self) -> tuple[Column, ...]:
        """The columns that there is something to learn from."""
        return tuple(column for column in self.columns if column.is_feature)

    @property
    def label_names(self) -> tuple[str, ...]:
        return () if self.labels is None else self.labels.names

    def to_json(self) -> dict[str, Any]:
        """What :meth:`from_json` makes the schema of."""
        labels = None if self.labels is None else self.labels.to_json()
        return {"columns": [column.to_json() for column in self.columns], "labels": labels}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> Schema:
        labels = None if told["labels"] is None else LabelColumns.from_json(told["labels"])
        return cls(tuple(map(Column.from_json, told["columns"])), labels)

    def with_labels(
        self,
        source: Any,
        labels: str | Sequence[str],
        names: tuple[str, ...],
        *,
        delimiter: str | None = None,
        encoding: str | None = None,
    ) -> Schema:
        """This schema with the labels of a model where ``source`` has them, whatever its training table did.

        Parameters
        ----------
        labels : str or sequence of str
            As in :func:`read_table`.
        names : tuple of n_labels str
            The labels of the model.
        source, delimiter, encoding
            As in :func:`read_table`.

        Raises
        ------
        ManyLabelError
            If the columns are absent, hold no labels, or labels of something else.
        """
        opened = open_table(source, delimiter=delimiter, encoding=encoding)
        chosen = label_columns(labels, opened.names, opened.where)
        codes: Any = _read(opened, dict.fromkeys(chosen, "codes"))
        return replace(self, labels=known_label_columns(codes, names, opened.where, opened.place))

    def apply(self, source: Any, *, delimiter: str | None = None, encoding: str | None = None) -> Table:
        """Read a table whose columns mean what those of this schema mean.

        Columns are found by name, in any order. Others are ignored and told; label columns may be absent.

        Parameters
        ----------
        source, delimiter, encoding
            As in :func:`read_table`.

        Raises
        ------
        ManyLabelError
            For a column that is absent, and naming file, line and column of a cell that is not what it was.
        """
        opened = open_table(source, delimiter=delimiter, encoding=encoding)
        wanted = self._wanted(opened)
        return self._table(opened, _read(opened, wanted), opened.place)

    def blocks(
        self,
        source: Any,
        rows: int = _BLOCK_ROWS,
        *,
        delimiter: str | None = None,
        encoding: str | None = None,
    ) -> Iterator[Table]:
        """As :meth:`apply`, so many rows at a time: any number of rows in the memory of one block.

        Parameters
        ----------
        rows : int
        """
        opened = open_table(source, delimiter=delimiter, encoding=encoding)
        wanted, done = self._wanted(opened), 0
        builders = {name: ColumnBuilder(storage) for name, storage in wanted.items()}
        waiting = 0
        for cells in chain(_small_blocks(opened, wanted, rows), (None,)):
            if cells is not None:
                waiting += len(cells[0])
                _add(builders, cells, opened, done)
            if waiting and (cells is None or waiting >= rows):
                start = done
                stored = {name: builder.finish() for name, builder in builders.items()}
                yield self._table(opened, stored, lambda row, start=start: opened.place(start + row))
                done, waiting = done + waiting, 0
                builders = {name: ColumnBuilder(storage) for name, storage in wanted.items()}

    def _wanted(self, source: TableSource) -> dict[str, Storage]:
        """How the columns are read that the schema needs and the table has."""
        used = [column for column in self.columns if column.role != "skip"]
        absent = [c.name for c in used if c.name not in source.names and c.is_feature]
        if absent:
            told = ", ".join(source.names[:12]) + (", ..." if len(source.names) > 12 else "")
            hint = "Take it from the same source as the training rows, or rename a column."
            raise ManyLabelError(source.where, f"a column {shown(absent[0])}", f"the columns {told}", hint)
        # numbers that are none are refused by their place, so they are read as whatever they are
        wanted: dict[str, Storage] = {c.name: c.storage for c in used if c.name in source.names}
        if self.labels is not None and all(name in source.names for name in self.labels.columns):
            wanted |= dict.fromkeys(self.labels.columns, "codes")
        return wanted

    def _table(self, source: TableSource, stored: Mapping[str, Stored], place: Any) -> Table:
        taken = {
            column.name: column.taken(stored[column.name], source.where, place)
            for column in self.columns
            if column.name in stored
        }
        labels = None
        if self.labels is not None and all(name in stored for name in self.labels.columns):
            codes = {name: stored[name] for name in self.labels.columns}
            labels = read_known_labels(codes, self.labels, source.where, place)  # type: ignore[arg-type]
        known = {*(column.name for column in self.columns), *(self.labels.columns if self.labels else ())}
        extra = [name for name in source.names if name not in known]
        told = (
            [f"Columns that the schema does not know are ignored: {', '.join(extra[:8])}."] if extra else []
        )
        table = _assembled(self, source, taken, labels, (*source.told, *told))
        return replace(table, X=_vectors(taken, source.where, place)) if self.as_vectors else table


@dataclass(frozen=True)
class Table:
    """The rows of a table.

    Attributes
    ----------
    X : Features
        Rows of the table; texts where the only column to learn from is one of texts.
    labels : TableLabels or None
    schema : Schema
    where : str
        What was read.
    told : tuple of str
        What was found out on the way, one sentence each.
    groups : (n,) int array, or None
        Of rows that stay together in a split, -1 where a cell is missing.
    weights : (n,) float64 array, or None
    group_names : tuple of str
        What the numbers of ``groups`` stand for.
    """

    X: Features
    labels: TableLabels | None
    schema: Schema
    where: str
    told: tuple[str, ...] = ()
    groups: np.ndarray[Any, Any] | None = None
    weights: np.ndarray[Any, Any] | None = None
    group_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.X)

    @property
    def label_names(self) -> tuple[str, ...]:
        """Of the columns of :attr:`Y`."""
        return self.schema.label_names

    @property
    def Y(self) -> LabelMatrix:
        """The labels, (n, n_labels).

        Raises
        ------
        ManyLabelError
            If none were read.
        """
        if self.labels is None:
            hint = "Name the column of the tags, or those of the labels, with `labels`."
            raise ManyLabelError(self.where, "label columns", "none", hint)
        return self.labels.matrix(f"{self.where}, labels")

    @property
    def rows(self) -> Rows:
        """Features, labels and weights."""
        return Rows(self.X, self.Y, self.weights)


def read_table(
    source: Any,
    *,
    labels: str | Sequence[str] | None = None,
    columns: Mapping[str, str] | None = None,
    separator: str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
) -> Table:
    """Read a table: what its columns mean is found out over all rows, and said.

    Parameters
    ----------
    source : str, Path, frame or dict of columns
        CSV, TSV, JSON lines (packed with gzip or not), parquet, Arrow, Feather, Excel, SQLite (``films.db#films`` where
        there are several tables), or a frame of pandas, polars or Arrow.
    labels : str or sequence of str, optional
        One column of tags; or several of 0 and 1, also by pattern (``"is_*"``).
    columns : dict of str -> str, optional
        The role of columns that were taken for something else: number, boolean, date, category, tags, text, group,
        weight, or skip.
    separator : str, optional
        Between tags; found out where it is not given.
    delimiter, encoding : str, optional
        Of text; found out where they are not given.

    Raises
    ------
    ManyLabelError
        Naming file, line, column, what was expected and what came.

    Notes
    -----
    An empty cell of tags says that a row has none; ``NA``, ``null`` and the like (and None of a typed file) that its
    labels are unknown. An empty cell of a 0/1 column is an unknown entry, and no in a column of x and empty cells.

    Examples
    --------
    >>> films = read_table({"year": [1999, 2003, 2011], "genres": ["Drama|War", "", "War"]}, labels="genres")
    >>> films.label_names
    ('Drama', 'War')
    """
    opened = open_table(source, delimiter=delimiter, encoding=encoding)
    roles = _checked_roles(columns or {}, opened)
    label_names = () if labels is None else label_columns(labels, opened.names, f"{opened.where}")
    _refuse_roles_of_labels(roles, label_names)
    stored = _stored(opened, label_names, roles)
    found, read = None, None
    if label_names:
        codes: Any = {name: stored[name] for name in label_names}
        found, read = read_labels(codes, separator, opened.where, opened.place)
    schema = Schema(tuple(_meanings(opened, stored, roles, set(label_names))), found)
    taken = {
        column.name: column.taken(stored.pop(column.name), opened.where, opened.place)
        for column in schema.columns
        if column.role != "skip"
    }
    return _assembled(schema, opened, taken, read, opened.told)


def _stored(opened: TableSource, label_names: Sequence[str], roles: Mapping[str, str]) -> dict[str, Stored]:
    """The columns that are read, of a table that has rows."""
    stored = _read(opened, _storages(opened, label_names, roles))
    if not stored or not len(next(iter(stored.values()))):
        hint = "Give a file with rows, and a column that is not skipped."
        raise ManyLabelError(opened.where, "at least one row below the names of the columns", "none", hint)
    return stored


def _refuse_roles_of_labels(roles: Mapping[str, str], label_names: Sequence[str]) -> None:
    clash = next((name for name in roles if name in label_names), None)
    if clash is not None:
        hint = "Leave its role out, or name other label columns."
        raise ManyLabelError("`columns`", "columns that hold no labels", repr(clash), hint)


def _storages(
    source: TableSource, label_names: Sequence[str], roles: Mapping[str, str]
) -> dict[str, Storage]:
    """How the columns are held that are not skipped; what no role says is found out from the cells."""
    wanted: dict[str, Storage] = {}
    for name in source.names:
        if name in label_names or roles.get(name) in ("category", "group"):
            wanted[name] = "codes"
        elif roles.get(name) != "skip":
            wanted[name] = "text" if roles.get(name) in ("text", "tags", "date", "boolean") else "any"
    return wanted


def _checked_roles(columns: Mapping[str, str], source: TableSource) -> dict[str, str]:
    for name in columns:
        if name not in source.names:
            told = ", ".join(source.names[:12])
            raise ManyLabelError(f"{source.where}, `columns`", f"one of the columns {told}", repr(name))
    return dict(columns)


def _meanings(
    source: TableSource, stored: Mapping[str, Stored], roles: Mapping[str, str], labels: set[str]
) -> Iterator[Column]:
    for name in source.names:
        if name in labels:
            continue
        if name in stored and name in roles:
            yield as_told(name, roles[name], stored[name])
        elif name in stored:
            yield understood(name, stored[name])
        else:
            yield Column(name, "skip", "as you said")


def _read(source: TableSource, wanted: Mapping[str, Storage]) -> dict[str, Stored]:
    """The columns that are wanted; those in which text came after numbers are read a second time."""
    builders = {name: ColumnBuilder(storage) for name, storage in wanted.items()}
    found: dict[str, Stored] = {}
    for _ in range(2):
        done = 0
        for cells in source.blocks([source.names.index(name) for name in builders]):
            _add(builders, cells, source, done)
            done += len(cells[0])
        for name, builder in builders.items():
            found[name] = builder.finish()
        builders = {name: ColumnBuilder("text") for name, builder in builders.items() if builder.contradicted}
        if not builders:
            break
    return {name: found[name] for name in wanted}


def _add(builders: Mapping[str, ColumnBuilder], cells: Sequence[Any], source: TableSource, done: int) -> None:
    for (name, builder), column in zip(builders.items(), cells, strict=True):
        try:
            builder.add(column)
        except (TypeError, ValueError) as error:
            where = f"{source.where}, from {source.place(done)} on, column {shown(name)}"
            hint = "Leave the column out, or turn its cells into texts or numbers."
            raise ManyLabelError(
                where, "cells with a text, a number, a date or a list", str(error), hint
            ) from None


def _assembled(
    schema: Schema,
    source: TableSource,
    taken: dict[str, Stored],
    labels: TableLabels | None,
    told: tuple[str, ...],
) -> Table:
    by_role = {column.role: taken[column.name] for column in schema.columns if column.name in taken}
    groups, weights = by_role.get("group"), by_role.get("weight")
    features = {column.name: taken[column.name] for column in schema.features}
    if not features:
        left = "; ".join(f"{column.name}: {column.why}" for column in schema.columns[:5]) or "no other column"
        raise ManyLabelError(
            source.where, "a column to learn from", f"none ({left})", "Name a role with `columns`."
        )
    return Table(
        _features(schema, features),
        labels,
        schema,
        source.where,
        (*told, *(labels.told if labels else ())),
        groups.codes if isinstance(groups, Codes) else None,
        weights.values if isinstance(weights, Numbers) else None,
        groups.values if isinstance(groups, Codes) else (),
    )


def _features(schema: Schema, taken: dict[str, Stored]) -> Features:
    only = schema.features[0]
    if len(schema.features) == 1 and only.role == "text":
        return Texts([*taken[only.name].cells()])
    return TableRows(taken, {column.name: column for column in schema.features})


def _vectors(taken: Mapping[str, Stored], where: str, place: Any) -> Features:
    """Numbers side by side, (n, n_columns)."""
    values = np.column_stack([column.values for column in taken.values() if isinstance(column, Numbers)])
    if np.isnan(values).any():
        row, column = np.argwhere(np.isnan(values))[0]
        told = f"{where}, {place(int(row))}, column {shown([*taken][column])}"
        hint = (
            "The model was trained on numbers without gaps: fill them in, or train on a table that has some."
        )
        raise ManyLabelError(told, "a number", "no value", hint)
    return features_of_file(values, where)


def _small_blocks(source: TableSource, wanted: Mapping[str, Storage], rows: int) -> Iterator[Sequence[Any]]:
    return source.blocks([source.names.index(name) for name in wanted], min(rows, 512))
