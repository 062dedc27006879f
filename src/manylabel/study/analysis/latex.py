r"""Tables in LaTeX: every name from outside is text, whatever it holds; they take ``\usepackage{booktabs}``.

They are plain ASCII, so that every engine and every encoding of fonts sets them: a letter with accents is written as a
letter and commands, and what has no such spelling as its escape, ``\u4e2d``.
"""

from __future__ import annotations

import re
import unicodedata

from manylabel.printable import printable
from manylabel.study.analysis.tables import Cell, Table

_SIGNS = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': r"\symbol{34}",  # \textquotedbl is not in every encoding
    "±": r"$\pm$",
    "χ": r"$\chi$",
    "²": r"$^2$",
    "\u2013": r"\textendash{}",
    "\u2014": r"\textemdash{}",
    "\u2018": r"\textquoteleft{}",
    "\u2019": r"\textquoteright{}",
    "\u201c": r"\textquotedblleft{}",
    "\u201d": r"\textquotedblright{}",
    "…": r"\ldots{}",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
    "\u0131": r"\i{}",
    "[": "{[}",  # the first sign of a row would be an argument of the line break before it
    "*": "{*}",
    **{sign: f"\\{sign}" for sign in "{}$&#%_"},
}
_ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0304": "=",
    "\u0306": "u",
    "\u0307": ".",
    "\u0308": '"',
    "\u030a": "r",
    "\u030b": "H",
    "\u030c": "v",
    "\u0323": "d",
    "\u0327": "c",
    "\u0331": "b",
}  # those that every encoding of fonts has; an ogonek is not among them


def in_latex(text: str) -> str:
    """A text of one line in ASCII whose characters mean nothing to LaTeX."""
    escaped = "".join(map(_sign, unicodedata.normalize("NFC", printable(text))))
    return re.sub(r"([-',])(?=\1)", r"\1{}", escaped)  # two would be a dash or a quotation mark


def _sign(sign: str) -> str:
    if sign in _SIGNS:
        return _SIGNS[sign]
    if sign.isascii():
        return sign
    letter, *accents = list(unicodedata.normalize("NFD", sign))
    if not (letter.isascii() and letter.isalpha() and all(accent in _ACCENTS for accent in accents)):
        return "".join(map(_sign, sign.encode("unicode_escape").decode("ascii")))
    for accent in accents:
        letter = rf"\{_ACCENTS[accent]}{{{letter}}}"
    return letter


def latex_table(table: Table) -> str:
    """A table with its title as caption; the best cells are bold, those that are not significantly worse underlined."""
    columns = "".join("r" if table.numbers and i >= table.names else "l" for i in range(len(table.headings)))
    body = [" & ".join(map(_cell, row)) + r" \\" for row in table.rows]
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{in_latex(table.title)}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        " & ".join(map(in_latex, table.headings)) + r" \\",
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines)


def _cell(cell: Cell) -> str:
    text = in_latex(cell.text)
    if cell.best:
        return rf"\textbf{{{text}}}"
    return rf"\underline{{{text}}}" if cell.level else text
