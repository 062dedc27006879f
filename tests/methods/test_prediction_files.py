"""Predictions and embeddings as files: every row in its order, whatever the format and the blocks."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.methods.small_vectors import STAGE
from tests.training.small_run import rows as small_rows

from manylabel import ManyLabelError
from manylabel.data.rows import Features
from manylabel.methods import Predictor, get
from manylabel.methods.embedding_files import write_embeddings
from manylabel.methods.prediction_files import Wanted, write_predictions

NAMES = ("=cmd", "sea", "wind, rain")


@pytest.fixture(scope="module")
def model() -> Predictor:
    made = get("bce", **STAGE).fit(small_rows(200, 0), small_rows(40, 1), seed=3)
    return Predictor(
        made.scorer, [*NAMES, "d", "e"][: len(made.label_names)], made.decision, made.schema, made.recipe
    )


@pytest.fixture(scope="module")
def X() -> Features:
    return small_rows(50, 2).X


def blocks(X: Features, size: int, named: bool = False) -> Iterator[tuple[Features, list[str] | None]]:
    for start in range(0, len(X), size):
        part = X.take(slice(start, start + size))
        yield part, [f"r{start + i}" for i in range(len(part))] if named else None


def expected(model: Predictor, X: Features) -> list[set[str]]:
    return [{name for name, on in zip(model.label_names, row, strict=True) if on} for row in model.predict(X)]


def test_csv_holds_labels_from_the_most_probable_down_and_no_formula(
    model: Predictor, X: Features, tmp_path: Path
) -> None:
    wanted = Wanted(identifier="id", probabilities=True, embeddings=True, top=2)
    written = write_predictions(model, blocks(X, 7, named=True), tmp_path / "out.csv", wanted)
    with open(tmp_path / "out.csv", newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    sets, P = expected(model, X), model.predict_proba(X)
    assert [line["id"] for line in lines] == [f"r{i}" for i in range(50)]
    assert [{*line["labels"].removeprefix("'").split("|")} - {""} for line in lines] == sets
    assert (written.rows, written.labels, written.without) == (
        50,
        sum(map(len, sets)),
        sum(not s for s in sets),
    )
    for line, row in zip(lines, P, strict=True):
        numbers = [float(n) for n in line["probabilities"].split("|") if n]
        assert numbers == sorted(numbers, reverse=True)
        names = line["top_labels"].removeprefix("'").split("|")
        assert names[0] == model.label_names[row.argmax()]
        assert [float(line[f"P({name})"]) for name in model.label_names] == pytest.approx(row, abs=1e-6)
    assert any(
        line["labels"].startswith("'=cmd") for line in lines
    )  # a spreadsheet shows it, and runs nothing
    Z = np.array([[float(line[f"embedding_{i}"]) for i in range(model.embed(X).shape[1])] for line in lines])
    assert np.allclose(Z, model.embed(X), atol=1e-6)  # a network rounds by the batch


@pytest.mark.parametrize("size", [1, 13, 50])
def test_blocks_do_not_change_what_is_written(
    model: Predictor, X: Features, tmp_path: Path, size: int
) -> None:
    found = []
    for n in (50, size):
        write_predictions(model, blocks(X, n), tmp_path / "out.jsonl")
        found.append([json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()])
    whole, parts = found
    assert [line["labels"] for line in whole] == [line["labels"] for line in parts]
    assert [line["probabilities"] for line in parts] == [
        pytest.approx(line["probabilities"], abs=3e-6) for line in whole
    ]


def test_json_lines_and_parquet_hold_lists(model: Predictor, X: Features, tmp_path: Path) -> None:
    wanted, sets = Wanted(identifier="id", probabilities=True, embeddings=True, top=1), expected(model, X)
    for ending in ("jsonl", "parquet"):
        write_predictions(model, blocks(X, 20, named=True), tmp_path / f"out.{ending}", wanted)
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    assert [{*line["labels"]} for line in lines] == sets
    assert all([*line["probabilities"]] == line["labels"] for line in lines)
    assert [*lines[0]["all_probabilities"]] == list(model.label_names)
    assert np.allclose([line["embedding"] for line in lines], model.embed(X), atol=1e-6)
    table = pq.read_table(tmp_path / "out.parquet")
    assert [{*labels} for labels in table["labels"].to_pylist()] == sets
    assert table["id"].to_pylist() == [line["id"] for line in lines]
    assert table["top_labels"].to_pylist() == [[*line["top"]] for line in lines]
    assert np.allclose(table["embedding"].to_pylist(), model.embed(X), atol=1e-6)


def test_no_rows_give_a_header(model: Predictor, tmp_path: Path) -> None:
    for ending in ("csv", "jsonl", "parquet"):
        assert write_predictions(model, [], tmp_path / f"out.{ending}").rows == 0
    assert (tmp_path / "out.csv").read_text() == "labels,probabilities\n"
    assert (tmp_path / "out.jsonl").read_text() == ""
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 0


def test_what_cannot_be_written_leaves_the_old_file(model: Predictor, X: Features, tmp_path: Path) -> None:
    for path, wanted, message in (
        ("out.xlsx", Wanted(), "`out`: expected a file that ends in .csv, .jsonl, .parquet, but got .xlsx"),
        ("out.csv", Wanted(top=0), "`top`: expected a number of labels from 1 to"),
        ("out.csv", Wanted(top=99), "`top`: expected"),
        (
            "out.csv",
            Wanted(separator=","),
            "`separator`: expected a text that no label name holds.*wind, rain",
        ),
        ("out.csv", Wanted(separator=""), "`separator`: expected at least one character"),
        ("out.csv", Wanted(identifier="labels"), "`identifier`: expected another name"),
        ("no/out.csv", Wanted(), "Make the folder first"),
    ):
        with pytest.raises(ManyLabelError, match=message):
            write_predictions(model, blocks(X, 9), tmp_path / path, wanted)
    (tmp_path / "out.csv").write_text("old")
    with pytest.raises(ManyLabelError):
        write_predictions(model, [(X, None), (small_rows(3, 2).X.values[:, :1], None)], tmp_path / "out.csv")  # type: ignore[list-item]
    assert (tmp_path / "out.csv").read_text() == "old"
    assert os.listdir(tmp_path) == ["out.csv"]


@pytest.mark.parametrize("size", [1, 17, 50])
def test_embeddings_are_one_array_that_can_be_mapped(
    model: Predictor, X: Features, tmp_path: Path, size: int
) -> None:
    assert write_embeddings(model.embed, blocks(X, size), tmp_path / "z.npy") == model.embed(X).shape
    mapped = np.load(tmp_path / "z.npy", mmap_mode="r")
    assert np.allclose(mapped, model.embed(X), atol=1e-6)
    assert mapped.dtype == np.float32
    write_embeddings(model.embed, blocks(X, size, named=True), tmp_path / "z.npz", "id")
    with np.load(tmp_path / "z.npz") as found:
        assert np.array_equal(found["embeddings"], mapped)
        assert found["identifiers"].tolist() == [f"r{i}" for i in range(50)]
    write_embeddings(model.embed, blocks(X, size, named=True), tmp_path / "z.parquet", "id")
    table = pq.read_table(tmp_path / "z.parquet")
    assert np.array_equal(np.array(table["embedding"].to_pylist(), np.float32), mapped)
    assert table["id"].to_pylist() == [f"r{i}" for i in range(50)]
    assert sorted(os.listdir(tmp_path)) == ["z.npy", "z.npz", "z.parquet"]


def test_embeddings_refuse_what_they_cannot_hold(model: Predictor, X: Features, tmp_path: Path) -> None:
    for path, identifier, message in (
        ("z.csv", None, "`out`: expected a file that ends in .npy, .npz, .parquet, but got .csv"),
        ("z.npy", "id", "`out`: expected a file that can hold the names of rows"),
    ):
        with pytest.raises(ManyLabelError, match=message):
            write_embeddings(model.embed, blocks(X, 9), tmp_path / path, identifier)
    for path in ("z.npy", "z.npz", "z.parquet"):
        for none in ([], [(X.take(slice(0, 0)), [])]):
            with pytest.raises(ManyLabelError, match="embeddings: expected at least one row, but got none"):
                write_embeddings(model.embed, none, tmp_path / path)
    assert os.listdir(tmp_path) == []
