"""Sections of written pages on other pages: each fence finds what it names."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
from tests.docs.pages import DOCS, PAGES


@pytest.fixture
def sections(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of the site, whose folder is no package."""
    monkeypatch.syspath_prepend(str(DOCS / "rendering"))
    monkeypatch.delitem(sys.modules, "sections", raising=False)
    import sections

    return sections


def test_a_fence_is_replaced_by_the_section_alone(sections: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Title\n\n## First\n\none\n\n### Deeper\n\ntwo\n\n## Second\n\nthree\n", "utf-8")
    assert sections.section_of(page, "First") == "one\n\n### Deeper\n\ntwo"
    assert sections.section_of(page, "Second") == "three"
    with pytest.raises(ValueError, match="no section 'Deeper'"):
        sections.section_of(page, "Deeper")


def test_the_fences_of_all_pages_find_tables(sections: ModuleType) -> None:
    fenced = [page for page in PAGES if sections.FENCE.search(page.read_text("utf-8"))]
    assert DOCS / "which-loss.md" in fenced
    for page in fenced:
        shown = sections.with_sections(page.read_text("utf-8"))
        assert "```section" not in shown
        assert shown.count("\n| --- |") > page.read_text("utf-8").count("\n| --- |")
