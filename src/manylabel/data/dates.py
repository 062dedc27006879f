"""Dates in the cells of a table: the ways in which they are written, with or without a time of day."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import numpy as np

from manylabel.data.cells import is_missing

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_PARTS = {
    "Y": "(?P<Y>[0-9]{4})",
    "M": "(?P<M>[0-9]{1,2})",
    "D": "(?P<D>[0-9]{1,2})",
    "N": "(?P<M>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    "sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)",
}
_TIME = r"(?:,? ?[ T](?P<h>[0-9]{1,2}):(?P<m>[0-9]{2})(?::(?P<s>[0-9]{2}))?(?: ?(?P<half>[ap])\.?m\.?)?)?"


def _month(text: str) -> int:
    return int(text) if text.isdigit() else 1 + _MONTHS.index(text[:3].lower())


def _hour(text: str | None, half: str | None) -> int:
    hour = int(text or 0)
    if half is None:
        return hour
    if not 1 <= hour <= 12:
        raise ValueError
    return hour % 12 + 12 * (half in "Pp")


def _written(order: str) -> Callable[[str], datetime]:
    """How to read dates in which Y, M, N (its name) and D stand in some order, with what is between them."""
    form = re.compile("".join(_PARTS.get(sign, sign) for sign in order) + _TIME, re.IGNORECASE)

    def read(cell: str) -> datetime:
        found = form.fullmatch(cell)
        if found is None:
            raise ValueError
        year, month, day, hour, minute, second, half = found.group("Y", "M", "D", "h", "m", "s", "half")
        time = _hour(hour, half), int(minute or 0), int(second or 0)
        return datetime(int(year), _month(month), int(day), *time)

    return read


DATES: dict[str, Callable[[str], datetime]] = {
    "year-month-day": datetime.fromisoformat,
    "year/month/day": _written("Y/M/D"),
    "day.month.year": _written(r"D\.M\.Y"),
    "day/month/year": _written("D/M/Y"),
    "month/day/year": _written("M/D/Y"),
    "day-month-year": _written("D-M-Y"),
    "month-day-year": _written("M-D-Y"),
    "day month year": _written(r"D\.?[ -]N\.?[ -]Y"),
    "month day, year": _written(r"N\.? D,? Y"),
}
"""The ways in which dates are written, the first that fits a whole column holds; names of months are English."""

MONTH_FIRST = {"day/month/year": "month/day/year", "day-month-year": "month-day-year"}
"""Ways that may be meant where those before them fit as well."""


def as_date(cell: str | None, form: str) -> float | None:
    """Seconds since 1970, NaN where the cell is missing; None for anything else."""
    if is_missing(cell):
        return np.nan
    assert cell is not None
    text = cell.strip()
    if form == "year-month-day" and "-" not in text:  # 20240131 is a number
        return None
    try:
        found = DATES[form](text)
        return ((found if found.tzinfo else found.replace(tzinfo=UTC)) - _EPOCH).total_seconds()
    except (ValueError, OverflowError):
        return None


def written_date(seconds: float) -> str | None:
    """The date so many seconds after 1970, with the time unless it is midnight; None where it is missing."""
    if np.isnan(seconds):
        return None
    found = _EPOCH + timedelta(seconds=seconds)
    return found.date().isoformat() if seconds % 86400 == 0 else found.isoformat(" ").removesuffix("+00:00")


def date_form(values: Iterable[str]) -> str | None:
    """How all distinct cells are written, if they are dates; ``values`` is gone through several times."""
    first = next((value.strip() for value in values if not is_missing(value)), "")
    fits = [form for form in DATES if first[:1].isalnum() and as_date(first, form) is not None]
    return next((form for form in fits if all(as_date(value, form) is not None for value in values)), None)
