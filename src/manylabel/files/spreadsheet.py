"""Values as CSV that a spreadsheet can open: a text from outside is never a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from manylabel.printable import printable

FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")  # also as wide as the signs of East Asian scripts


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV; numbers stay numbers, texts of which a spreadsheet would make a formula begin with an apostrophe.

    Parameters
    ----------
    rows : iterable of sequences
        Of texts, numbers and None, which leaves its cell empty.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    shown = printable(value, keep="\n")
    return f"'{shown}" if shown.lstrip().startswith(FORMULA) else shown
