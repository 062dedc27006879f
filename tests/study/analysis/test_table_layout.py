"""Tables on terminals of any width."""

from __future__ import annotations

import re

import pytest
from rich.cells import cell_len
from rich.console import Console

from manylabel.study.analysis.table_layout import layout
from manylabel.study.analysis.tables import Cell, Table

VARIANT = "mulsupcon[pretrain.temperature=0.2]"
SCORES = ("mAP", "precision@1", "macro-F1 (oracle)", "micro-F1", "example-F1", "Hamming accuracy (oracle)")


def results(*methods: str) -> Table:
    values = [f"0.{100 + i} ± 0.0{10 + i}" for i in range(len(SCORES))]
    rows = tuple((*map(Cell, (m, *values)), Cell("1:02:05 h ± 10.5 s")) for m in methods)
    return Table("toy, 2 seeds, tuned protocol", ("method", *SCORES, "training time"), rows)


PROSE = Table(
    "",
    ("name", "train / test rows", "features", "what it is"),
    (
        (
            Cell("corel16k001"),
            Cell("29996 / 12914"),
            Cell("500"),
            Cell("photographs described by words " * 4),
        ),
        (Cell("mine"), Cell(""), Cell(""), Cell("in a folder")),
    ),
    numbers=False,
)
FACTS = Table("", ("fact", "value"), ((Cell("digest"), Cell("0123456789abcdef" * 4)),), numbers=False)
TRIALS = Table(
    "Best trials",
    ("trial", *(f"{n} (recipe)" for n in range(6))),
    (
        (Cell("classify.stage.weight_decay"), *(Cell(f"0.00012{n}") for n in range(6))),
        (Cell("vectors.encoder.widths"), *(Cell("[256, 512]") for _ in range(6))),
    ),
    numbers=False,
)


def text_of(table: Table, width: int) -> str:
    console = Console(width=width, force_terminal=True, color_system=None)
    with console.capture() as capture:
        console.print(layout(table, width))
    return capture.get()


@pytest.mark.parametrize("width", [30, 40, 50, 60, 80, 100, 200])
@pytest.mark.parametrize(
    "table",
    [results("bce", "asl"), results("bce", VARIANT), results("x" * 100), PROSE, FACTS, TRIALS],
    ids=["short", "variant", "long", "prose", "facts", "trials"],
)
def test_nothing_is_cut_at_any_width(table: Table, width: int) -> None:
    text = text_of(table, width)
    assert "…" not in text
    assert all(cell_len(line) <= width for line in text.splitlines())
    joined = re.sub(r"\s", "", text)
    for row in table.rows:
        for cell in row:
            for word in cell.text.split():
                found = word in text if len(word) <= 20 else word in joined or len(table.headings) == 2
                assert found, word


@pytest.mark.parametrize("width", [40, 60, 100])
def test_method_names_stay_whole(width: int) -> None:
    assert VARIANT in text_of(results("bce", VARIANT), width)


def test_layouts_follow_the_width() -> None:
    table = results("bce", "asl")
    assert "0.100 ± 0.010" in text_of(table, 200)
    assert text_of(table, 90).count("method") == 1
    assert text_of(table, 60).count("method") == 2
    assert re.search(r"^  macro-F1 \(oracle\) +0.102 ± 0.012$", text_of(results("bce", VARIANT), 60), re.M)


def test_a_digest_that_does_not_fit_goes_over_lines_and_is_whole() -> None:
    text = text_of(FACTS, 40)
    assert "0123456789abcdef" * 4 in re.sub(r"\s", "", text.partition("digest")[2])


@pytest.mark.parametrize("width", [12, 40, 200])
def test_names_cannot_command_the_terminal(width: int) -> None:
    table = Table("a\x1b]0;t\x07", ("\x1b[1mset", "b"), ((Cell("x\ny\x9b31m"), Cell("\u202e1")),))
    text = text_of(table, width)
    assert not re.search("[\x1b\x07\x9b\u202e]", text)
    assert "\\x1b]0;t\\x07" in re.sub(r"\s", "", text)


def test_wide_signs_take_two_columns() -> None:
    table = Table("", ("set", "mAP"), ((Cell("日本語"), Cell("0.5")), (Cell("abcdef"), Cell("0.7"))))
    first, second = text_of(table, 40).rstrip().splitlines()[-2:]
    assert cell_len(first.partition("0.5")[0]) == cell_len(second.partition("0.7")[0])
