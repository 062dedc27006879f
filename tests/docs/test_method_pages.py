"""The pages of methods: every recipe stands on one of them, complete."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from tests.docs.pages import DOCS

from manylabel import methods

PAGES = sorted((DOCS / "methods").glob("[!R]*.md"))
SECTIONS = ["Equation", "When to use it", "Try it", "Recipes, and what they reached", "Command"]


def recipes(page: Path) -> list[str]:
    """The names in the block of recipes."""
    (block,) = re.findall(r"^```recipe\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return block.split()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_page_is_complete(page: Path) -> None:
    assert re.findall(r"^## (.*)$", page.read_text("utf-8"), re.MULTILINE) == SECTIONS
    assert f"({page.name})" in (DOCS / "methods" / "README.md").read_text("utf-8")


def test_every_recipe_stands_on_one_page() -> None:
    ours = [name for name in methods.names() if not name.startswith(methods.PAPER)]
    assert Counter(name for page in PAGES for name in recipes(page)) == Counter(ours)
