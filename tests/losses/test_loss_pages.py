"""The pages of losses: one for each, complete, with the equation of the docstring."""

from __future__ import annotations

import inspect
import re
import textwrap
from pathlib import Path
from pydoc import locate

import pytest

from manylabel import losses

DOCS = Path(__file__).parents[2] / "docs"
SECTIONS = (
    "Equation",
    "Divisor",
    "An anchor without positives",
    "When to use it",
    "Where the released code differs",
    "Example",
)


@pytest.mark.parametrize("name", losses.names())
def test_every_loss_has_its_page(name):
    page = (DOCS / "losses" / f"{name}.md").read_text()
    assert tuple(re.findall(r"^## (.*)$", page, re.M)) == SECTIONS
    assert f'losses.get("{name}"' in page
    assert f"({name}.md)" in (DOCS / "losses" / "README.md").read_text()


def blocks(text: str) -> list[str]:
    """The ``::`` blocks of a text, without their indentation."""
    found = re.findall(r"^( *)::\n\n((?:\1    .*\n|\n)+)", text, re.M)
    return [textwrap.dedent(block).strip("\n").rstrip() for _, block in found]


@pytest.mark.parametrize("name", losses.names())
def test_the_page_shows_the_equation_of_the_docstring(name):
    page = (DOCS / "losses" / f"{name}.md").read_text().split("## Equation\n")[1]
    loss = type(losses.get(name))
    shown = re.search(r"^```equation\n(.*?)```", page, re.M | re.S)[1].split()
    assert shown[0] == f"manylabel.losses.{loss.__name__}"
    assert all(blocks(inspect.getdoc(locate(name))) for name in shown)


SOURCES = sorted(Path(losses.__file__).parent.rglob("*.py"))


def joined_equations(text: str) -> list[str]:
    """Lines of ``::`` blocks with more than one equation, or with a part of one.

    Several short ones on a line stand apart; what is left of "=" is a name.
    """
    return [line for line in "\n".join(blocks(text)).splitlines() if line and not _is_whole(line)]


def _is_whole(line: str) -> bool:
    for equation in filter(None, re.split(r"[,;] {3,}", re.sub(r"\{[^}]*\}", "", line))):
        left, *right = equation.split(" = ")
        if len(right) > 1 or (right and len(left.split()) > 2):
            return False
    return re.search(r" = |: ", line) is not None


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_an_equation_has_a_line_of_its_own(source):
    assert joined_equations(source.read_text()) == []


@pytest.mark.parametrize(
    "name", [name for name in losses.names() if "::" in inspect.getdoc(type(losses.get(name)))]
)
def test_equations_run_together_are_found(name):
    """As re-wrapping a docstring would leave them: lines of a block in one, or one of them broken in two."""
    doc = inspect.getdoc(type(losses.get(name)))
    block = blocks(doc)[0].splitlines()
    indented = "\n".join("    " + line for line in block)
    for wrong in (" ".join([*block, "L = sum_i L_i"]), block[0].replace(" = ", " =\n    ", 1)):
        assert indented in doc
        assert joined_equations(doc.replace(indented, "    " + wrong)), wrong
