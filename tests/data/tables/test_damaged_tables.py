"""Tables with bytes turned, cut out and put in: read, or refused in our words, soon and in little memory."""

import csv
import random
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.data.tables.table_files import (
    as_arrow,
    as_csv,
    as_excel,
    as_jsonl,
    as_parquet,
    as_sqlite,
    as_stream,
)

from manylabel import ManyLabelError
from manylabel.data import read_table

WRITERS = {
    "CSV": as_csv,
    "packed JSON lines": lambda path: as_jsonl(path, "t.jsonl.gz"),
    "JSON lines": as_jsonl,
    "parquet": as_parquet,
    "Arrow file": as_arrow,
    "Arrow stream": as_stream,
    "Excel": as_excel,
    "SQLite": as_sqlite,
}
SIGNS = [
    b'"',
    b",",
    b"\n",
    b"\r",
    b"\0",
    b"\xff",
    b"\xfe\xff",
    b"{",
    b"]",
    b"9" * 400,
    b";",
    b"1e999",
    b"|",
    b"#",
]
_CONSTANT = 8 << 20  # of buffers whose size does not grow with the file
_SECONDS = 10


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The content with one to three pieces changed."""
    found = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        at, other = rng.randrange(len(found) + 1), rng.randrange(len(found) + 1)
        kind = rng.randrange(6)
        if kind == 0 and at < len(found):
            found[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del found[min(at, other) : max(at, other)]
        elif kind == 2:
            found[at:at] = rng.choice(SIGNS)
        elif kind == 3:
            del found[at:]
        elif kind == 4:
            found[at:at] = found[min(at, other) : max(at, other)][:200]
        else:
            found[at : at + 8] = rng.randbytes(8)
    return bytes(found)


def read_or_refuse(path: Path) -> bool:
    """Whether a table was read; any error but ours, a long wait or much memory fails the test."""
    tracemalloc.start()
    start = time.monotonic()
    try:
        table = read_table(path, labels="tags")
        assert len(table.X) == table.labels.known.shape[0] > 0
        return True
    except ManyLabelError:
        return False
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= 4 * path.stat().st_size + _CONSTANT
        assert time.monotonic() - start < _SECONDS


def check_damaged(name: str, tmp_path: Path, n: int, seed: int) -> None:
    path = WRITERS[name](tmp_path)
    content, rng = path.read_bytes(), random.Random(seed)
    read_table(path, labels="tags")  # what has to be imported is no memory of the reader
    assert read_or_refuse(path)
    read = 0
    for _ in range(n):
        path.write_bytes(damaged(content, rng))
        read += read_or_refuse(path)
    assert read < n  # some damage is seen


@pytest.mark.parametrize("name", WRITERS)
def test_damaged_files_are_read_or_refused(name, tmp_path):
    check_damaged(name, tmp_path, 60, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITERS)
def test_many_damaged_files_are_read_or_refused(name, tmp_path):
    check_damaged(name, tmp_path, 2000, seed=1)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.sampled_from('ab1.,;|"\t\n\r -é=') | st.characters(codec="utf-8"), max_size=120))
def test_any_text_is_read_or_refused(text, tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode())
    try:
        table = read_table(path)
    except ManyLabelError:
        return
    assert len(table.X) > 0


CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(CELLS, CELLS), min_size=2, max_size=20), delimiter=st.sampled_from(",;\t|"))
def test_any_cells_come_back(rows, delimiter, tmp_path):
    with (tmp_path / "t.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows(
            [["n", "x", "y"], *((f"{i}.5", *r) for i, r in enumerate(rows))]
        )
    roles = {"x": "text", "y": "text"}
    table = read_table(tmp_path / "t.csv", columns=roles, delimiter=delimiter, encoding="utf-8")
    assert [*zip(*(table.X.values[name].cells() for name in "xy"), strict=True)] == rows


@settings(max_examples=150, deadline=None)
@given(
    values=st.lists(
        st.one_of(
            st.floats(allow_nan=False, allow_infinity=False).map(repr),
            st.integers(-(10**14), 10**14).map(str),
            st.decimals(-(10**9), 10**9, places=4).map(str),
            st.sampled_from(["", "NA", " 3 ", "+4", "5.", ".5", "-0"]),
        ),
        min_size=1,
    )
)
def test_numbers_are_what_float_says(values):
    read = read_table({"v": values, "n": list(np.arange(len(values)) % 3 + 0.5)}, columns={"v": "number"})
    expected = [float(v) if v.strip() not in ("", "NA") else np.nan for v in values]
    assert np.array_equal(read.X.values["v"].values, expected, equal_nan=True)
