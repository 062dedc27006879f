"""Equations of docstrings as MathML, which browsers draw without a script."""

from __future__ import annotations

import html
import re
from inspect import cleandoc
from pydoc import locate

from latex2mathml.converter import convert
from plain_maths import latex

BLOCK = re.compile(
    r"^( *)(\S.*?)? ?::\n\n((?:\1    .*\n|\n)+)", re.MULTILINE
)  # indentation, words before, lines
GAP = re.compile(r"(?<=[^\s:]) {3,}(?![ =])")  # between the parts of a line, not behind names that it aligns


def equations_of(name: str) -> str:
    """The equations of an object's docstring, as plain lines."""
    found = BLOCK.findall(cleandoc(locate(name).__doc__) + "\n")
    if not found:
        raise ValueError(f"the docstring of {name} has no equation")
    return "\n".join(block for *_, block in found)


def mathml(lines: str) -> str:
    """A block of equations: a ``div`` a line, whose parts may stand below each other on a narrow screen.

    ``alttext`` keeps what each part was made from.
    """
    shown = "\n".join(_line(line) for line in lines.splitlines() if line.strip())
    return f'<div class="equations">\n{shown}\n</div>'


def _line(line: str) -> str:
    return "<div>" + "".join(_part(part) for part in GAP.split(line.strip())) + "</div>"


def _part(part: str) -> str:
    drawn = convert(latex(part), display="block")
    return drawn.replace("<math ", f'<math alttext="{html.escape(part)}" ', 1)
