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


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_an_equation_has_a_line_of_its_own(source):
    """Several short ones on a line stand apart; what is left of "=" is a name."""
    for line in "\n".join(blocks(source.read_text())).splitlines():
        for equation in filter(None, re.split(r"[,;] {3,}", re.sub(r"\{[^}]*\}", "", line))):
            left, *right = equation.split(" = ")
            assert len(right) <= 1, line
            assert not right or len(left.split()) <= 2, line
        assert not line or re.search(r" = |: ", line), line
