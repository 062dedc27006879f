"""`manylabel data describe FILE`: columns, labels in numbers, repeated rows, pictures, and bad calls."""

import re

import pytest

from manylabel.cli import main
from manylabel.data import read_table
from manylabel.data.table_description import describe_table, label_facts

TEXT = """title,year,zip,genres
"The, ""big"" one",1999,00501,Drama|War
Second film,2003,00502,War
Third,NA,00501,
Second film,2003,00502,Drama | War
Fifth,2011,10001,NA
"""


def test_numbers_of_a_table_by_hand(write):
    table = read_table(write("films.csv", TEXT), labels="genres")
    other = table.schema.apply(
        write("test.csv", "year,zip,title\n2003,00502,Second film\n2003,00502,Third\n")
    )
    found = describe_table(table, other)
    expected = {
        "rows": 5,
        "features": "2 categories, 1 number",
        "labels": 2,
        "cardinality": 1.0,
        "density": 0.5,
        "imbalance": 1.2,
        "label_sets": 3,
        "rows_without_labels": 2,
        "duplicate_rows": 1,
        "unknown_entries": 2,
        "labels_known": 0.8,
        "known": {"Drama": 0.8, "War": 0.8},
        "other_rows": 2,
        "rows_of_both": 1,
    }
    assert {name: found[name] for name in expected} == expected
    facts = label_facts(table)
    assert facts.counts.tolist() == [2, 3]
    assert facts.shown.tolist() == [1, 0]
    assert facts.together.tolist() == [[3, 2], [2, 2]]


def test_the_command_tells_columns_labels_and_draws(write, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    path = write("films.csv", TEXT)
    words = [
        "data",
        "describe",
        str(path),
        "--labels",
        "genres",
        "--column",
        "zip=text",
        "--other",
        str(path),
    ]
    with pytest.raises(SystemExit) as done:
        main([*words, "--out", str(tmp_path / "out")])
    shown = capsys.readouterr().out
    assert done.value.code in (0, None)
    for told in (
        "as you said",
        "every cell is a number or missing",
        "War    3",
        "rows of both",
        "delimiter was taken",
    ):
        assert told in shown
    for name in ("label_frequencies.png", "labels_together.png"):
        assert (tmp_path / "out" / name).read_bytes()[:4] == b"\x89PNG"
        assert name in shown


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([], "--labels: expected the columns of the labels of a table"),
        (
            ["--labels", "genre"],
            "--labels: expected one of the columns title, year, zip, genres, but got 'genre'",
        ),
        (["--labels", "genres", "--column", "zip"], "--column: expected NAME=ROLE"),
        (["--labels", "genres", "--column", "zip=zap"], "--column, 'zip': expected one of number"),
        (["--labels", "genres", "--delimiter", "ab"], "--delimiter: expected one character"),
        (["--labels", "genres", "--encoding", "x"], "--encoding: expected an encoding"),
        (["--labels", "year,zip"], "column 'year': expected 0 or 1"),
        (["--labels", "genres", "--other", "nowhere.csv"], "nowhere.csv: expected an existing file"),
    ],
)
def test_bad_calls_are_told_by_option(write, capsys, options, told):
    with pytest.raises(SystemExit) as done:
        main(["data", "describe", str(write("films.csv", TEXT)), *options])
    assert done.value.code == 2
    assert told in capsys.readouterr().err


def test_several_label_columns_are_named_with_commas(write, capsys):
    path = write("t.csv", "n,a,b\n1.5,1,0\n2.5,0,1\n3.5,1,\n")
    for labels in ("a,b", "[ab]"):
        with pytest.raises(SystemExit) as done:
            main(["data", "describe", str(path), "--labels", labels])
        assert done.value.code in (0, None)
        assert re.search(r"unknown entries +1 ", capsys.readouterr().out)
