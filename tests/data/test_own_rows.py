"""Rows of a file that a person names: all of them, in the order of the file, whatever its format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from manylabel import ManyLabelError
from manylabel.data import Schema, load, read_table
from manylabel.data.own_rows import blocks_of_rows, read_test_rows, read_training_rows

FILMS = [("a", 1990 + i, "Drama|War" if i % 2 else "War", 40 - i) for i in range(30)]


@pytest.fixture
def films(tmp_path: Path) -> Path:
    path = tmp_path / "films.csv"
    lines = [f"{name}{i},{year},{tags},{size}" for i, (name, year, tags, size) in enumerate(FILMS)]
    path.write_text("\n".join(["id,year,genres,size", *lines]) + "\n")
    return path


@pytest.fixture
def arrays(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    X = np.arange(80, dtype=np.float32).reshape(40, 2)
    y = (rng.random((40, 3)) < 0.5).astype(np.uint8)
    np.savez(tmp_path / "rows.npz", X=X, y=y, label_names=np.array(["sea", "wind", "rock"]))
    return tmp_path / "rows.npz"


def test_a_table_is_read_by_what_its_columns_mean(films: Path) -> None:
    found = read_training_rows(films, labels="genres")
    assert (len(found), found.label_names, found.X.kind) == (30, ("Drama", "War"), "table")
    assert found.table is not None
    assert [column.name for column in found.table.schema.features] == ["year", "size"]
    assert found.Y.dense().sum(0).tolist() == [15, 30]


def test_a_file_without_a_published_split_stays_whole_and_in_order(arrays: Path) -> None:
    found = read_training_rows(arrays)
    assert np.asarray(found.X).tolist() == np.arange(80).reshape(40, 2).tolist()
    assert found.told[-1] == "All rows are taken."
    assert len(load(arrays).train) == 30  # a study holds rows out
    tested = read_test_rows(arrays, None, ("rock", "sea", "wind"))
    assert (tested.Y.dense() == found.Y.dense()[:, [2, 0, 1]]).all()


def test_rows_of_a_published_split_go_to_their_part(tmp_path: Path) -> None:
    parts = {
        f"X_{part}": np.full((n, 2), n) + np.arange(n)[:, None] for part, n in (("train", 6), ("test", 4))
    }
    labels = {f"y_{part}": np.eye(2)[np.arange(n) % 2] for part, n in (("train", 6), ("test", 4))}
    np.savez(tmp_path / "rows.npz", **parts, **labels)
    assert len(read_training_rows(tmp_path / "rows.npz")) == 6
    assert len(read_test_rows(tmp_path / "rows.npz", None, ("label 0", "label 1"))) == 4
    assert [len(X) for X, _ in blocks_of_rows(tmp_path / "rows.npz", None, rows=3)] == [3, 1]


def test_labels_are_found_for_a_model_that_was_trained_on_them_apart(films: Path, tmp_path: Path) -> None:
    table = read_table(films, labels="genres")
    apart, names = Schema(table.schema.columns), ("War", "Drama", "Noir")
    found = read_test_rows(films, apart, names, labels="genres")
    assert (found.Y.dense() == np.pad(table.Y.dense()[:, [1, 0]], [(0, 0), (0, 1)])).all()
    lines = films.read_text().splitlines()
    films.write_text(
        "\n".join([f"{lines[0]},Drama,War", *(f"{line},0,{i % 2}" for i, line in enumerate(lines[1:]))])
    )
    found = read_test_rows(films, apart, ("War", "Drama"), labels=["Drama", "War"])
    assert found.Y.dense().tolist() == [[i % 2, 0] for i in range(30)]
    for asked, message in (
        ({"labels": ["Drama", "War"]}, "expected the column of label 'Noir', but got those of 'Drama', 'War'"),
        ({"labels": "id"}, "expected tags of the model, such as 'War', but got others, such as 'a0'"),
        ({}, "expected label columns, but got none: the model was trained on labels apart"),
    ):  # fmt: skip
        with pytest.raises(ManyLabelError, match=message):
            read_test_rows(films, apart, names, **asked)


def test_blocks_hold_the_rows_in_order_beside_their_names(films: Path) -> None:
    schema = read_table(films, labels="genres").schema
    films.write_text(films.read_text().replace("Drama|War", "never seen"))  # labels are not looked at
    blocks = [*blocks_of_rows(films, schema, "id", rows=7)]
    assert [name for _, names in blocks for name in names or ()] == [f"a{i}" for i in range(30)]
    years = np.concatenate([X.values["year"].values for X, _ in blocks])
    assert years.tolist() == [1990 + i for i in range(30)]
    assert len(blocks) < 30


def test_what_cannot_be_used_is_told(films: Path, arrays: Path) -> None:
    schema = read_table(films, labels="genres").schema
    for call, message in (
        (
            lambda: read_training_rows(films),
            "`labels`: expected the label columns of .*films.csv, but got none",
        ),
        (lambda: [*blocks_of_rows(films, schema, "idd")], "expected one of its columns, but got 'idd'.*'id'"),
        (lambda: [*blocks_of_rows(arrays, None, "id")], "`identifier`: expected a column of a table"),
        (lambda: [*blocks_of_rows(films, None)], "which was no table, but got one"),
        (lambda: read_test_rows(arrays, None, ("sea", "tree", "rock")), "without 'tree'"),
        (
            lambda: read_test_rows(arrays, None, ("sea",)),
            "expected the 1 labels of the model, but got 3 labels",
        ),
        (lambda: read_training_rows(films.with_name("no.csv"), labels="genres"), "an existing file"),
    ):
        with pytest.raises(ManyLabelError, match=message):
            call()
