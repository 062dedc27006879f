"""Texts from outside that are shown."""

from __future__ import annotations

import pytest

from manylabel.printable import clock, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("100 % of $5, a_b^c, [red], <b>", "100 % of $5, a_b^c, [red], <b>"),
        ("naïve 日本語 שלום", "naïve 日本語 שלום"),
        ("no\u00a0break", "no\u00a0break"),
        ("क\u200cष 👩\u200d🔬", "क\u200cष 👩\u200d🔬"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("a\nb\tc\rd\x00", "a\\nb\\tc\\rd\\x00"),
        ("a\u2028b", "a\\u2028b"),
        ("abc\u202edcba", "abc\\u202edcba"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("\udc80", "\\udc80"),
        ("\uffff", "\\uffff"),
        ("", ""),
    ],
)
def test_what_would_not_be_seen_is_written_as_its_escape(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown


def test_lines_are_kept_where_asked() -> None:
    assert printable("a\n\x1bb", keep="\n") == "a\n\\x1bb"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (8.26, "8.3 s"), (125, "2:05 min"), (3725, "1:02:05 h")]
)
def test_clock_reads_naturally(seconds: float, text: str) -> None:
    assert clock(seconds) == text
