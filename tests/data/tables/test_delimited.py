"""Tables as text, awkward ones: delimiters, quotes, line ends, encodings, and errors with their physical line."""

import csv
import gzip
import random

import numpy as np
import pytest

from manylabel import ManyLabelError
from manylabel.data import read_table

PLAIN = "a,b,tags\n1,x,p|q\n2,y,q\n3,x,p\n"


def columns_of(path, **settings):
    table = read_table(path, **settings)
    return {name: [*stored.cells()] for name, stored in table.X.values.items()}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_delimiter_and_line_ends_are_found_out(write, delimiter, newline):
    text = "n,s,t\n1,a b,u\n2,c,w\n3,a b,u\n".replace(",", delimiter).replace("\n", newline)
    table = read_table(write("t.csv", text))
    assert [*table.X.values["n"].cells()] == ["1", "2", "3"]
    assert [*table.X.values["s"].cells()] == ["a b", "c", "a b"]
    name = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}[delimiter]
    assert table.told[0] == f"The delimiter was taken for the {name}."


def test_what_the_csv_module_wrote_is_read(tmp_path):
    rng = random.Random(0)
    signs = ["a", "é", '"', ",", "\n", "\r\n", "\r", ";", "|", "\t", " ", "''", "=1+1", "日", ""]
    rows = [["w" + "".join(rng.choices(signs, k=6)) for _ in range(3)] for _ in range(200)]
    with (tmp_path / "t.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["x", "y", "z"], *rows])
    found = columns_of(tmp_path / "t.csv", columns=dict.fromkeys("xyz", "text"))
    assert [*zip(*found.values(), strict=True)] == [tuple(row) for row in rows]


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("utf-8", ""),
        ("utf-8-sig", ""),
        ("utf-16", "UTF-16"),
        ("utf-16-le", "UTF-16"),
        ("latin-1", "taken for latin-1: line 3 is not UTF-8"),
        ("cp1252", "taken for cp1252: line 3 is not UTF-8"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_encodings_are_found_out_and_told(write, encoding, told, packed):
    sign = "\u2019" if encoding == "cp1252" else "é"
    content = f"n,s\n1,a\n2,b{sign}\n3,a\n".encode(encoding)
    path = write("t.csv.gz" if packed else "t.csv", gzip.compress(content) if packed else content)
    table = read_table(path)
    assert [*table.X.values["s"].cells()] == ["a", f"b{sign}", "a"]
    assert told in " ".join(table.told)


def test_mixed_line_ends_and_empty_lines_are_no_rows(write):
    table = read_table(write("t.csv", "\nn,s\r\n1,a\n\n\n2,b\r3,a\r\n\r\n"))
    assert [*table.X.values["n"].cells()] == ["1", "2", "3"]


TOO_FEW = 'n,s,t\n1,a,u\n2,"b\n\nb",u\n3,c\n'
BAD = {
    "a short row": (TOO_FEW, r"line 6: expected 3 cells, but got 2 \('3,c'\)"),
    "a long row": ("n,s\n1,a\n2,b,c\n", r"line 3: expected 2 cells, but got 3 .*Quote cells"),
    "an open quote": ('n,s\n1,a\n2,"b\n3,c\n', "line 3: expected cells that are quoted .* never closed"),
    "text behind a quote": ('n,s\n1,"a"b\n', "line 2: expected cells that are quoted"),
    "a name twice": ("n,s,n\n1,a,2\n", r"every column name once, but got 'n' twice \(columns 1 and 3\)"),
    "numbers above": (
        "1.5,2.5\n3,4\n",
        "expected a first line with the names of the columns, but got numbers",
    ),
    "no rows": ("n,s\n", "at least one row below the names"),
    "nothing": ("", "names of the columns, but got an empty one"),
    "empty lines alone": ("\n\n", "names of the columns, but got an empty one"),
    "a NUL byte": ("n,s\n1,a\n2,\0\n", "line 3: expected text, but got a NUL byte"),
    "infinity": ("n,s\n1,a\ninf,b\n2,a\n", "line 3, column 'n': expected a finite number, but got 'inf'"),
    "beyond float64": ("n,s\n1,a\n1e999,b\n2,a\n", "line 3, column 'n': expected a finite number"),
    "nothing to learn": (
        "a,b\n,5\n,5\n",
        r"a column to learn from, but got none \(a: empty in every row; b: the same",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_text_is_refused_by_its_line(write, name):
    text, message = BAD[name]
    with pytest.raises(ManyLabelError, match=message) as error:
        read_table(write("t.csv", text))
    assert str(error.value).startswith(str(write("t.csv", text)))


def test_a_file_that_is_no_text_is_told_so(write):
    with pytest.raises(ManyLabelError, match=r"line 1: expected text, but got a NUL byte"):
        read_table(write("t.csv", bytes(range(256)) * 40))


def test_a_wrong_encoding_or_delimiter_is_refused(write):
    path = write("t.csv", "n,s\n1,é\n2,a\n".encode("latin-1"))
    with pytest.raises(ManyLabelError, match="line 2: expected text in utf-8"):
        read_table(path, encoding="utf-8")
    with pytest.raises(
        ManyLabelError, match=r"`encoding`: expected an encoding that Python knows.*'klingon'"
    ):
        read_table(path, encoding="klingon")
    with pytest.raises(ManyLabelError, match="`encoding`: expected"):
        read_table(path, encoding="hex")
    with pytest.raises(ManyLabelError, match="`delimiter`: expected one character"):
        read_table(path, delimiter="||")


def test_columns_without_a_name_are_numbered_and_told(write):
    table = read_table(write("t.csv", "n,,s\n5,a,u\n7,b,w\n6,a,u\n"))
    assert list(table.X.values) == ["n", "column 2", "s"]
    assert "The header has no name for column 2." in table.told


def test_text_after_numbers_is_read_again_as_text(write):
    rows = [str(i % 7 + 0.5) for i in range(40_000)]
    rows[-1] = "7.5 or so"
    table = read_table(write("t.csv", "n,v\n" + "".join(f"{i % 11},{v}\n" for i, v in enumerate(rows))))
    assert [column.role for column in table.schema.columns] == ["number", "category"]
    assert [*table.X.values["v"].cells()] == rows


def test_long_cells_are_read_and_the_limit_of_the_process_stays(write):
    before = csv.field_size_limit()
    long = "word " * 100_000
    found = columns_of(write("t.csv", f"n,s\n1,{long}\n2,b\n"), columns={"s": "text"})
    assert found["s"] == [long, "b"]
    assert csv.field_size_limit() == before


def test_one_column_of_tags_and_one_of_texts_become_texts(write):
    lines = "".join(f'"a text of {i} words, with several more",p|q\n' for i in range(30))
    table = read_table(write("t.csv", f"text,tags\n{lines}"), labels="tags")
    assert table.X.kind == "text"
    assert table.X.values[3] == "a text of 3 words, with several more"
    assert np.array_equal(table.Y.dense().numpy(), np.ones((30, 2)))
