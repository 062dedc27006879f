r"""Tables in LaTeX: every name from outside is text, whatever it holds; they take ``\usepackage{booktabs}``."""

from __future__ import annotations

import re

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
    '"': r"\textquotedbl{}",
    "±": r"$\pm$",
    "χ": r"$\chi$",
    "²": r"$^2$",
    "[": "{[}",  # the first sign of a row would be an argument of the line break before it
    "*": "{*}",
    **{sign: f"\\{sign}" for sign in "{}$&#%_"},
}


def in_latex(text: str) -> str:
    """A text of one line whose characters mean nothing to LaTeX."""
    escaped = "".join(_SIGNS.get(sign, sign) for sign in printable(text))
    return re.sub("-(?=-)", "-{}", escaped)  # two hyphens would be a dash


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
