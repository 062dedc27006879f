"""The pages of the documentation: one per loss, complete, with code that runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from manylabel import losses

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_code_of_the_page_runs(page, capsys):
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.M | re.S):
        exec(compile(block, str(page), "exec"), {"__name__": "page"})


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_links_between_pages_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+\.md)", page.read_text()):
        assert (page.parent / target).exists()
