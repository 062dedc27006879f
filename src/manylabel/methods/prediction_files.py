"""Predictions written block by block as CSV, JSON lines or parquet: labels, probabilities, embeddings."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from manylabel import files
from manylabel.data.rows import Features
from manylabel.errors import ManyLabelError, missing_extra
from manylabel.files.spreadsheet import csv_text
from manylabel.methods.embedding_files import Named, with_names
from manylabel.methods.predictor import Predictor
from manylabel.metrics import TopScores

Array = np.ndarray[Any, Any]
Blocks = Iterable[Named]
SEPARATORS = ("|", ";", ",", "/", "\t")
_DIGITS = 6  # of a probability
_PROBABILITIES = 1 << 23  # at once
_FIRST = 5  # rows that are told


@dataclass(frozen=True)
class Wanted:
    """What is written of each row beside its labels and their probabilities.

    Attributes
    ----------
    identifier : str or None, default None
        Name of the column that names the rows; None stands for "file" where rows are files, such as pictures.
    probabilities, embeddings : bool, default False
        Those of all labels; all numbers of the representation.
    top : int or None, default None
        So many labels of the highest probabilities.
    separator : str or None, default None
        Between the labels of a cell of CSV; by default the first usual one that no label name holds.
    """

    identifier: str | None = None
    probabilities: bool = False
    embeddings: bool = False
    top: int | None = None
    separator: str | None = None


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes
    ----------
    path : Path
    rows, labels, without : int
        Rows; labels predicted in all; rows without any.
    first : tuple of (str, dict of str to float)
        The first rows: what names them, and the probability of each label predicted.
    identifier : str or None
        The column that names the rows, where there is one.
    """

    path: Path
    rows: int
    labels: int
    without: int
    first: tuple[tuple[str, dict[str, float]], ...] = ()
    identifier: str | None = None


@dataclass(frozen=True)
class _Block:
    """Predictions of b rows."""

    identifiers: list[str] | None
    labels: list[list[int]]  # of each row, the most probable first
    P: Array  # (b, n_labels) float64 of 6 digits
    top: list[list[int]] | None
    Z: Array | None  # (b, H) float32

    def __len__(self) -> int:
        return len(self.labels)

    def told(self, names: Sequence[str], done: int, most: int) -> list[tuple[str, dict[str, float]]]:
        """So many rows as a person reads them, of which ``done`` rows came before."""
        shown, P = self.labels[:most], self.probabilities(self.labels[:most])
        given = self.identifiers or [f"row {done + i + 1}" for i in range(len(shown))]
        return [
            (given[i], {names[c]: p for c, p in zip(shown[i], P[i], strict=True)}) for i in range(len(shown))
        ]

    def probabilities(self, labels: list[list[int]]) -> list[list[float]]:
        return [self.P[i, chosen].tolist() for i, chosen in enumerate(labels)]


def write_predictions(
    model: Predictor, blocks: Blocks, path: str | Path, wanted: Wanted | None = None
) -> Written:
    """Predict block by block and write; a file that is there is replaced once all rows are done.

    Parameters
    ----------
    model : Predictor
    blocks : iterable of (Features, identifiers or None)
    path : str or Path
        Ends in .csv, .jsonl or .parquet.
    wanted : Wanted, optional

    Returns
    -------
    Written

    Raises
    ------
    ManyLabelError
        For another ending, a separator that a label name holds, a column name that comes twice, or rows that the model
        does not take. A file that was there is as it was.
    """
    place, wanted = files.as_path(path, "`out`"), wanted or Wanted()
    form = _form_of(place)
    _check_wanted(wanted, model)
    rows = labels = without = 0
    first: list[tuple[str, dict[str, float]]] = []
    named, blocks = with_names(wanted.identifier, _smaller(blocks, len(model.label_names)))
    wanted = replace(wanted, identifier=named)
    with files.writing(place) as file:
        sink = form(file, model.label_names, wanted)
        for X, identifiers in blocks:
            block = _predicted(model, X, identifiers, wanted)
            sink.add(block)
            first += block.told(model.label_names, rows, _FIRST - len(first))
            rows += len(block)
            labels += sum(map(len, block.labels))
            without += sum(not chosen for chosen in block.labels)
        sink.close()
    return Written(place, rows, labels, without, tuple(first), wanted.identifier)


def check_ending(path: str | Path) -> None:
    """Refuse a file of predictions that no writer knows, before any work.

    Raises
    ------
    ManyLabelError
    """
    _form_of(files.as_path(path, "`out`"))


def _predicted(model: Predictor, X: Features, identifiers: list[str] | None, wanted: Wanted) -> _Block:
    S = model.scores(X)
    P = np.round(model.probabilities(S).astype(np.float64), _DIGITS)
    top = None
    if wanted.top is not None:
        top = TopScores.of(P, wanted.top).labels.tolist() if len(P) else []
    labels = _most_probable_first(model.decided(S), P)
    return _Block(identifiers, labels, P, top, model.embed(X) if wanted.embeddings else None)


def _most_probable_first(chosen: Array, P: Array) -> list[list[int]]:
    """The labels chosen for each row, of equal probabilities the lowest first."""
    rows, labels = np.nonzero(chosen)
    labels = labels[np.lexsort((labels, -P[rows, labels], rows))]
    ends = chosen.sum(1).cumsum().tolist()
    return [labels[start:end].tolist() for start, end in zip([0, *ends], ends, strict=False)]


def _smaller(blocks: Blocks, n_labels: int) -> Blocks:
    """Blocks of rows whose probabilities are not many at once."""
    most = max(1, _PROBABILITIES // n_labels)
    for X, identifiers in blocks:
        if len(X) <= most:
            yield X, identifiers
            continue
        for start in range(0, len(X), most):
            rows = slice(start, start + most)
            yield X.take(rows), None if identifiers is None else identifiers[rows]


def _check_wanted(wanted: Wanted, model: Predictor) -> None:
    n_labels = len(model.label_names)
    if wanted.top is not None and not 1 <= wanted.top <= n_labels:
        raise ManyLabelError("`top`", f"a number of labels from 1 to {n_labels}", str(wanted.top))
    if wanted.separator is not None and not wanted.separator:
        raise ManyLabelError("`separator`", "at least one character", "none")
    own = (
        "labels",
        "probabilities",
        "top",
        "top_labels",
        "top_probabilities",
        "all_probabilities",
        "embedding",
    )
    if wanted.identifier in (*own, *(f"P({name})" for name in model.label_names)):
        hint = "Give the column another name in the file."
        raise ManyLabelError(
            "`identifier`", f"another name than {', '.join(own)}", repr(wanted.identifier), hint
        )


class _Sink(ABC):
    """Takes blocks of predictions and writes them to a file."""

    def __init__(self, file: BinaryIO, names: Sequence[str], wanted: Wanted) -> None:
        self.file, self.names, self.wanted = file, tuple(names), wanted

    @abstractmethod
    def add(self, block: _Block) -> None:
        """Write a block."""

    def close(self) -> None:  # noqa: B027  (few formats have an end)
        """Write what comes after the last block."""

    def named(self, labels: Sequence[int]) -> list[str]:
        return [self.names[label] for label in labels]


class _CsvSink(_Sink):
    """One line a row; labels in one cell, their probabilities in the next."""

    def __init__(self, file: BinaryIO, names: Sequence[str], wanted: Wanted) -> None:
        super().__init__(file, names, wanted)
        self.separator = _separator(names, wanted.separator)
        self.has_header = False

    def add(self, block: _Block) -> None:
        if not self.has_header:
            self._write([list(self._header(0 if block.Z is None else block.Z.shape[1]))])
            self.has_header = True
        self._write(self._rows(block))

    def close(self) -> None:
        if not self.has_header:  # no rows
            self._write([list(self._header(0))])

    def _header(self, width: int) -> Iterator[str]:
        yield from () if self.wanted.identifier is None else (self.wanted.identifier,)
        yield from ("labels", "probabilities")
        yield from () if self.wanted.top is None else ("top_labels", "top_probabilities")
        yield from (f"P({name})" for name in self.names if self.wanted.probabilities)
        yield from (f"embedding_{i}" for i in range(width))

    def _rows(self, block: _Block) -> Iterator[list[object]]:
        parts: list[list[list[Any]]] = []
        if block.identifiers is not None:
            parts.append([[name] for name in block.identifiers])
        parts.append(self._cells(block, block.labels))
        if block.top is not None:
            parts.append(self._cells(block, block.top))
        if self.wanted.probabilities:
            parts.append(block.P.tolist())
        if block.Z is not None:
            parts.append(_shortest(block.Z))
        for row in zip(*parts, strict=True):
            yield [cell for cells in row for cell in cells]

    def _cells(self, block: _Block, labels: list[list[int]]) -> list[list[Any]]:
        return [
            [self.separator.join(self.named(row)), self.separator.join(map(str, values))]
            for row, values in zip(labels, block.probabilities(labels), strict=True)
        ]

    def _write(self, rows: Iterable[Sequence[object]]) -> None:
        self.file.write(csv_text(rows).encode())


class _JsonLinesSink(_Sink):
    """One object a line; labels are an object of name to probability."""

    def add(self, block: _Block) -> None:
        parts: dict[str, list[Any]] = {}
        if self.wanted.identifier is not None and block.identifiers is not None:
            parts[self.wanted.identifier] = block.identifiers
        parts["labels"] = [self.named(row) for row in block.labels]
        parts["probabilities"] = self._objects(block, block.labels)
        if block.top is not None:
            parts["top"] = self._objects(block, block.top)
        if self.wanted.probabilities:
            parts["all_probabilities"] = [dict(zip(self.names, row, strict=True)) for row in block.P.tolist()]
        if block.Z is not None:
            parts["embedding"] = _shortest(block.Z)
        rows = zip(*parts.values(), strict=True)
        lines = (
            json.dumps(dict(zip(parts, row, strict=True)), ensure_ascii=False, allow_nan=False)
            for row in rows
        )
        self.file.write("".join(f"{line}\n" for line in lines).encode())

    def _objects(self, block: _Block, labels: list[list[int]]) -> list[dict[str, float]]:
        pairs = zip(labels, block.probabilities(labels), strict=True)
        return [dict(zip(self.named(row), values, strict=True)) for row, values in pairs]


class _ParquetSink(_Sink):
    """Lists of labels and of numbers, compressed by the library."""

    def __init__(self, file: BinaryIO, names: Sequence[str], wanted: Wanted) -> None:
        super().__init__(file, names, wanted)
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError:
            raise missing_extra("predictions as parquet", "pyarrow", "data") from None
        self.pa, self.pq = pa, pq
        self.writer: Any = None

    def add(self, block: _Block) -> None:
        table = self._table(block)
        if self.writer is None:
            self.writer = self.pq.ParquetWriter(self.file, table.schema)
        self.writer.write_table(table)

    def close(self) -> None:
        if self.writer is None:  # no rows
            n_labels = len(self.names)
            self.add(_Block([], [], np.zeros((0, n_labels)), [], None))
        self.writer.close()

    def _table(self, block: _Block) -> Any:
        pa = self.pa
        texts, numbers = pa.list_(pa.string()), pa.list_(pa.float64())
        parts: dict[str, Any] = {}
        if self.wanted.identifier is not None:
            parts[self.wanted.identifier] = pa.array(block.identifiers, pa.string())
        parts["labels"] = pa.array([self.named(row) for row in block.labels], texts)
        parts["probabilities"] = pa.array(block.probabilities(block.labels), numbers)
        if self.wanted.top is not None and block.top is not None:
            parts["top_labels"] = pa.array([self.named(row) for row in block.top], texts)
            parts["top_probabilities"] = pa.array(block.probabilities(block.top), numbers)
        if self.wanted.probabilities:
            parts |= {f"P({name})": pa.array(block.P[:, i]) for i, name in enumerate(self.names)}
        if block.Z is not None:
            parts["embedding"] = pa.FixedSizeListArray.from_arrays(
                pa.array(block.Z.ravel()), block.Z.shape[1]
            )
        return pa.table(parts)


_FORMS: dict[str, type[_Sink]] = {".csv": _CsvSink, ".jsonl": _JsonLinesSink, ".parquet": _ParquetSink}


def _form_of(path: Path) -> type[_Sink]:
    form = _FORMS.get(path.suffix.lower())
    if form is None:
        hint = "The ending says in what format predictions are written."
        raise ManyLabelError(
            "`out`", f"a file that ends in {', '.join(_FORMS)}", path.suffix or "no ending", hint
        )
    return form


def _separator(names: Sequence[str], given: str | None) -> str:
    """The given separator, or the first usual one that no name holds."""
    choices = SEPARATORS if given is None else (given,)
    free = next((sign for sign in choices if not any(sign in name for name in names)), None)
    if free is None:
        holder = next(name for name in names if choices[0] in name)
        hint = "Name another, or write JSON lines, which need none."
        got = f"{choices[0]!r}, which {holder!r:.60} holds"
        raise ManyLabelError("`separator`", "a text that no label name holds", got, hint)
    return free


def _shortest(Z: Array) -> list[list[float]]:
    """float32 numbers with as few digits as read back the same."""
    return [[float(text) for text in row] for row in Z.astype(str).tolist()]
