"""Sparse rows in Parquet, as Spark and datasets of Hugging Face have them: in memory, on disk, and what is refused."""

from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp
import torch
from tests.test_cli import call

from manylabel import ManyLabelError, data, metrics
from manylabel.data.formats import sparse_parquet
from manylabel.data.rows import SparseParts, parts
from manylabel.methods import get
from manylabel.methods.rows import DeviceRows

ON_DISK = {"on_disk": True}
N, WIDTH = 150, 40
INTS, FLOATS = pa.list_(pa.int32()), pa.list_(pa.float32())


def table(n: int = N, seed: int = 0) -> tuple[sp.csr_matrix, list[list[int]]]:
    """Rows of which some are empty, and the features below 4 that each has as its labels."""
    rng = np.random.default_rng(seed)
    dense = np.where(rng.random((n, WIDTH)) < 0.15, rng.random((n, WIDTH)), 0).astype(np.float32)
    dense[::25] = 0
    dense[1, -1] = 1.5
    X = sp.csr_matrix(dense)
    return X, [sorted(c for c in X[i].indices.tolist() if c < 4) for i in range(n)]


def lists(X: sp.csr_matrix, numbers: np.ndarray, kind: Any) -> pa.Array:
    return pa.array([part.tolist() for part in np.split(numbers, X.indptr[1:-1])], kind)


def write(path: Path, form: str, n: int = N, seed: int = 0, **how: Any) -> Path:
    """A file in one of the forms, in row groups of 37 rows."""
    X, labels = table(n, seed)
    indices, values = lists(X, X.indices, INTS), lists(X, X.data, FLOATS)
    columns: dict[str, Any] = {"indices": indices, "values": values}
    if form == "struct":
        columns = {"vector": pa.StructArray.from_arrays([values, indices], ["values", "indices"])}
    if form == "large":
        kinds = pa.large_list(pa.int64()), pa.large_list(pa.float64())
        columns = {"indices": indices.cast(kinds[0]), "values": values.cast(kinds[1])}
    if form == "shuffled":  # indices in any order
        order = np.concatenate([np.arange(a, b)[::-1] for a, b in zip(X.indptr, X.indptr[1:], strict=False)])
        columns = {"indices": lists(X, X.indices[order], INTS), "values": lists(X, X.data[order], FLOATS)}
    texts = [[f"label {c}" for c in row] for row in labels]
    tags = pa.array(texts, pa.list_(pa.string())) if form == "struct" else pa.array(labels, INTS)
    if form == "large":
        tags = pa.array(texts, pa.list_(pa.dictionary(pa.int32(), pa.string())))
    whole = pa.table(columns | {"labels": tags, "id": pa.array(range(n))})
    pq.write_table(whole, path, **({"row_group_size": 37} | how))
    return path


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some 16 rows at a time, and blocks of some 20."""
    monkeypatch.setattr(sparse_parquet, "_ROWS", 16)
    monkeypatch.setattr(parts, "BLOCK_BYTES", 20 * 6 * 8)


def equal(one: Any, other: Any) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and not (one != other).nnz


@pytest.mark.parametrize("options", [{}, ON_DISK])
@pytest.mark.parametrize("form", ["pair", "struct", "large", "shuffled"])
def test_rows_and_labels_are_those_that_were_written(form: str, options: Any, tmp_path: Path) -> None:
    found = data.load(write(tmp_path / "rows.parquet", form), undivided=True, options=options)
    X, labels = table()
    assert isinstance(found.train.X, SparseParts) == bool(options)
    assert equal(found.train.X.values, X)
    assert found.label_names == tuple(
        f"{'label ' if form in ('struct', 'large') else ''}{c}" for c in range(4)
    )
    assert [np.flatnonzero(row).tolist() for row in found.train.Y.dense().numpy()] == labels
    assert "Columns of rows.parquet that are not read: id." in found.remarks


def test_a_training_and_a_test_file_are_one_data_set_in_memory_and_on_disk(tmp_path: Path) -> None:
    path = write(tmp_path / "d-train.parquet", "pair")
    write(tmp_path / "d-test.parquet", "pair", 60, 1)
    memory, disk = (data.load(path, options=options) for options in ({}, ON_DISK))
    assert disk.digest == memory.digest
    assert equal(disk.test.X.values, table(60, 1)[0])
    rows = np.array([149, 0, 36, 37, 37, 100, 8])  # of several row groups
    assert equal(disk.train.X.take(rows).values, memory.train.X.take(rows).values)
    assert equal(disk.train.X.take(slice(30, 90)).values, memory.train.X.values[30:90])
    assert disk.train.X.column_counts().tolist() == memory.train.X.column_counts().tolist()


@pytest.mark.parametrize("options", [{}, ON_DISK])
def test_a_folder_of_parts_is_one_file_in_the_order_of_their_names(options: Any, tmp_path: Path) -> None:
    whole = data.load(write(tmp_path / "whole.parquet", "struct"), undivided=True)
    folder = tmp_path / "rows.parquet"
    folder.mkdir()
    (folder / "_SUCCESS").touch()
    every = pq.read_table(tmp_path / "whole.parquet")
    for i, part in enumerate((every[:70], every[70:70], every[70:])):
        pq.write_table(part, folder / f"part-{i:05}.parquet", row_group_size=37)
    found = data.load(folder, undivided=True, options=options)
    assert isinstance(found.train.X, SparseParts) == bool(options)
    assert equal(found.train.X.values, whole.train.X.values)
    assert equal(found.train.X.take(slice(60, 80)).values, whole.train.X.values[60:80])
    assert found.label_names == whole.label_names
    assert torch.equal(found.train.Y.dense(), whole.train.Y.dense())


@pytest.mark.parametrize("options", [{}, ON_DISK])
def test_a_part_in_which_no_row_has_a_label_is_one_of_the_parts(options: Any, tmp_path: Path) -> None:
    folder = tmp_path / "rows.parquet"
    folder.mkdir()
    rows = {"indices": pa.array([[0, 2], [1]], INTS), "values": pa.array([[1.0, 2.0], [3.0]], FLOATS)}
    for i, labels in enumerate(([["a"], ["b", "a"]], [[], []])):  # whose type is a list of null
        pq.write_table(pa.table(rows | {"labels": labels}), folder / f"part-{i}.parquet")
    found = data.load(folder, undivided=True, options=options)
    assert found.train.Y.dense().tolist() == [[1, 0], [1, 1], [0, 0], [0, 0]]


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ([[1], []], [["a"], ["b"]], "expected labels that are all numbers or all texts, but got both"),
        ([["a"], []], [[1], [2]], "expected labels that are all numbers or all texts, but got both"),
        ([["a"], []], pa.array([[], [2**63]], pa.list_(pa.uint64())), "row 1 .* but got 9223372036854775808"),
    ],
)
def test_labels_that_do_not_fit_are_refused(first: Any, second: Any, told: str, tmp_path: Path) -> None:
    folder = tmp_path / "rows.parquet"
    folder.mkdir()
    rows = {"indices": pa.array([[0, 2], [1]], INTS), "values": pa.array([[1.0, 2.0], [3.0]], FLOATS)}
    for i, labels in enumerate((first, second)):
        pq.write_table(pa.table(rows | {"labels": labels}), folder / f"part-{i}.parquet")
    with pytest.raises(ManyLabelError, match=told):
        data.load(folder, undivided=True)


@pytest.mark.parametrize("options", [{}, ON_DISK])
def test_new_rows_have_the_features_and_labels_of_a_model(options: Any, tmp_path: Path) -> None:
    like = data.Like(9, ("red", "new", "old"))
    rows = {"indices": [[0, 4], [2]], "values": [[0.5, 2.0], [1.0]]}
    for labels in ([["old", "other"], []], [[], []]):
        pq.write_table(
            pa.table(rows | {"labels": pa.array(labels, pa.list_(pa.string()))}), tmp_path / "n.parquet"
        )
        found = data.load(tmp_path / "n.parquet", undivided=True, options=options, like=like)
        assert found.train.X.shape == (2, 9)
        assert found.label_names == like.label_names
        assert found.train.Y.dense().tolist() == [[0, 0, int("old" in labels[0])], [0, 0, 0]]
        told = "Labels that are none of the model are left out: 'other'."
        assert (told in found.remarks) == ("other" in labels[0])
    with pytest.raises(ManyLabelError, match=r"n.parquet: expected at most 4 features, but got 5"):
        data.load(tmp_path / "n.parquet", options={"features": 4} | options)


def test_a_model_of_sparse_rows_takes_files_of_narrower_ones(tmp_path: Path) -> None:
    rows, new, model, out = (tmp_path / name for name in ("rows.parquet", "new.parquet", "model", "p.csv"))
    assert call("fit", write(rows, "pair"), "-m", "logistic_regression", "--out", model) == 0
    indices, values = pa.array([[0, 3], [2]], INTS), pa.array([[0.5, 2.0], [1.0]], FLOATS)
    for labels in ([[], []], [[0], [2]]):
        pq.write_table(
            pa.table({"indices": indices, "values": values, "labels": pa.array(labels, INTS)}), new
        )
        assert call("predict", model, new, "--out", out) == 0
        assert len(out.read_text().splitlines()) == 3
    assert call("evaluate", model, new, "--out", tmp_path / "report") == 0


def test_without_any_row_it_is_told(tmp_path: Path) -> None:
    write(tmp_path / "whole.parquet", "pair")
    pq.write_table(pq.read_table(tmp_path / "whole.parquet")[:0], tmp_path / "none.parquet")
    with pytest.raises(ManyLabelError, match=r"none.parquet: expected at least one row, but got none"):
        data.load(tmp_path / "none.parquet")


def test_names_of_hugging_face_and_widths_of_spark_are_kept(tmp_path: Path) -> None:
    kind = pa.struct([("type", pa.int8()), ("size", pa.int32()), ("indices", INTS), ("values", FLOATS)])
    rows = [
        {"type": 0, "size": 9, "indices": [1, 3], "values": [1.0, 2.0]},
        {"type": 1, "size": None, "indices": None, "values": [0.0, 5.0, 0.0]},
        {"type": 0, "size": 9, "indices": [], "values": []},
        {"type": 0, "size": 9, "indices": [2], "values": [3.0]},
    ]
    made = pa.table({"features": pa.array(rows, kind), "tags": pa.array([[0], [2], [], [0, 0]], INTS)})
    names = {
        "info": {"features": {"tags": {"feature": {"names": ["cat", "dog", "sun"], "_type": "ClassLabel"}}}}
    }
    pq.write_table(made.replace_schema_metadata({"huggingface": json.dumps(names)}), tmp_path / "r.parquet")
    for options in ({}, ON_DISK):
        found = data.load(tmp_path / "r.parquet", undivided=True, options=options)
        X = np.zeros((4, 9), np.float32)
        X[0, [1, 3]], X[1, 1], X[3, 2] = (1, 2), 5, 3
        assert np.asarray(found.train.X).tolist() == X.tolist()
        assert found.label_names == ("cat", "dog", "sun")
        assert found.train.Y.dense().tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 0], [1, 0, 0]]


BAD = {
    "null features": ({"indices": None}, "expected a list of indices, but got null"),
    "null values": ({"values": None}, "expected a list of values, but got null"),
    "null labels": ({"labels": None}, "expected a list of labels, but got null. An empty list says"),
    "null label": ({"labels": [None]}, "expected labels, but got null"),
    "null number": ({"values": [1.0, None]}, "expected a number at each index, but got null"),
    "null index": ({"indices": [1, None]}, "expected an index of each value, but got null"),
    "lengths": ({"indices": [1, 2, 3]}, "expected as many indices as values, but got 3 and 2"),
    "negative": ({"indices": [1, -2]}, "expected indices from 0 to 2147483646, but got -2"),
    "large": ({"indices": [1, 2**31 - 1]}, "expected indices from 0 to 2147483646, but got 2147483647"),
    "twice": ({"indices": [7, 7]}, "expected every index once in a row, but got 7"),
    "nan": ({"values": [1.0, float("nan")]}, "expected finite numbers below 3.4e38, but got nan"),
    "beyond": ({"values": [1e39, 1.0]}, r"expected finite numbers below 3.4e38, but got 1e\+39"),
}


@pytest.mark.parametrize("options", [{}, ON_DISK])
@pytest.mark.parametrize("name", BAD)
def test_a_bad_row_is_named_with_its_file_and_row_group(name: str, options: Any, tmp_path: Path) -> None:
    changed, told = BAD[name]
    rows = [{"indices": [1, 4], "values": [1.0, 2.0], "labels": [0, 1]} for _ in range(60)]
    rows[43] |= changed
    wide = pa.list_(pa.int64()), pa.list_(pa.float64())
    schema = pa.schema([("indices", wide[0]), ("values", wide[1]), ("labels", wide[0])])
    pq.write_table(pa.Table.from_pylist(rows, schema), tmp_path / "r.parquet", row_group_size=20)
    where = r"r\.parquet, row group 2, row 3 of it \(both counted from 0\): "
    with pytest.raises(ManyLabelError, match=where + told):
        data.load(tmp_path / "r.parquet", options=options)


def test_what_is_no_such_file_stays_a_table_or_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1.0] * 5, "tags": [["a"]] * 5}), tmp_path / "t.parquet")
    with pytest.raises(ManyLabelError, match="Of a table name the label columns"):
        data.load(tmp_path / "t.parquet")
    pair = {"indices": pa.array([[1]] * 5, INTS), "values": pa.array([[1.0]] * 5, FLOATS)}
    pq.write_table(pa.table(pair), tmp_path / "u.parquet")
    with pytest.raises(
        ManyLabelError, match="expected one column with a list of labels in each row, but got none"
    ):
        data.load(tmp_path / "u.parquet")
    two = {name: pa.array([[1]] * 5, INTS) for name in ("topics", "places")}
    pq.write_table(pa.table(pair | two), tmp_path / "v.parquet")
    with pytest.raises(ManyLabelError, match="but got 'topics', 'places'"):
        data.load(tmp_path / "v.parquet")
    pq.write_table(pa.table(pair | {"labels": pa.array([[]] * 5, INTS)}), tmp_path / "w.parquet")
    with pytest.raises(ManyLabelError, match="different labels, but got 0"):
        data.load(tmp_path / "w.parquet")
    write(tmp_path / "x-train.parquet", "pair")
    pq.write_table(pa.table({"x": [1.0]}), tmp_path / "x-test.parquet")
    with pytest.raises(ManyLabelError, match=r"x-test\.parquet: expected columns `indices` and `values`"):
        data.load(tmp_path / "x-train.parquet")


def test_a_file_that_changes_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "r.parquet", "pair")
    found = data.load(path, undivided=True, options=ON_DISK)
    os.utime(path, (1, 1))
    with pytest.raises(ManyLabelError, match="one that has changed"):
        _ = found.train.X.values


def test_large_row_groups_are_told_and_wide_numbers_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sparse_parquet, "_LARGE", 1 << 9)
    path = write(tmp_path / "r.parquet", "pair")
    assert any("write smaller ones" in note for note in data.load(path, options=ON_DISK).remarks)
    assert not any("write smaller ones" in note for note in data.load(path).remarks)
    times = pa.array([[1_700_000_000.0 + 60 * i, 0.1] for i in range(40)], pa.list_(pa.float64()))
    rows = {
        "indices": pa.array([[0, 1]] * 40, INTS),
        "values": times,
        "labels": pa.array([[0], [1]] * 20, INTS),
    }
    pq.write_table(pa.table(rows), path, row_group_size=7)
    memory, disk = (data.load(path, undivided=True, options=options).train.X for options in ({}, ON_DISK))
    assert memory.dtype == torch.float64
    assert disk.dtype == np.float64
    assert disk.values.toarray().tolist() == memory.values.tolist()


def test_memory_does_not_grow_with_the_entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file whose matrix takes 2.4 MB is opened and read through within a fraction of that, Arrow's own included."""
    monkeypatch.setattr(parts, "BLOCK_BYTES", 1 << 16)
    indices = pa.array([list(range(0, 400, 4))] * 3000, INTS)
    values = pa.array([[c + 0.5 for c in range(100)]] * 3000, FLOATS)
    rows = {"indices": indices, "values": values, "labels": pa.array([[i % 5] for i in range(3000)], INTS)}
    pq.write_table(pa.table(rows), tmp_path / "r.parquet", row_group_size=64)
    del indices, values, rows
    data.load(write(tmp_path / "first.parquet", "pair"), options=ON_DISK)  # imports what it needs
    arrow, peaks = pa.total_allocated_bytes(), []
    for options in ({}, ON_DISK):
        tracemalloc.start()
        found = data.load(tmp_path / "r.parquet", undivided=True, options=options).train.X
        entries = sum(block.nnz for block in found.blocks()) if options else found.values.nnz
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert entries == 300_000
        assert pa.total_allocated_bytes() - arrow < 1 << 18
    assert peaks[1] < 1e6 < 2.4e6 < peaks[0]


@pytest.mark.parametrize("place", ["rows.parquet", "folder.parquet"])
def test_a_model_is_fitted_on_such_a_file_and_predicts_for_another(place: str, tmp_path: Path) -> None:
    write(tmp_path / "rows.parquet", "struct")
    write(tmp_path / "new.parquet", "struct", 60, 1)
    (tmp_path / "folder.parquet").mkdir()
    write(tmp_path / "folder.parquet" / "part-0.parquet", "struct")
    words = ["--method", "logistic_regression", "--validation", "0.3", "--out", str(tmp_path / "model")]
    assert call("data", "describe", str(tmp_path / place)) == 0
    assert call("fit", str(tmp_path / place), *words) == 0
    out = tmp_path / "found.csv"
    assert call("predict", str(tmp_path / "model"), str(tmp_path / "new.parquet"), "--out", str(out)) == 0
    assert len(out.read_text().splitlines()) == 61


def test_a_network_learns_on_disk_what_it_learns_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DeviceRows, "dense_bytes", 0)
    path = write(tmp_path / "d-train.parquet", "struct")
    write(tmp_path / "d-test.parquet", "struct", 60, 1)
    found = []
    for options in ({}, ON_DISK):
        rows = data.load(path, options=options)
        settings = {"encoder.widths": [16], "classify.stage.epochs": 12, "classify.stage.batch": 16}
        train, validation = data.split_validation(rows, 0)
        model = get("bce", **settings).fit(train, validation)
        found.append(metrics.mean_average_precision(model.scores(rows.test.X), rows.test.Y))
    by_chance = float(rows.test.Y.label_counts().mean() / len(rows.test))
    assert found[1] > found[0] - 0.1 > by_chance + 0.2
