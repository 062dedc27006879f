"""The contract of a reader of tables: named columns, whose cells come in blocks of rows, as often as one asks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from manylabel.data.column_storage import Cells
from manylabel.data.formats.border import shown
from manylabel.errors import ManyLabelError

BLOCK_ROWS = 512  # their cells fit into the cache of a processor


class TableSource(ABC):
    """A table that can be read block by block.

    Attributes
    ----------
    where : str
        The file, with its table where it holds several, for messages.
    names : tuple of str
        Of the columns.
    told : tuple of str
        What was found out on the way, such as the delimiter; one sentence each.
    """

    where: str
    names: tuple[str, ...]
    told: tuple[str, ...] = ()

    @abstractmethod
    def blocks(self, columns: Sequence[int], rows: int = BLOCK_ROWS) -> Iterator[Sequence[Cells]]:
        """The cells of some columns, so many rows at a time: str, or what a typed file holds.

        Raises
        ------
        ManyLabelError
            Naming file and place of what is not as it should be.
        """

    def place(self, row: int) -> str:
        """Where a row stands, for messages."""
        return f"row {row + 1} (counted from 1)"


def column_names(header: Sequence[Any], where: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Distinct names of all columns, those without one numbered; and what there is to tell of it.

    Raises
    ------
    ManyLabelError
        Without a column, for a name that comes twice, and where the first row holds numbers.
    """
    if not header:
        raise ManyLabelError(where, "a first line with the names of the columns", "an empty one")
    given = ["" if name is None else str(name).strip() for name in header]
    names = tuple(name or f"column {i}" for i, name in enumerate(given, start=1))
    twice = next((name for name, n in Counter(names).items() if n > 1), None)
    if all(map(_is_number, given)) and (twice or not all(name.isdigit() for name in given)):
        hint = "Put a line with a name for each column above the first row."
        raise ManyLabelError(where, "a first line with the names of the columns", "numbers", hint)
    if twice is not None:
        first, second = [i for i, name in enumerate(names, start=1) if name == twice][:2]
        got = f"{shown(twice)} twice (columns {first} and {second})"
        raise ManyLabelError(where, "every column name once", got, "Rename one of them.")
    nameless = [name for name, own in zip(names, given, strict=True) if not own]
    told = (f"The header has no name for {', '.join(nameless[:5])}.",) if nameless else ()
    return names, told


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
