"""A table whose labels, columns and file name hold markup, formulas and escapes: all of them are shown as text."""

from __future__ import annotations

import csv
import html
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from tests.journeys.conftest import Shell

ESCAPE = "\x1b]0;title\x07"
LABELS = ("<script>alert(1)</script>", "=HYPERLINK(A1)", f"a{ESCAPE}b", "[red]c[/red]", "{{7*7}}\u202ed")
COLUMN = "@SUM(1)<img src=x onerror=alert(2)>"
FILE = f"rows <b>&[bold]={ESCAPE}.csv"
COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")
QUICK = ("classify.stage.epochs=3", "classify.stage.batch=16", "vectors.encoder.widths=[8]")
SETTINGS = (*(word for setting in QUICK for word in ("--set", setting)), "--validation", "0.3")


class Tags(HTMLParser):
    """The elements of a page, their attributes, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.sources: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Numbers and tags, of which each is a hostile label."""
    rng, path = np.random.default_rng(0), tmp_path_factory.mktemp("hostile") / FILE
    X = rng.normal(size=(80, 5))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([COLUMN, "b", "c", "d", "e", "name", *LABELS])
        for i, x in enumerate(X):
            writer.writerow([*x.round(4), f"=cmd|{i}", *(x > 0.2).astype(int)])
    return path


def test_names_are_shown_as_text_everywhere(shell: Shell, table: Path, tmp_path: Path) -> None:
    model = tmp_path / "model <i>"
    fit = ("fit", table, "--labels", ",".join(LABELS), "--method", "bce", "--column", "name=skip", *SETTINGS)
    code, out, errors = shell(*fit, "--out", model)
    assert code == 0, errors
    said = out + errors
    code, out, errors = shell("predict", model, table, "--out", tmp_path / "predictions.csv", "--id", "name")
    assert code == 0, errors
    said += out + errors
    code, out, errors = shell("evaluate", model, table, "--out", tmp_path / "page")
    assert code == 0, errors
    said += out + errors
    assert not COMMANDS.search(said)
    page, written = Tags(), (tmp_path / "page" / "report.html").read_text()
    page.feed(written)
    assert not page.tags & {"iframe", "object", "embed"}
    assert LABELS[0] not in written  # the page's own script sorts its tables
    assert all(source.startswith(("data:", "#")) for source in page.sources), page.sources
    assert not any(name.startswith("on") for name in page.attributes)
    assert LABELS[0] in html.unescape(page.text)
    assert "{{7*7}}" in page.text  # and not 49
    for path in tmp_path.rglob("*.csv"):
        with path.open(newline="", encoding="utf-8") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        formulas = [cell for cell in cells if cell.lstrip().startswith(tuple("=+@")) or COMMANDS.search(cell)]
        assert cells
        assert not formulas, path
