"""CSV that a spreadsheet opens."""

from __future__ import annotations

import csv

import pytest

from manylabel.files.spreadsheet import csv_text


def read(text: str) -> list[list[str]]:
    return list(csv.reader(text.splitlines(keepends=True)))


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        (" =1", "' =1"),
        ("\n=1", "'\n=1"),
        ("\uff1d1", "'\uff1d1"),
        ("\t=1", "\\t=1"),
        ("\r=1", "\\r=1"),
        ("a=1", "a=1"),
        ('a"b', 'a"b'),
        ("a,b", "a,b"),
        ("a\nb", "a\nb"),
        ("\x1b[31m", "\\x1b[31m"),
        (-0.25, "-0.25"),
        (-3, "-3"),
        (None, ""),
    ],
)
def test_texts_are_no_formulas_and_numbers_stay_numbers(value: object, cell: str) -> None:
    assert read(csv_text([("x", value, "end")])) == [["x", cell, "end"]]
