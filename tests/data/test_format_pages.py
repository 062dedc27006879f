"""The pages of formats: one for each of the registry, complete. tests/docs/test_pages.py runs their code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.docs.pages import blocks

from manylabel.data.catalogue import catalogue
from manylabel.data.formats.registry import FORMATS

PAGES = Path(__file__).parents[2] / "docs" / "formats"
SECTIONS = ["What it looks like", "Read it", "What is refused", "In other tools"]


@pytest.mark.parametrize("name", [format.name for format in FORMATS])
def test_every_format_has_its_page(name):
    page = (PAGES / f"{name}.md").read_text()
    assert re.findall(r"^## (.*)$", page, re.M) == SECTIONS
    assert f"({name}.md)" in (PAGES / "README.md").read_text()
    assert [block.language for block in blocks(PAGES / f"{name}.md")] == ["python", "sh"]


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)
def test_the_table_of_formats_names_every_ending(format):
    row = next(
        line for line in (PAGES / "README.md").read_text().splitlines() if f"({format.name}.md)" in line
    )
    endings = [ending for ending in format.endings if format.name not in ("scipy", "pictures")]
    assert all(f"`{ending}`" in row for ending in endings)


def test_the_page_of_data_sets_is_that_of_the_catalogue():
    page = (PAGES.parent / "data-sets.md").read_text()
    rows = {line.split("`")[1]: line for line in page.splitlines() if line.startswith("| `")}
    assert set(rows) == set(catalogue())
    for entry in catalogue().values():
        row = rows[entry.name]
        assert entry.about in row
        assert ("downloaded" in row) == bool(entry.files)
        assert ("after agreeing" in row) == bool(entry.agreement)
        assert f"| {entry.labels or ''} |" in row
        assert not entry.rows or f"| {entry.rows[0]}" in row
