"""Columns of a table in compact arrays, filled block by block: numbers, codes, strings in one buffer."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from hashlib import blake2b
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import numpy as np

from manylabel.data.cells import as_numbers

Array = np.ndarray[Any, Any]
Cells: TypeAlias = "Sequence[Any] | np.ndarray[Any, Any]"
Storage: TypeAlias = Literal["any", "typed", "text", "codes"]
_PARSED_AT_ONCE = 16_384  # cells
_MOST_CODES = 16_384  # and an eighth of the rows: beyond, a dictionary of all cells is larger than the cells


class Numbers:
    """Numbers; ``values`` is (n,) float64, NaN where a cell is missing."""

    def __init__(self, values: Array) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: slice | Array) -> Numbers:
        return Numbers(self.values[rows])

    def cells(self) -> Iterator[str | None]:
        """Each as it would be written."""
        yield from map(_of_number, self.values.tolist())

    def distinct(self) -> list[str]:
        """Every different cell that says something, as it would be written."""
        return [*filter(None, dict.fromkeys(self.cells()))]

    def missing(self) -> Array:
        """Which cells say nothing, (n,) bool."""
        return np.isnan(self.values)

    def hashes(self) -> Array:
        """Equal cells have equal ones, (n,) uint64."""
        return (self.values + 0.0).view(np.uint64)

    def content(self) -> Iterator[bytes]:
        yield (self.values + 0.0).astype("<f8").tobytes()


class Codes:
    """Texts of which many are equal.

    Attributes
    ----------
    codes : (n,) int32 array
        Positions in ``values``; -1 where there is no cell.
    values : tuple of str
    """

    def __init__(self, codes: Array, values: Sequence[str]) -> None:
        self.codes, self.values = codes, tuple(values)

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: slice | Array) -> Codes:
        return Codes(self.codes[rows], self.values)

    def cells(self) -> Iterator[str | None]:
        values = (*self.values, None)
        yield from (values[code] for code in self.codes.tolist())

    def missing(self) -> Array:
        empty = np.array([not value.strip() for value in self.values] + [True])
        return empty[self.codes]

    def distinct(self) -> list[str]:
        used = np.flatnonzero(self.counts()).tolist()
        return [self.values[code] for code in used if self.values[code].strip()]

    def counts(self) -> Array:
        """The rows of each value, (n_values,) int64."""
        return np.bincount(self.codes[self.codes >= 0], minlength=len(self.values))

    def hashes(self) -> Array:
        of_values = np.array([_text_hash(v) if v.strip() else 0 for v in self.values] + [0], np.int64)
        return of_values[self.codes].view(np.uint64)

    def content(self) -> Iterator[bytes]:
        """The values in use in their order, then the place of each cell there: whatever order a dictionary grew in."""
        used = np.flatnonzero(self.counts()).tolist()
        given = (code for code in used if self.values[code].strip())  # an empty cell is none
        ordered = sorted(given, key=lambda code: self.values[code])
        place = np.full(len(self.values) + 1, -1, "<i4")
        place[ordered] = np.arange(len(ordered))
        yield "\0".join(self.values[code] for code in ordered).encode("utf-8", "surrogatepass")
        yield place[self.codes].tobytes()


class Strings:
    """Texts of which few are equal, in one buffer of UTF-8.

    Attributes
    ----------
    buffer : bytes
    offsets : (n + 1,) int64 array
        Cell i is ``buffer[offsets[i]:offsets[i + 1]]``; one without bytes is missing.
    """

    def __init__(self, buffer: bytes | bytearray, offsets: Array) -> None:
        self.buffer, self.offsets = buffer, offsets

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def take(self, rows: slice | Array) -> Strings:
        index = np.arange(len(self))[rows]
        starts, stops = self.offsets[index].tolist(), self.offsets[index + 1].tolist()
        buffer = b"".join(self.buffer[a:b] for a, b in zip(starts, stops, strict=True))
        lengths = self.offsets[index + 1] - self.offsets[index]
        return Strings(buffer, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))

    def __iter__(self) -> Iterator[str]:
        return (cell for cell in self.cells() if cell)

    def joined(self) -> bytes:
        """The cells one after the other, without what other cells there may be in the buffer."""
        return bytes(self.buffer[self.offsets[0] : self.offsets[-1]])

    def distinct(self) -> Strings:
        """All cells that say something: few are equal."""
        return self

    def cells(self) -> Iterator[str]:
        for offsets, data in self._blocks():
            bounds = offsets.tolist()
            text = data.decode() if data.isascii() else None  # one character a byte
            for start, stop in pairwise(bounds):
                yield data[start:stop].decode() if text is None else text[start:stop]

    def _blocks(self) -> Iterator[tuple[Array, bytes | bytearray]]:
        """Offsets, from 0, and bytes of some cells at a time."""
        for first in range(0, len(self), _PARSED_AT_ONCE):
            offsets = self.offsets[first : first + _PARSED_AT_ONCE + 1]
            yield offsets - offsets[0], self.buffer[offsets[0] : offsets[-1]]

    def missing(self) -> Array:
        missing: Array = np.diff(self.offsets) == 0
        return missing

    def hashes(self) -> Array:
        found = [_hashed(*block) for block in self._blocks()]
        return np.concatenate(found) if found else np.zeros(0, np.uint64)

    def content(self) -> Iterator[bytes]:
        yield self.offsets.astype("<i8").tobytes()
        yield bytes(self.buffer)


def _text_hash(text: str) -> int:
    """The same in every process, which Python's own is not."""
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


_FACTORS = np.random.default_rng(0).integers(1, 2**63, 1024, np.uint64) | np.uint64(1)


def _hashed(offsets: Array, data: bytes | bytearray) -> Array:
    """The sum over the bytes of a cell, each times a random factor of its place; modulo 2**64."""
    lengths = np.diff(offsets)
    found = np.zeros(len(lengths), np.uint64)
    given = np.flatnonzero(lengths)
    if len(given):
        place = np.arange(len(data)) - np.repeat(offsets[:-1], lengths)
        factors = _FACTORS[place & 1023] * (2 * (place >> 10) + 1).astype(np.uint64)
        bytes_ = np.frombuffer(data, np.uint8).astype(np.uint64) + np.uint64(1)
        found[given] = np.add.reduceat(bytes_ * factors, offsets[:-1][given])
    return found


Stored: TypeAlias = Numbers | Codes | Strings


def concat(first: Stored, second: Stored) -> Stored:
    """The cells of one column in two parts, stored as those of the first are."""
    if isinstance(first, Numbers) and isinstance(second, Numbers):
        return Numbers(np.concatenate([first.values, second.values]))
    if isinstance(first, Strings) and isinstance(second, Strings):
        return Strings(first.joined() + second.joined(), _joined_offsets(first.offsets, second.offsets))
    builder = _TextBuilder(keep_dictionary=isinstance(first, Codes))
    for part in (first, second):
        builder.add([*part.cells()])
    return builder.finish()


def _joined_offsets(first: Array, second: Array) -> Array:
    return np.concatenate([first - first[0], second[1:] - second[0] + (first[-1] - first[0])])


class _Dictionary(dict[Any, int]):
    """Text -> code, a new one for each new text; no text is -1."""

    def __init__(self) -> None:
        super().__init__({None: -1})

    def __missing__(self, key: str) -> int:
        self[key] = code = len(self) - 1
        return code

    @property
    def values_in_order(self) -> list[str]:
        return list(self)[1:]


class ColumnBuilder:
    """Takes the cells of a column, a block at a time, into the smallest storage that fits all of them.

    Parameters
    ----------
    storage : {"any", "typed", "text", "codes"}, default "any"
        Numbers if all cells are, else texts; numbers only of files and arrays that hold such; texts whatever they look
        like; or a dictionary, however large.

    Attributes
    ----------
    contradicted : bool
        Whether text came after numbers, known after :meth:`finish`: the column has to be read again, as "text".

    Notes
    -----
    Small blocks are read fast, as their cells are still in the cache; numbers are parsed fast when they are many. Cells
    wait, joined to one text, until they are.
    """

    def __init__(self, storage: Storage = "any") -> None:
        self.storage: Storage = storage
        self.contradicted = False
        self._numbers: list[Array] | None = [] if storage in ("any", "typed") else None
        self._waiting: list[str] = []
        self._n_waiting = 0
        self._texts: _TextBuilder | None = None

    def add(self, cells: Cells) -> None:
        """The next cells: str, or what a typed file holds (None, numbers, dates, lists)."""
        if len(cells) == 0 or self.contradicted:
            return
        if type(cells[0]) is not str or set(map(type, cells)) != {str}:
            cells = _tidied(cells)
        if self._numbers is None:
            self._add_texts(cells)
        elif isinstance(cells, np.ndarray):
            self._flush()
            self._add_numbers(cells)
        else:
            self._wait(cells)

    def finish(self) -> Stored:
        """What was taken."""
        self._flush()
        if self._numbers is None:
            return self._text_builder.finish()
        return Numbers(np.concatenate(self._numbers) if self._numbers else np.zeros(0))

    @property
    def _text_builder(self) -> _TextBuilder:
        if self._texts is None:
            self._texts = _TextBuilder(keep_dictionary=self.storage == "codes")
        return self._texts

    def _wait(self, cells: Sequence[str | None]) -> None:
        given: Sequence[str] = [c or "" for c in cells] if None in cells else cells  # type: ignore[assignment]
        joined = "\0".join(given)
        holds_nul = joined.count("\0") != len(given) - 1  # a cell of a typed file may, and is no number
        if self.storage == "typed" or holds_nul:
            self._flush()
            self._leave_numbers(given)
            return
        self._waiting.append(joined)
        self._n_waiting += len(given)
        if self._n_waiting >= _PARSED_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        """Take the waiting cells."""
        if not self._waiting:
            return
        text, n = "\0".join(self._waiting), self._n_waiting
        self._waiting, self._n_waiting = [], 0
        values = as_numbers(text, n)
        if values is None:
            self._leave_numbers(text.split("\0"))
        else:
            self._add_numbers(values)

    def _add_numbers(self, values: Array) -> None:
        if self._numbers is None:
            self._add_texts(values)
        else:
            self._numbers.append(values)

    def _leave_numbers(self, cells: Sequence[str | None]) -> None:
        """Go on with texts, if all cells until now were missing."""
        before, self._numbers = self._numbers, None
        if before and not all(np.isnan(values).all() for values in before):
            self.contradicted = True
            return
        self._add_texts([""] * sum(map(len, before or ())))
        self._add_texts(cells)

    def _add_texts(self, cells: Cells) -> None:
        if not self.contradicted:
            self._text_builder.add(_as_texts(cells))


class _TextBuilder:
    """Codes of a dictionary, or one buffer once the dictionary grows too large."""

    def __init__(self, keep_dictionary: bool) -> None:
        self._keep = keep_dictionary
        self._dictionary: _Dictionary | None = _Dictionary()
        self._codes = array("i")
        self._buffer, self._lengths = bytearray(), array("i")

    def add(self, cells: Sequence[str | None]) -> None:
        if self._dictionary is None:
            self._add_strings(cells)
            return
        self._codes.extend(map(self._dictionary.__getitem__, cells))
        if not self._keep and len(self._dictionary) > max(_MOST_CODES, len(self._codes) >> 3):
            self._leave_dictionary()

    def finish(self) -> Codes | Strings:
        if self._dictionary is not None:
            return Codes(np.frombuffer(self._codes, np.int32).copy(), self._dictionary.values_in_order)
        lengths = np.frombuffer(self._lengths, np.int32)
        return Strings(self._buffer, np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]))

    def _leave_dictionary(self) -> None:
        assert self._dictionary is not None
        values = [*self._dictionary.values_in_order, ""]  # -1 is the last
        self._dictionary = None
        self._add_strings([values[code] for code in self._codes])
        self._codes = array("i")

    def _add_strings(self, cells: Sequence[str | None]) -> None:
        given: Sequence[str] = [c or "" for c in cells] if None in cells else cells  # type: ignore[assignment]
        joined = "".join(given)
        if joined.isascii():
            self._buffer += joined.encode()
            self._lengths.extend(map(len, given))
            return
        parts = [cell.encode() for cell in given]
        self._buffer += b"".join(parts)
        self._lengths.extend(map(len, parts))


def _tidied(cells: Cells) -> Cells:
    """Cells of a typed file as numbers, or as texts and None."""
    if isinstance(cells, np.ndarray) and cells.dtype.kind in "iuf":
        values = cells.astype(np.float64)
        exact = (
            cells.dtype.kind == "f" or cells.dtype.itemsize < 8 or not bool((np.abs(values) >= 2.0**53).any())
        )
        return values if exact else [str(v) for v in cells.tolist()]
    if isinstance(cells, np.ndarray) and cells.dtype.kind in "mM":
        cells = cells.astype(f"{cells.dtype.kind}8[us]")  # of nanoseconds NumPy would list whole numbers
    listed = cells.tolist() if isinstance(cells, np.ndarray) else cells
    kinds = set(map(type, listed)) - {type(None)}
    if kinds and kinds <= {int, float}:
        small = all(v is None or abs(v) < 2**53 or isinstance(v, float) for v in listed)
        if small:
            return np.array([np.nan if v is None else v for v in listed], np.float64)
    return [_text_of(cell) for cell in listed]


def _as_texts(cells: Cells) -> Sequence[str | None]:
    return [_of_number(v) for v in cells.tolist()] if isinstance(cells, np.ndarray) else cells


def _of_number(value: float) -> str | None:
    if value != value:
        return None
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def _text_of(cell: Any) -> str | None:
    """A cell of a typed file as text; None where there is none.

    Raises
    ------
    TypeError
        For bytes, and whatever has no text of its own.
    """
    if cell is None or isinstance(cell, str):
        return cell
    if isinstance(cell, bool | np.bool_):
        return "true" if cell else "false"
    if isinstance(cell, int | np.integer):
        return str(int(cell))
    if isinstance(cell, float | np.floating):
        return _of_number(float(cell))
    if isinstance(cell, Decimal):
        return str(cell)
    if isinstance(cell, datetime | date):
        return None if cell != cell else cell.isoformat()  # pandas' missing date is not itself
    if isinstance(cell, timedelta):
        return _of_number(cell.total_seconds())
    if type(cell).__name__ == "Period":  # of pandas, as its intervals
        return str(cell.start_time.isoformat())
    if isinstance(cell, time) or type(cell).__name__ == "Interval":
        return str(cell)
    return _list_as_text(cell)


def _list_as_text(cell: Any) -> str | None:
    listed = cell.tolist() if hasattr(cell, "tolist") else cell
    if isinstance(listed, list | tuple | set | frozenset):
        items = sorted(map(str, listed)) if isinstance(listed, set | frozenset) else listed
        return json.dumps([_text_of(item) for item in items], ensure_ascii=False)
    if isinstance(listed, dict):
        return json.dumps(listed, ensure_ascii=False, default=str)
    if type(cell).__name__ in ("NAType", "NaTType"):
        return None
    raise TypeError(f"a cell of type {type(cell).__name__}")
