"""Texts from outside, such as names of labels and files, made fit to be shown."""

from __future__ import annotations

import unicodedata

JOINERS = "\u200c\u200d"  # part of the spelling of Persian, of Indian scripts and of emoji
HIDDEN = {
    "Cc",
    "Cf",
    "Cs",
    "Zl",
    "Zp",
}  # controls, formats, lone surrogates, separators of lines and paragraphs


def printable(text: str, keep: str = "") -> str:
    r"""The text with every character that would not be seen written as its escape.

    A terminal obeys control characters, an SVG file that holds one is no XML, and format characters reverse or
    hide what stands beside them.

    Parameters
    ----------
    text : str
    keep : str, default ""
        Characters that stay, such as ``"\n"`` in a text of several lines.

    Examples
    --------
    >>> printable("a\x1b[31mred")
    'a\\x1b[31mred'
    """
    if text.isprintable():
        return text
    return "".join(c if c in keep or not _is_hidden(c) else _escape(c) for c in text)


def count(number: int, noun: str) -> str:
    """A number with its noun: ``1 run``, ``2 runs``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def clock(seconds: float) -> str:
    """Seconds as a person reads them: ``8.3 s``, ``2:05 min``, ``1:02:05 h``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d} h"


def _is_hidden(character: str) -> bool:
    if character.isprintable() or character in JOINERS:
        return False
    return unicodedata.category(character) in HIDDEN or _is_no_character(ord(character))


def _is_no_character(code: int) -> bool:
    """Whether Unicode reserves the code for ever: XML allows none of these."""
    return code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
