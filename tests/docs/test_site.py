"""The site is built as `make docs` builds it, and every page of it is looked at."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from tests.docs.pages import DOCS, ROOT
from tests.losses.test_loss_pages import blocks

from manylabel import losses

DOCUMENTED = (
    "data",
    "estimator",
    "labels",
    "losses",
    "methods",
    "metrics",
    "models",
    "reproduction",
    "study",
    "training",
)


class Page(HTMLParser):
    """What a test asks of a page of HTML."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.equations: list[str] = []
        self.headings = 0
        self.title = ""
        self.prose = ""
        self._inside: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        self.ids |= {given[name] for name in ("id", "name") if name in given}
        self.headings += tag == "h1"
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "math":
            self.equations.append(given.get("alttext", ""))
        if tag in ("script", "img", "iframe") and "src" in given:
            self.loaded.append(given["src"])
        if tag == "link" and given.get("rel") in ("stylesheet", "icon", "preconnect", "preload"):
            self.loaded.append(given["href"])
        if tag in ("title", "code", "pre", "script", "style", "math"):
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._inside and tag == self._inside[-1]:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if self._inside == ["title"]:
            self.title += data
        elif not self._inside:
            self.prose += data


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    """Every page by its address."""
    found = {path.relative_to(site).as_posix(): path.read_text("utf-8") for path in site.rglob("*.html")}
    del found["404.html"]
    return {name: Page(text) for name, text in found.items()}


def test_every_source_has_a_page(pages: dict[str, Page]) -> None:
    for source in DOCS.rglob("*.md"):
        folder = source.parent if source.stem in ("README", "index") else source.with_suffix("")
        assert (folder.relative_to(DOCS) / "index.html").as_posix() in pages


def test_pages_load_nothing_from_elsewhere(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        assert page.loaded, name
        assert [address for address in page.loaded if urlsplit(address).netloc] == [], name


def test_every_page_has_a_title_of_its_own(pages: dict[str, Page]) -> None:
    titles = [page.title for page in pages.values()]
    assert len(set(titles)) == len(titles)
    assert {page.headings for page in pages.values()} == {1}


def test_links_and_anchors_lead_somewhere(pages: dict[str, Page], site: Path) -> None:
    for name, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (site / name).parent / unquote(parts.path) if parts.path else site / name
            target = target / "index.html" if target.is_dir() else target
            assert target.exists(), (name, link)
            if parts.fragment and target.suffix == ".html":
                address = target.resolve().relative_to(site.resolve()).as_posix()
                assert unquote(parts.fragment) in pages[address].ids, (name, link)


def test_no_markup_is_left_in_the_prose(pages: dict[str, Page]) -> None:
    left = re.compile(r"```|::: |:\w+:`|\*\*|\]\(|\\text|\\frac|^ *::$|>>> ", re.MULTILINE)
    for name, page in pages.items():
        assert left.findall(page.prose) == [], name


@pytest.mark.parametrize("name", losses.names())
def test_every_loss_page_draws_its_equation(name: str, pages: dict[str, Page]) -> None:
    drawn = " ".join(re.sub(r"\s+", "", part) for part in pages[f"losses/{name}/index.html"].equations)
    docstring = inspect.getdoc(type(losses.get(name))) or ""
    parts = re.split(r"\n|(?<=[^\s:]) {3,}(?![ =])", "\n".join(blocks(docstring)))
    assert parts
    assert all(re.sub(r"\s+", "", part) in drawn for part in parts)


@pytest.mark.parametrize("module", DOCUMENTED)
def test_the_reference_has_every_public_name(module: str, pages: dict[str, Page]) -> None:
    page, package = pages[f"api/{module}/index.html"], f"manylabel.{module}"
    names = {f"{package}.{name}": name for name in import_module(package).__all__}
    # a function may have the name of its file
    wanted = {f"{path}.{name}" if find_spec(path) else path for path, name in names.items()}
    assert wanted - page.ids == set()
