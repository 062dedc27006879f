"""What one cell of a table says: a number, yes or no, nothing at all."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np

MISSING = frozenset(
    ("", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "?", "-", "--", ".", "missing", "unknown")
)
"""What stands for a missing cell in columns otherwise of numbers, dates, or yes and no; in lower case."""

UNKNOWN = frozenset(("NA", "N/A", "#N/A", "NaN", "nan", "null", "NULL", "None", "?"))
"""What stands for labels that were never asked for."""

TRUE, FALSE = (
    frozenset(("1", "1.0", "true", "yes", "t", "y", "x")),
    frozenset(("0", "0.0", "false", "no", "f", "n")),
)
_PAIRS = ({"true", "false"}, {"yes", "no"}, {"t", "f"}, {"y", "n"}, {"x"})
_DIGITS = 15  # float64 holds all integers of so many
_WIDEST = _DIGITS + 1  # with a dot
_POWERS = 10.0 ** np.arange(_WIDEST + 1)
_MINUS = 45
_DOT = (46 - 48) % 256
_WRITTEN = {
    ",": re.compile(r"[+-]?(?:[0-9]{1,15}|[1-9][0-9]{0,2}(?:\.[0-9]{3})+)(?:,[0-9]+)?"),
    ".": re.compile(r"[+-]?(?:0|[1-9][0-9]{0,14}|[1-9][0-9]{0,2}(?:,[0-9]{3})+)(?:\.[0-9]+)?"),
}
"""Numbers by their decimal sign; the other sign may stand between thousands."""
_UNITS = "$€£¥₹%"
_AMOUNT = re.compile(rf"([+-]?)[{_UNITS}]\s*(\S+)|(\S+)\s*[{_UNITS}]")

Array = np.ndarray[Any, Any]


def is_missing(cell: str | None) -> bool:
    """Whether a cell among numbers, dates, or yes and no says nothing."""
    return cell is None or cell.strip().lower() in MISSING


def as_numbers(text: str, n: int) -> Array | None:
    """Cells as (n,) float64, NaN where they are missing; None unless every other cell is a plain number.

    Digits with a leading zero (zip codes), with underscores or of other scripts, and integers that float64 cannot tell
    apart are no plain numbers. Infinity is one: whoever takes the column for numbers refuses it by its place.

    Parameters
    ----------
    text : str
        The cells, joined by NUL characters.
    n : int
        How many they are.
    """
    if not text.isascii():
        return None
    values, odd = _decimals(np.frombuffer(text.encode() + bytes(_WIDEST + 1), np.uint8), n)
    cells = text.split("\0") if len(odd) else []
    for i in odd.tolist():
        number = _odd_number(cells[i])
        if number is None:
            return None
        values[i] = number
    return values


def _decimals(text: Array, n: int) -> tuple[Array, Array]:
    """Numbers such as -12.5 of n cells, read digit by digit over all cells at once; and the cells that are no such.

    Up to 15 digits and the power of ten below them are exact in float64, so that their quotient is rounded once, as
    ``float`` does.
    """
    stops = np.flatnonzero(text == 0)[:n]  # behind the last cell comes padding
    starts = np.concatenate([[0], stops[:-1] + 1])
    negative = text[starts] == _MINUS
    starts = starts + negative
    lengths = stops - starts
    first, second = text[starts] - np.uint8(48), text[starts + 1] - np.uint8(48)
    plain = (
        (lengths <= _WIDEST) & ~((first == 0) & (second < 10) & (lengths > 1)) & ((lengths > 0) | ~negative)
    )
    mantissa, decimals, dots = np.zeros(n), np.zeros(n, np.int8), np.zeros(n, bool)
    for j in range(min(int(lengths.max()), _WIDEST)):
        digit = text[starts + j] - np.uint8(48)
        inside = lengths > j
        is_digit = inside & (digit < 10)
        mantissa = np.where(is_digit, mantissa * 10 + digit, mantissa)
        decimals += is_digit & dots
        is_dot = inside & (digit == _DOT)
        plain &= ~inside | is_digit | (is_dot & ~dots)
        dots |= is_dot
    plain &= (lengths - dots <= _DIGITS) & (
        (lengths > dots) | (lengths == 0)
    )  # neither too long nor a dot alone
    values = mantissa / _POWERS[decimals]
    values = np.where(negative, -values, values)
    values[lengths == 0] = np.nan
    return values, np.flatnonzero(~plain)


def _odd_number(cell: str) -> float | None:
    """A cell that is no plain decimal: missing, with an exponent, blanks or many digits; None if it is no number."""
    text = cell.strip()
    if text.lower() in MISSING:
        return np.nan
    digits = text.lstrip("+-")
    has_leading_zero = digits[:1] == "0" and digits[1:2].isdigit()
    if "_" in text or has_leading_zero or (digits.isdigit() and len(digits) > _DIGITS):
        return None
    try:
        return float(text)
    except ValueError:
        return None


def as_number(cell: str | None, form: str = "") -> float | None:
    """One cell as a number, NaN where it is missing; None for anything else.

    Parameters
    ----------
    cell : str or None
    form : {"", ".", ","}, default ""
        As :func:`number_form` finds it: a plain number, or the decimal sign of numbers with the other sign between
        thousands or with the sign of a currency or of per cent.
    """
    if is_missing(cell):
        return np.nan
    assert cell is not None
    text = cell.strip()
    if form:
        text = _without_unit(text)
        if not _WRITTEN[form].fullmatch(text):
            return None
        text = text.replace("." if form == "," else ",", "").replace(",", ".")
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def number_form(values: Iterable[str]) -> str | None:
    """The decimal sign, "," or ".", of distinct cells that all are numbers, or amounts of one currency or per cent.

    None for other cells, and for digits alone. Where neither a second sign nor the digits behind it decide, as in
    1,234 or €1.234, it stands between thousands.
    """
    forms, signs, units = {*_WRITTEN}, set[str](), set[str]()
    for value in (value.strip() for value in values if not is_missing(value)):
        number = _without_unit(value)
        forms &= {form for form, pattern in _WRITTEN.items() if pattern.fullmatch(number)}
        if not forms:
            return None
        signs |= {*number} & {*_WRITTEN}
        units |= {*value} & {*_UNITS}
    if len(units) > 1 or not (units or signs):  # digits alone may be codes of postal areas
        return None
    if len(forms) == 1:
        return forms.pop()
    return "," if signs == {"."} else "."


def _without_unit(text: str) -> str:
    found = _AMOUNT.fullmatch(text)
    return text if found is None else "".join(part or "" for part in found.groups())


def is_yes_or_no(values: Iterable[str]) -> bool:
    """Whether all distinct cells are those of one pair, such as yes and no."""
    given = {value.strip().lower() for value in values} - MISSING
    return bool(given) and any(given <= pair for pair in _PAIRS)


def as_yes_or_no(cell: str | None) -> float | None:
    """1 or 0, NaN where the cell is missing; None for anything else."""
    if is_missing(cell):
        return np.nan
    assert cell is not None
    text = cell.strip().lower()
    return 1.0 if text in TRUE else 0.0 if text in FALSE else None
