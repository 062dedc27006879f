"""Sections of pages that a command wrote, shown on pages that a person writes: no table stands in two places."""

from __future__ import annotations

import re
from pathlib import Path

FENCE = re.compile(r"^```section\n(\S+) (.+)\n```$", re.MULTILINE)
DOCS = Path(__file__).parents[1]


def with_sections(markdown: str) -> str:
    """A page with the text of a section in the place of each fence that names a page of ``docs`` and a heading."""
    return FENCE.sub(lambda found: section_of(DOCS / found[1], found[2]), markdown)


def section_of(page: Path, heading: str) -> str:
    """What stands under a second-level heading.

    Raises
    ------
    ValueError
        If the page has no such heading.
    """
    _, found, rest = f"\n{page.read_text('utf-8')}".partition(f"\n## {heading}\n")
    if not found:
        raise ValueError(f"{page}: no section {heading!r}")
    return rest.partition("\n## ")[0].strip()
