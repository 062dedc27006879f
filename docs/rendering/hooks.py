"""Hooks of the site: fences of equations and recipes, folders in the navigation, marks that only the tests read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from equations import equations_of, mathml
from recipes import recipe_table
from sections import with_sections

MARKS = re.compile(r"^```(python|sh) [\w-]+$", re.MULTILINE)
FENCES = {
    "maths": mathml,  # plain equations
    "equation": lambda names: "\n".join(mathml(equations_of(name)) for name in names.split()),
    "recipe": lambda names: "\n".join(recipe_table(name) for name in names.split()),
}


def on_config(config: Any) -> Any:
    """Know the fences; put the pages of a folder in the place of its name, and pages that no entry names at the end."""
    fences = [{"name": name, "class": name, "format": _drawn_by(draw)} for name, draw in FENCES.items()]
    config.mdx_configs["pymdownx.superfences"] = {"custom_fences": fences}
    docs = Path(config.docs_dir)
    listed = [_with_pages(entry, docs) for entry in config.nav]
    config.nav = listed + sorted({page.name for page in docs.glob("*.md")} - set(map(_page, listed)))
    return config


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put sections of other pages in their places; drop the words that say how the tests run a code block."""
    return MARKS.sub(r"```\1", with_sections(markdown))


def _drawn_by(draw: Any) -> Any:
    return lambda source, *_, **__: draw(source)


def _page(entry: Any) -> str:
    """The page that an entry names; of a folder, none."""
    (page,) = entry.values() if isinstance(entry, dict) else [entry]
    return page if isinstance(page, str) else ""


def _with_pages(entry: Any, docs: Path) -> Any:
    """``Losses: losses/`` as all pages of the folder: its README, then the others as that names them."""
    if not (isinstance(entry, dict) and str(*entry.values()).endswith("/")):
        return entry
    ((title, folder),) = entry.items()
    first = docs / folder / "README.md"
    named = re.findall(r"\(([\w-]+\.md)\)", first.read_text("utf-8"))
    others = sorted({page.name for page in first.parent.glob("*.md")} - {first.name, *named})
    return {title: [f"{folder}{page}" for page in dict.fromkeys([first.name, *named, *others])]}
