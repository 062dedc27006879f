"""Typed tables: JSON lines, parquet, Arrow, Excel, SQLite and frames give what the same table as CSV gives."""

import datetime
import sqlite3
import zipfile

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from tests.data.tables.table_files import (
    COLUMNS,
    as_arrow,
    as_csv,
    as_excel,
    as_feather,
    as_jsonl,
    as_parquet,
    as_parquet_folder,
    as_sqlite,
    as_stream,
)

from manylabel import ManyLabelError
from manylabel.data import load, read_table

SOURCES = {
    "JSON lines": as_jsonl,
    "packed JSON lines": lambda path: as_jsonl(path, "t.jsonl.gz"),
    "parquet": as_parquet,
    "folder of parquet": as_parquet_folder,
    "Arrow file": as_arrow,
    "Arrow stream": as_stream,
    "Feather": as_feather,
    "Excel": as_excel,
    "SQLite": as_sqlite,
    "a table of SQLite": lambda path: f"{as_sqlite(path)}#films",
    "a sheet of Excel": lambda path: f"{as_excel(path)}#Sheet1",
    "pandas": lambda path: pd.DataFrame(COLUMNS),
    "pandas, nullable": lambda path: pd.DataFrame(COLUMNS).convert_dtypes(),
    "pandas, category": lambda path: pd.DataFrame(COLUMNS).astype({"kind": "category", "tags": "category"}),
    "polars": lambda path: pl.DataFrame(COLUMNS),
    "polars, category": lambda path: pl.DataFrame(COLUMNS).with_columns(pl.col("kind").cast(pl.Categorical)),
    "Arrow table": lambda path: pa.table(COLUMNS),
    "dict": lambda path: COLUMNS,
}


@pytest.mark.parametrize("name", SOURCES)
def test_the_same_table_is_the_same_rows(name, tmp_path):
    expected = read_table(as_csv(tmp_path), labels="tags")
    source = SOURCES[name](tmp_path)
    found = read_table(source, labels="tags")
    assert found.X.form == expected.X.form
    assert [bytes(part) for part in found.X.content()] == [bytes(part) for part in expected.X.content()]
    assert np.array_equal(found.Y.dense(), expected.Y.dense())
    again = expected.schema.apply(source)
    assert [bytes(part) for part in again.X.content()] == [bytes(part) for part in expected.X.content()]


OTHER_PARTS = {
    "no file": ({}, "expected files that end in .parquet or .pq, but got none"),
    "a partition": ({"kind=r": None}, "but got kind=r. Read the partitions with pandas or polars"),
    "another file": (
        {"part-0.parquet": {"n": [1]}, "notes.csv": None},
        "but got notes.csv. Give the path of one",
    ),
    "other columns": (
        {"part-0.parquet": {"n": [1], "tags": ["p"]}, "part-1.parquet": {"tags": ["p"], "n": [1]}},
        r"part-1.parquet: expected the columns of part-0.parquet: n, tags, but got tags, n",
    ),
}


@pytest.mark.parametrize("name", OTHER_PARTS)
def test_a_folder_that_is_no_table_of_parts_is_told(name, tmp_path):
    files, told = OTHER_PARTS[name]
    folder = tmp_path / "t.parquet"
    folder.mkdir()
    for file, columns in files.items():
        if columns is None:
            (folder / file).mkdir() if "=" in file else (folder / file).touch()
        else:
            pa.parquet.write_table(pa.table(columns), folder / file)
    with pytest.raises(ManyLabelError, match=told):
        read_table(folder)


def test_cells_that_are_nothing_to_learn_from_are_told_with_their_part(tmp_path):
    folder = tmp_path / "t.parquet"
    folder.mkdir()
    for i, cells in enumerate((["p", "q"], [[b"\xff"]])):
        pa.parquet.write_table(pa.table({"n": cells}), folder / f"part-{i}.parquet")
    with pytest.raises(
        ManyLabelError, match=r"from row 1 of part-1.parquet \(counted from 1\) on, column 'n'"
    ):
        read_table(folder)


def test_a_folder_of_a_table_is_told_to_name_its_labels(tmp_path):
    (tmp_path / "t.parquet").mkdir()
    pa.parquet.write_table(pa.table({"n": [1], "tags": ["p"]}), tmp_path / "t.parquet" / "part-0.parquet")
    (tmp_path / "t.parquet" / ".part-0.parquet.crc").touch()
    with pytest.raises(ManyLabelError, match="Of a table name the label columns with `labels`"):
        load(tmp_path / "t.parquet")


def test_integers_with_a_gap_are_the_same_categories_everywhere():
    roles = {"zip": "category"}
    whole, gap = [1, 2, 3, 2], [1.0, 2.0, 3.0, 2.0, np.nan]
    for frame in ({"zip": whole}, pd.DataFrame({"zip": gap}), {"zip": ["1", "2", "3", "2"]}):
        assert read_table(frame, columns=roles).X.values["zip"].values[:3] == ("1", "2", "3")


def test_durations_are_seconds_and_periods_the_date_they_begin(tmp_path):
    n, seconds = 24, np.arange(24) * 90.5
    columns = {
        "took": pd.to_timedelta(seconds, unit="s").where(seconds > 0),
        "month": pd.period_range("2020-01", periods=n, freq="M"),
        "size": pd.cut(seconds, 3),
        "opens": [datetime.time(8 + i % 3, 30) for i in range(n)],
        "tags": ["p", "q", "p|q"] * (n // 3),
    }
    frame = pd.DataFrame(columns)
    read = read_table(frame, labels="tags").X
    roles = {name: column.role for name, column in read.columns.items()}
    assert roles == {"took": "number", "month": "date", "size": "category", "opens": "category"}
    parquet = tmp_path / "t.parquet"
    frame[["took", "opens", "tags"]].to_parquet(parquet)
    for source in (parquet, pl.from_pandas(frame[["took", "opens", "tags"]])):
        found = read_table(source, labels="tags").X
        took, opens = found.values["took"], found.values["opens"]
        assert np.array_equal(took.values, np.where(seconds > 0, seconds, np.nan), equal_nan=True)
        assert opens.distinct() == ["08:30:00", "09:30:00", "10:30:00"]


@pytest.mark.parametrize("unit", ["s", "us", "ns"])
def test_dates_and_durations_in_arrays_are_those_of_any_unit(unit):
    days = np.arange(24).astype("datetime64[D]").astype(f"datetime64[{unit}]")
    took = (np.arange(24) * 90).astype("timedelta64[s]").astype(f"timedelta64[{unit}]")
    took[0] = "NaT"
    read = read_table({"day": days, "took": took, "tags": ["p", "q", "p|q"] * 8}, labels="tags").X
    assert {name: column.role for name, column in read.columns.items()} == {"day": "date", "took": "number"}
    assert read.values["day"].values[:2].tolist() == [0, 86400]
    assert np.array_equal(read.values["took"].values, [np.nan, *np.arange(1, 24) * 90], equal_nan=True)


def test_integers_that_float64_blurs_are_categories():
    table = read_table({"key": [2**53 + 1, 2**53, 2**53 + 1] * 10, "n": [0.5, 1.5, 2.5] * 10})
    assert table.X.columns["key"].role == "category"
    assert table.X.values["key"].values == (str(2**53 + 1), str(2**53))


def test_list_columns_are_tags_and_the_frame_stays(tmp_path):
    frame = pl.DataFrame({"n": [0.5, 1.5, 2.5], "tags": [["a", "b"], [], None]})
    before = frame.clone()
    frame.write_parquet(tmp_path / "t.parquet")
    for source in (frame, tmp_path / "t.parquet", frame.to_pandas()):
        table = read_table(source, labels="tags")
        assert table.labels.known.toarray().tolist() == [[1, 1], [0, 0], [0, 0]]
        assert table.labels.unknown.toarray().tolist() == [[0, 0], [0, 0], [1, 1]]
    assert frame.equals(before)


BAD_JSON = {
    "no object": ('{"a": 1}\n[1]\n', "line 2: expected a JSON object"),
    "an array": ('[{"a": 1}, {"a": 2}]\n', r"line 1: .*jq -c '\.\[\]'"),
    "broken": ('{"a": 1}\n\n{"a": \n', "line 3: expected a JSON object"),
    "half a character": ('{"a": "\\ud800"}\n', "line 1: expected a JSON object"),
    "no line": ("\n", "at least one line"),
    "not UTF-8": (b'{"a": "\xff"}\n', "line 1: expected a JSON object"),
    "nested deeply": ('{"a": ' + "[" * 100_000 + "\n", "line 1: expected a JSON object"),
    "NaN in a number": ('{"a": 1}\n{"a": Infinity}\n', "line 2, column 'a': expected a finite number"),
}


@pytest.mark.parametrize("name", BAD_JSON)
def test_bad_json_lines_are_refused_by_their_line(write, name):
    text, message = BAD_JSON[name]
    with pytest.raises(ManyLabelError, match=message):
        read_table(write("t.jsonl", text))


def test_sheets_and_tables_have_to_be_named(tmp_path):
    with pd.ExcelWriter(tmp_path / "t.xlsx") as book:
        for sheet in ("one", "two"):
            pd.DataFrame({"n": [1.5, 2.5]}).to_excel(book, sheet_name=sheet, index=False)
    with pytest.raises(
        ManyLabelError, match=r"name of a sheet \(one, two\), but got 2 sheets. Write t.xlsx#one"
    ):
        read_table(tmp_path / "t.xlsx")
    assert len(read_table(f"{tmp_path / 't.xlsx'}#two")) == 2
    base = sqlite3.connect(tmp_path / "t.db")
    base.execute('CREATE TABLE "o""ne" (n REAL)')
    base.execute("CREATE TABLE two (n REAL, b BLOB)")
    base.execute("CREATE VIEW three AS SELECT * FROM two")
    base.execute('INSERT INTO "o""ne" VALUES (1.5), (2.5)')
    base.execute("INSERT INTO two VALUES (1.5, x'00ff')")
    base.commit()
    base.close()
    with pytest.raises(ManyLabelError, match=r"name of a table .*, but got 2 tables"):
        read_table(tmp_path / "t.db")
    with pytest.raises(ManyLabelError, match="but got 'three'"):
        read_table(f"{tmp_path / 't.db'}#three")
    with pytest.raises(ManyLabelError, match=r"column 'b': expected cells with a text.*bytes"):
        read_table(f"{tmp_path / 't.db'}#two")
    assert read_table(f'{tmp_path / "t.db"}#o"ne').X.values["n"].values.tolist() == [1.5, 2.5]


def test_a_column_of_bytes_is_named_and_can_be_left_out(tmp_path):
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"n": [1.5, 2.5], "picture": [b"ab", b"cd"]}), tmp_path / "t.parquet")
    with pytest.raises(
        ManyLabelError, match=r"column 'picture': expected cells with a text.*name its role skip"
    ):
        read_table(tmp_path / "t.parquet")
    assert len(read_table(tmp_path / "t.parquet", columns={"picture": "skip"})) == 2


def test_a_workbook_that_unfolds_without_end_is_refused(tmp_path, monkeypatch):
    pd.DataFrame({"n": [1.5]}).to_excel(tmp_path / "t.xlsx", index=False)
    with zipfile.ZipFile(tmp_path / "t.xlsx", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/sharedStrings2.xml", b" " * (300 << 20))
    with pytest.raises(ManyLabelError, match="a workbook of at most 256 MiB"):
        read_table(tmp_path / "t.xlsx")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (3, "expected the path of a table, a frame of pandas, polars or Arrow"),
        (np.eye(3), "expected the path of a table"),
        (
            pl.LazyFrame({"a": [1]}),
            r"a frame in memory, but got LazyFrame, computed later\. Call \.collect\(\)",
        ),
        ({"a": [1, 2], "b": [1]}, "columns of one length"),
        ({"a": [{"x"}, 3j]}, "column 'a': expected cells with a text, a number, a date or a list"),
        ("nowhere.csv", "nowhere.csv: expected an existing file, but got nothing there"),
        (".", "expected a file, but got a folder"),
    ],
)
def test_what_is_no_table_is_refused(source, message):
    with pytest.raises(ManyLabelError, match=message):
        read_table(source)


def test_other_endings_are_refused(write):
    with pytest.raises(ManyLabelError, match=r"a file that ends in \.csv, .*, but got \.doc"):
        read_table(write("t.doc", "a,b\n"))
    with pytest.raises(ManyLabelError, match="a workbook or SQLite file, whose parts have names, but got #x"):
        read_table(f"{write('t.csv', 'a,b')}#x")
