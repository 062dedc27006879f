"""The pages of formats: one for each of the registry, complete, with code and commands that run in a fresh folder."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from manylabel.cli import main
from manylabel.data.formats.registry import FORMATS

PAGES = Path(__file__).parents[2] / "docs" / "formats"
SECTIONS = ["What it looks like", "Read it", "What is refused", "In other tools"]


@pytest.mark.parametrize("name", [format.name for format in FORMATS])
def test_every_format_has_its_page(name, tmp_path, monkeypatch, capsys):
    page = (PAGES / f"{name}.md").read_text()
    assert re.findall(r"^## (.*)$", page, re.M) == SECTIONS
    assert f"({name}.md)" in (PAGES / "README.md").read_text()
    blocks = re.findall(r"^```(python|sh)\n(.*?)^```", page, re.M | re.S)
    assert [kind for kind, _ in blocks] == ["python", "sh"]
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks[0][1], name, "exec"), {"__name__": "page"})
    capsys.readouterr()
    for line in blocks[1][1].splitlines():
        command, *words = shlex.split(line)
        assert command == "manylabel"
        main(words)
        assert "most frequent label" in capsys.readouterr().out


@pytest.mark.parametrize("format", FORMATS, ids=lambda format: format.name)
def test_the_table_of_formats_names_every_ending(format):
    row = next(
        line for line in (PAGES / "README.md").read_text().splitlines() if f"({format.name}.md)" in line
    )
    endings = [ending for ending in format.endings if format.name not in ("scipy", "pictures")]
    assert all(f"`{ending}`" in row for ending in endings)
