"""The code of every page runs in order in a fresh folder, and its links lead somewhere."""

from __future__ import annotations

import os
import re
from collections import Counter
from pathlib import Path

import pytest
from tests.docs.pages import (
    DOCS,
    MARKS,
    PAGES,
    ROOT,
    blocks,
    commands,
    name_of,
    read_command,
    run,
    run_as_script,
)

OFFLINE = {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT / "src")}
SCRIPTS = sorted((DOCS / "ecosystem").glob("[!R]*.md"))
IN_THIS_PROCESS = [page for page in PAGES if page not in SCRIPTS]
WITH_SLOW_BLOCKS = [page for page in PAGES if any(block.mark == "slow" for block in blocks(page))]
NOT_RUN = {  # blocks that download, or train for half an hour and more; each page of a method or a result has one
    "README.md": 4,
    "docs/decisions.md": 1,
    "docs/losses/additions.md": 1,
    "docs/pictures.md": 2,
    "docs/reproduction.md": 14,
    "docs/studies.md": 1,
    "docs/which-loss.md": 1,
    **{name_of(page): 1 for folder in ("methods", "results") for page in (DOCS / folder).glob("[!R]*.md")},
}


@pytest.fixture(autouse=True)
def _fresh_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("MANYLABEL_DATA", raising=False)


@pytest.mark.parametrize("page", IN_THIS_PROCESS, ids=name_of)
def test_the_code_of_the_page_runs(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(page, marks=("",))
    if page.parent.name == "formats" and blocks(page):
        told = capsys.readouterr().out
        assert re.search(r"^most frequent label |^label +rows", told, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_SLOW_BLOCKS, ids=name_of)
def test_the_slow_code_of_the_page_runs(page: Path) -> None:
    run(page, marks=("", "slow"))


@pytest.mark.parametrize("page", SCRIPTS, ids=name_of)
def test_the_code_of_the_page_runs_as_a_script(page: Path, tmp_path: Path) -> None:
    assert {block.language for block in blocks(page)} == {"python"}
    run_as_script(page, tmp_path, os.environ | OFFLINE)


def test_the_blocks_that_nothing_runs_are_counted_and_understood() -> None:
    marked = [(page, block) for page in PAGES for block in blocks(page) if block.mark == "no-run"]
    assert Counter(name_of(page) for page, _ in marked) == NOT_RUN
    for page, block in marked:
        if block.language == "python":
            compile(block.source, str(page), "exec")
            continue
        for words in commands(block.source):
            if words[0] == "manylabel":
                assert read_command(words).startswith("manylabel "), words


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_fences_are_closed_and_marks_are_known(page: Path) -> None:
    fences = re.findall(r"^ *```(.*)$", page.read_text("utf-8"), re.MULTILINE)
    assert fences[1::2] == [""] * (len(fences) // 2)
    assert len(fences) % 2 == 0
    languages = {"python", "sh", "text", "toml", "maths", "equation", "recipe", "section"}
    for language, _, mark in (fence.partition(" ") for fence in fences[::2]):
        assert language in languages
        assert mark in MARKS


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+\.(?:md|svg|png))", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target
