"""What a column of a table means: number, boolean, date, category, tags, text, group, weight, or nothing to learn from.

A column is decided over all of its rows, never over a sample, and says why; whoever knows better names another role.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np

from manylabel.data.cells import as_number, as_yes_or_no, is_missing, is_yes_or_no, number_form
from manylabel.data.column_storage import Codes, ColumnBuilder, Numbers, Storage, Stored, Strings
from manylabel.data.dates import DATES, MONTH_FIRST, as_date, date_form, written_date
from manylabel.data.formats.border import shown
from manylabel.data.tag_cells import UNIT, are_vectors, cells_of, found_separator, sets_of_values, values_of
from manylabel.errors import ManyLabelError, did_you_mean

FEATURES = ("number", "boolean", "date", "category", "tags", "text")
ROLES = (*FEATURES, "group", "weight", "skip")
"""What a column can be taken for; a skipped one is left out."""

_FEWEST_DISTINCT = 20  # rows that are told from each other are no accident
_IDENTIFYING = 0.95  # of the cells are distinct
_EXAMPLES = 3
_FORMS = {",": " with a decimal comma", ".": " with a decimal point"}
_IDENTIFIERS = ("id", "index", "uuid", "guid", "key", "rowid", "column 1")


@dataclass(frozen=True)
class Column:
    """What a column was taken for.

    Attributes
    ----------
    name : str
    role : {"number", "boolean", "date", "category", "tags", "text", "group", "weight", "skip"}
        Tags are several values a cell, such as languages or people.
    why : str
        In a few words.
    form : str, default ""
        How numbers and dates are written: the decimal sign of numbers that are no plain ones
        (:func:`manylabel.data.cells.number_form`), a key of :data:`manylabel.data.dates.DATES`;
        ``"x"`` for a boolean whose empty cells say no; what separates tags, ``"list"`` for lists.
    missing : float
        The share of rows without a cell.
    examples : tuple of str
        The first cells.
    """

    name: str
    role: str
    why: str
    form: str = ""
    missing: float = 0.0
    examples: tuple[str, ...] = ()

    @property
    def is_feature(self) -> bool:
        """Whether there is something to learn from it."""
        return self.role in FEATURES

    @property
    def storage(self) -> Storage:
        """How new cells are read."""
        if self.role in ("number", "weight") and self.form == ",":
            return "typed"  # 1.234 may be a thousand and more
        return {"number": "any", "weight": "any", "category": "codes", "group": "codes"}.get(
            self.role, "text"
        )  # type: ignore[return-value]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Column:
        return cls(**told | {"examples": tuple(told["examples"])})

    def taken(self, stored: Stored, where: str, place: Callable[[int], str]) -> Stored:
        """Cells in the storage of the role: numbers for numbers, booleans and dates; tags all separated alike.

        Raises
        ------
        ManyLabelError
            Naming the first cell that is no such thing, with its place.
        """
        if self.role in ("category", "group"):
            return stored if isinstance(stored, Codes) else _again(stored, "codes")
        if self.role == "text":
            return stored if isinstance(stored, Strings) else _as_strings(stored.cells())
        if self.role == "tags":
            return _as_strings(self._tags(stored, where, place))
        if self.role in ("number", "weight") and isinstance(stored, Numbers):
            found = stored.values
        else:
            found = self._numbers(stored, where, place)
        infinite = np.flatnonzero(np.isinf(found))
        if len(infinite):
            raise self._refusal(where, place(int(infinite[0])), str(found[infinite[0]]))
        return Numbers(np.nan_to_num(found, nan=0.0) if self.form == "x" else found)

    def written(self, stored: Stored) -> Iterator[str | None]:
        """Taken cells as a person reads them: dates as year-month-day, tags parted by commas."""
        if self.role == "date" and isinstance(stored, Numbers):
            return (written_date(seconds) for seconds in stored.values.tolist())
        if self.role == "tags":
            return (cell and ", ".join(cell.split(UNIT)) for cell in stored.cells())
        return stored.cells()

    def _numbers(self, stored: Stored, where: str, place: Callable[[int], str]) -> Any:
        read = self._reader()
        if isinstance(stored, Codes):
            of_values = [read(value) for value in stored.values] + [np.nan]
            unread = [i for i, number in enumerate(of_values) if number is None]
            if unread:
                row = int(np.flatnonzero(np.isin(stored.codes, unread))[0])
                raise self._refusal(where, place(row), stored.values[stored.codes[row]])
            return np.array(of_values, np.float64)[stored.codes]
        found = np.empty(len(stored))
        for i, cell in enumerate(stored.cells()):
            number = read(cell)
            if number is None:
                raise self._refusal(where, place(i), cell or "")
            found[i] = number
        return found

    def _tags(self, stored: Stored, where: str, place: Callable[[int], str]) -> Iterator[str]:
        for i, cell in enumerate(stored.cells()):
            values = values_of(cell or "", self.form)
            if values is None:
                raise self._refusal(where, place(i), cell or "")
            yield UNIT.join(values)

    def _reader(self) -> Callable[[str | None], float | None]:
        if self.role == "date":
            return lambda cell: as_date(cell, self.form)
        if self.role == "boolean":
            return as_yes_or_no
        return lambda cell: as_number(cell, self.form)

    def _refusal(self, where: str, place: str, cell: str) -> ManyLabelError:
        expected = {
            "boolean": "yes or no, true or false, 1 or 0",
            "date": f"a date as {self.form}",
            "tags": 'a list, such as ["a", "b"], as in training',
        }.get(self.role, "a finite number" + _FORMS.get(self.form, ""))
        hint = "Correct the cell, or leave it empty."
        if self.role != "weight":
            hint += (
                " Or train with another role of the column, such as category or text, named with `columns`."
            )
        return ManyLabelError(f"{where}, {place}, column {shown(self.name)}", expected, shown(cell), hint)


def understood(name: str, stored: Stored) -> Column:
    """What a column means by all of its cells."""
    role, why, form = _decide(name, stored)
    return Column(name, role, why, form, _missing_share(role, stored), _examples(stored))


def _missing_share(role: str, stored: Stored) -> float:
    """The share of cells that say nothing; among numbers, dates, and yes and no, NA and the like say nothing either."""
    if isinstance(stored, Numbers) or role not in ("number", "weight", "date", "boolean"):
        return float(stored.missing().mean())
    if isinstance(stored, Codes):
        says_nothing = np.array([is_missing(value) for value in stored.values] + [True])
        return float(says_nothing[stored.codes].mean())
    return float(np.mean([is_missing(cell) for cell in stored.cells()]))


def _examples(stored: Stored) -> tuple[str, ...]:
    given = (cell for cell in stored.cells() if cell and cell.strip())
    return tuple(cell[:60] for cell in islice(given, _EXAMPLES))


def as_told(name: str, role: str, stored: Stored) -> Column:
    """A column whose role somebody names; how its numbers or dates are written is found out.

    Raises
    ------
    ManyLabelError
        For an unknown role, and for dates that are written in no known way.
    """
    if role not in ROLES:
        hint = did_you_mean(role, ROLES)
        raise ManyLabelError(f"`columns`, {shown(name)}", f"one of {', '.join(ROLES)}", repr(role), hint)
    values, form = stored.distinct(), ""
    if role == "date":
        form = date_form(values) or ""
        if not form:
            expected = f"dates written as {', '.join(DATES)}, one way in all rows"
            raise ManyLabelError(f"column {shown(name)}", expected, shown(next(iter(values), "")))
    elif role == "tags":
        form = _separator(stored)
    elif role in ("number", "weight"):
        form = number_form(values) or ""
    elif role == "boolean" and {v.strip().lower() for v in values} - {""} == {"x"}:
        form = "x"
    return Column(name, role, "as you said", form, _missing_share(role, stored), _examples(stored))


def _separator(stored: Stored) -> str:
    """What stands between the tags of cells that somebody says to hold some."""
    if isinstance(stored, Numbers):
        return ""
    found = sets_of_values(stored)
    return found_separator(dict(cells_of(stored)))[0] if found is None else found[0]


def _decide(name: str, stored: Stored) -> tuple[str, str, str]:
    """Role, why, and form."""
    missing = stored.missing()
    if missing.all():
        return "skip", "empty in every row", ""
    if isinstance(stored, Numbers):
        return (*_decide_numbers(name, stored, bool(missing.any())), "")
    values = stored.distinct()
    if isinstance(stored, Codes) and len(stored.distinct()) == 1 and not missing.any():
        return "skip", "the same in every row", ""
    if isinstance(stored, Codes) and is_yes_or_no(values):
        only_x = {value.strip().lower() for value in values} == {"x"}
        return (
            "boolean",
            "x or empty" if only_x else f"{' or '.join(sorted(v for v in values if not is_missing(v))[:2])}",
            "x" if only_x else "",
        )
    form = date_form(values)
    if form is not None:
        other = "; month before day fits as well" if _is_ambiguous(form, values) else ""
        return "date", f"dates as {form}{other}", form
    form = number_form(values)
    if form is not None:
        return "number", f"numbers{_FORMS[form]}", form
    tags = sets_of_values(stored)
    if tags is not None:
        return "tags", tags[1], tags[0]
    if are_vectors(stored):
        return "skip", "a list of numbers, as many in every row: give each number a column of its own", ""
    return (*_decide_texts(stored, int((~missing).sum())), "")


def _decide_numbers(name: str, stored: Numbers, has_missing: bool) -> tuple[str, str]:
    values = stored.values
    if not has_missing:
        if (values == values[0]).all() and len(values) > 1:
            return "skip", "the same in every row"
        counter = values[0] + np.arange(len(values))
        if len(values) >= _FEWEST_DISTINCT and values[0] in (0, 1) and (values == counter).all():
            return "skip", "counts the rows"
        named = _is_identifier(name) and len(values) >= _FEWEST_DISTINCT
        if named and len(np.unique(values)) == len(values) and (values == np.floor(values)).all():
            return "skip", "an identifier: another number in every row"
    return "number", "every cell is a number" if not has_missing else "every cell is a number or missing"


def _is_identifier(name: str) -> bool:
    lower = name.lower()
    return lower in _IDENTIFIERS or lower.endswith(("_id", " id", "-id")) or name.endswith("Id")


def _decide_texts(stored: Codes | Strings, given: int) -> tuple[str, str]:
    words, length = _mean_sizes(stored, given)
    is_long = length > 60 or words > 4
    if is_long and isinstance(stored, Strings):
        return "text", f"{words:.0f} words in the mean, few cells twice"
    distinct = _number_of_distinct(stored)
    if distinct >= _IDENTIFYING * given and given >= _FEWEST_DISTINCT and words < 1.5 and length < 64:
        return (
            "skip",
            f"an identifier: another value in {'every' if distinct == given else 'nearly every'} row",
        )
    if is_long and distinct > max(2, given // 20):
        return "text", f"{words:.0f} words in the mean, {distinct} distinct texts"
    if distinct > given // 2 and (words >= 1.5 or isinstance(stored, Strings)) and given >= _FEWEST_DISTINCT:
        return "text", f"{distinct} distinct texts in {given} rows"
    return "category", f"{distinct} distinct values"


def _mean_sizes(stored: Codes | Strings, given: int) -> tuple[float, float]:
    """The mean number of words and of characters; of distinct cells, where they are known."""
    if isinstance(stored, Strings):
        return stored.buffer.count(b" ") / given + 1, len(stored.buffer) / given
    values = stored.distinct()
    return float(np.mean([v.count(" ") + 1 for v in values])), float(np.mean([len(v) for v in values]))


def _number_of_distinct(stored: Codes | Strings) -> int:
    if isinstance(stored, Strings):
        return len(np.unique(stored.hashes()[~stored.missing()]))
    return len(stored.distinct())


def _is_ambiguous(form: str, values: Iterable[str]) -> bool:
    other = MONTH_FIRST.get(form, "")
    return bool(other) and all(as_date(value, other) is not None for value in values)


def _again(stored: Stored, storage: Storage) -> Stored:
    builder = ColumnBuilder(storage)
    builder.add(list(stored.cells()))
    return builder.finish()


def _as_strings(cells: Iterable[str | None]) -> Strings:
    parts = [(cell or "").encode() for cell in cells]
    return Strings(b"".join(parts), np.concatenate([[0], np.cumsum([*map(len, parts)])]).astype(np.int64))
