"""Cells that hold several values: where one ends, and whether a column holds sets of values rather than texts."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from manylabel.data.cells import UNKNOWN, as_number
from manylabel.data.column_storage import Codes, Strings
from manylabel.data.formats.border import shown
from manylabel.printable import count

LIST = "list"
SEPARATORS = {"|": "bar", ";": "semicolon", ",": "comma", "\t": "tab", "/": "slash", "\n": "line end"}
UNIT = "\x1f"
"""Between the values of a cell once it is read, whatever stood there."""

_WIDE = {
    "\u3001": "ideographic comma",
    "\uff0c": "wide comma",
    "\uff1b": "wide semicolon",
    "\uff5c": "wide bar",
}
_EMPTY_SETS = ("set()", "frozenset()")
_PAIR = re.compile(r"""\s*(?:'[^']*'|"[^"]*")\s*:""")  # of an object
_NO_ITEMS = ("nan", "None")
_CLOSING = ("]", "}", ")")
_RARE = 10  # times as many rows hold another separator
_QUOTED = re.compile(r"""\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|([^\s,'"][^,'"]*))\s*(?:,|$)""")
_FEWEST_CELLS = 20
_SPLIT = 0.05  # of the cells hold a separator
_RECURRING = 0.65  # of the values that cells hold stand in another row too: names of people do, titles do not
_WORDS = 2.5  # in a value, in the mean: phrases are longer


def split_cell(value: str, separator: str) -> list[str]:
    """The values of a cell, without the blanks around them; an empty one is none, and no list among lists is one.

    What is surely a list is one beside any separator.
    """
    if _is_surely_listed(value) or (separator == LIST and _is_listed(value)):
        parts = _listed(value)
    elif separator == LIST:
        parts = [value]
    else:
        parts = value.split(separator) if separator else [value]
    return [part.strip() for part in parts if part.strip()]


def values_of(cell: str, separator: str) -> list[str] | None:
    """The values of a cell among features; None for one that is no list where the others are.

    N/A and the like are one value, whatever separates values.
    """
    if not cell.strip() or cell.strip() in UNKNOWN:
        return [*filter(None, [cell.strip()])]
    if separator == LIST and not _is_listed(cell):
        return None
    return split_cell(cell, separator)


def found_separator(used: dict[str, int]) -> tuple[str, str]:
    """The separator of cells known to hold tags, and a sentence on it; ``used`` is cell -> rows that have it."""
    values = [value for value in used if value.strip() not in UNKNOWN]
    if values and all(map(_is_listed, values)):
        return LIST, "The tags are written as lists."
    plain = {value: n for value, n in used.items() if not _is_surely_listed(value)}
    n, n_lists = sum(plain.values()), sum(used.values()) - sum(plain.values())
    beside = (
        f" {count(n_lists, 'row')} beside these {'has' if n_lists == 1 else 'have'} a list."
        if n_lists
        else ""
    )
    separator, n_rows = _most_likely(plain)
    if separator:
        name = (SEPARATORS | _WIDE)[separator]
        told = f"Tags were taken to be separated by the {name}, which {n_rows} of {n} rows hold."
        return separator, told + beside
    values = [value for value in plain if value.strip() not in UNKNOWN]
    if _recur(values):
        separator = _sign(values)
        name = "blanks" if separator == " " else f"{separator.strip()} between blanks"
        return separator, f"Tags were taken to be separated by {name}: they recur from cell to cell.{beside}"
    return "", f"Each cell was taken for one tag: no separator was found.{beside}"


def _most_likely(used: dict[str, int]) -> tuple[str, int]:
    """The first separator that some cells hold, and how many rows do; a later one where the first is an exception."""
    found, most = "", 0
    cells = [(value.strip(), rows) for value, rows in used.items()]
    for separator in SEPARATORS | _WIDE:
        n_rows = sum(rows for value, rows in cells if separator in value)
        if not n_rows or n_rows < _RARE * most:
            continue
        if not found or len(_values(used, separator)) < len(_values(used, found)):
            found, most = separator, n_rows
    return found, most


def _sign(values: list[str]) -> str:
    """What parts tags between blanks: a sign that is no tag itself, such as + or &, or the blanks alone."""
    signs = {word for value in values for word in value.split() if not any(map(str.isalnum, word))}
    separator = f" {min(signs, default='')} "
    is_clearer = len(signs) == 1 and len(_values(values, separator)) < len(_values(values, " "))
    return separator if is_clearer else " "


def _values(cells: Iterable[str], separator: str) -> set[str]:
    return {value for cell in cells for value in split_cell(cell, separator)}


def sets_of_values(stored: Codes | Strings) -> tuple[str, str] | None:
    """Separator and reason, where the cells of a column hold several values each that recur from row to row."""
    if all(_is_listed(value) for value, _ in cells_of(stored)):
        return _judged(stored, LIST)
    candidates = (separator for separator in SEPARATORS if _may_separate(stored, separator))
    return next(filter(None, (_judged(stored, separator) for separator in candidates)), None)


def cells_of(stored: Codes | Strings) -> Iterator[tuple[str, int]]:
    """Cells that say something, and how many rows have each."""
    if isinstance(stored, Strings):
        yield from ((cell, 1) for cell in stored if cell.strip() not in UNKNOWN)
        return
    for value, n in zip(stored.values, stored.counts().tolist(), strict=True):
        if n and value.strip() and value.strip() not in UNKNOWN:
            yield value, n


def are_vectors(stored: Codes | Strings) -> bool:
    """Whether every cell is a list of numbers, as many in each: their digits are no words, and they are no tags."""
    lengths = set[int]()
    for cell, _ in cells_of(stored):
        parts = split_cell(cell, LIST) if _is_listed(cell) else []
        items = [item for part in parts for item in part.split()]
        lengths.add(len(items))
        if len(items) < 2 or len(lengths) > 1 or any(as_number(item) is None for item in items):
            return False
    return bool(lengths)


def structure_of(used: Iterable[str]) -> str | None:
    """What cells hold instead of tags: an object, or rows of 0 and 1 of one length; None where they hold tags."""
    lengths, items = set[int](), set[str]()
    for value in used:
        if value.strip() in UNKNOWN:
            continue
        if value.rstrip()[-1:] not in _CLOSING:
            lengths.add(0)
            continue
        values = split_cell(value, LIST)
        if any(part[:1] == "{" and _PAIR.match(part[1:]) for part in values):
            return f"the object {shown(values[0])}"
        lengths.add(len(values) if _is_listed(value) else 0)
        items.update(part.lower() for part in values)
    is_encoded = len(lengths) == 1 and items <= {"0", "1", "0.0", "1.0", "true", "false"}
    return (
        f"rows of 0 and 1 in its cells, {max(lengths)} in each" if is_encoded and max(lengths) > 1 else None
    )


def _may_separate(stored: Codes | Strings, separator: str) -> bool:
    """Whether the number of signs allows for it: free texts are sorted out here, before anything is split."""
    if isinstance(stored, Strings):
        n = len(stored) - int(stored.missing().sum())
        signs, blanks = stored.buffer.count(separator.encode()), stored.buffer.count(b" ")
    else:
        cells = [*cells_of(stored)]
        n = sum(rows for _, rows in cells)
        signs = sum(rows * value.count(separator) for value, rows in cells)
        blanks = sum(rows * value.count(" ") for value, rows in cells)
    return n >= _FEWEST_CELLS and signs >= _SPLIT * n and blanks <= _WORDS * (n + signs)


def _judged(stored: Codes | Strings, separator: str) -> tuple[str, str] | None:
    """Whether the parts of cells are values: short, recurring, and not of one number in every cell."""
    rows_of, sizes = Counter[str](), Counter[int]()
    for cell, rows in cells_of(stored):
        values = {*split_cell(cell, separator)}
        sizes[len(values)] += rows
        for value in values:
            rows_of[value] += rows
    held, given = sum(rows_of.values()), sum(sizes.values())
    recurring = sum(rows for rows in rows_of.values() if rows > 1)
    several = given - sizes[0] - sizes[1]
    if not held or recurring < _RECURRING * held or _are_numbers(rows_of):
        return None
    if separator == LIST:
        return LIST, f"lists of {len(rows_of)} values"
    words = sum(rows * len(value.split()) for value, rows in rows_of.items())
    if several < _SPLIT * given or len(sizes) < 2 or words > _WORDS * held:
        return None
    why = f"{several} of {given} cells hold several of {len(rows_of)} values, separated by the {SEPARATORS[separator]}"
    return separator, why


def _are_numbers(values: Counter[str]) -> bool:
    return all(as_number(value) is not None for value in values)


def _between_brackets(value: str) -> str | None:
    """What stands within a list, a set or a tuple as JSON, Python and PostgreSQL write them; None for anything else."""
    text = value.strip()
    if text[-1:] not in _CLOSING:
        return None
    if text in _EMPTY_SETS:
        return ""
    if text.startswith("frozenset(") and text.endswith(")"):
        text = text[len("frozenset(") : -1]
    kind, inner = text[:1] + text[-1:], text[1:-1]
    is_tuple = kind == "()" and inner.lstrip()[:1] in ("", "'", '"')
    is_set = kind == "{}" and not _PAIR.match(inner)
    return inner if kind == "[]" or is_tuple or is_set else None


def _is_listed(value: str) -> bool:
    return _between_brackets(value) is not None


def _is_surely_listed(value: str) -> bool:
    """Whether a cell is a list whatever the others are: of quoted items, or without any, or one of JSON."""
    inner = _between_brackets(value)
    return inner is not None and (inner.lstrip()[:1] in ("", "'", '"') or _json_list(value) is not None)


def _recur(values: list[str]) -> bool:
    """Whether words recur from cell to cell as tags do: there are at most half as many as distinct cells."""
    words = {word for value in values for word in value.split()}
    return len(values) >= 10 and 2 * len(words) <= len(values)


def _listed(value: str) -> list[str]:
    """The items of a list as JSON or Python writes it; missing ones are empty."""
    found = _json_list(value)
    if found is not None:
        missing = [item is None or item != item for item in found]
        return [
            "" if none else item if isinstance(item, str) else json.dumps(item)
            for item, none in zip(found, missing, strict=True)
        ]
    items = _QUOTED.findall(_between_brackets(value) or "")
    return [single or double or ("" if bare.strip() in _NO_ITEMS else bare) for single, double, bare in items]


def _json_list(value: str) -> list[Any] | None:
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None
