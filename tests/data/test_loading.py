"""The way in: names, paths, descriptions, and the cost of the import."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from manylabel import data
from manylabel.data.catalogue import catalogue
from manylabel.data.example import TAGS, write_example
from manylabel.errors import ManyLabelError

LABELS_ONLY = ("voc2007_labels", "mlrsnet_labels", "chestxray14_labels")


def test_names_list_what_can_be_loaded(tmp_path, small):
    known = data.names()
    assert known == ("digits", *sorted(catalogue()))
    assert {"scene", "yeast", "coco2014"} <= {*known}
    for name in ("mine", "labels_alone", "empty"):
        (tmp_path / name).mkdir()
    np.savez(tmp_path / "mine" / "data.npz", X=small[0], y=small[1])
    np.savez(tmp_path / "labels_alone" / "data.npz", y_train=small[1])
    (tmp_path / "labels_alone" / "card.json").write_text('{"kind": "labels only"}')
    assert data.names(tmp_path) == ("digits", *sorted({*catalogue(), "mine"}))
    assert data.load("mine", tmp_path).name == "mine"
    assert len(data.load("mine", tmp_path, undivided=True).train) == len(small[0])


def test_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(
        ManyLabelError,
        match=r"one of digits, aapd, .*, scene, .*, yeast, or a path, but got 'yeats'. Did you mean 'yeast'\?",
    ):
        data.load("yeats")
    with pytest.raises(ManyLabelError, match="or give the path"):
        data.load("")


def test_path_that_cannot_be_read_is_refused(tmp_path, write):
    with pytest.raises(ManyLabelError, match=r"an existing file or folder, but got nothing there"):
        data.load(tmp_path / "nothing.npz")
    with pytest.raises(ManyLabelError, match=r"ends in \.npz, \.arff, .*, or a folder, but got \.csv"):
        data.load(write("table.csv", "1,2"))
    with pytest.raises(ManyLabelError, match="`data_dir`: expected an existing folder"):
        data.load("yeast", tmp_path / "nothing")


def test_bare_file_name_in_the_working_folder_is_a_path(tmp_path, small, monkeypatch):
    np.savez(tmp_path / "d.npz", X=small[0], y=small[1])
    monkeypatch.chdir(tmp_path)
    assert data.load("d.npz").name == "d"


def test_a_folder_named_like_a_known_data_set_is_pointed_at(tmp_path, small, monkeypatch):
    for name in ("digits", "mine"):
        (tmp_path / name).mkdir()
        np.savez(tmp_path / name / "data.npz", X=small[0], y=small[1])
    monkeypatch.chdir(tmp_path)
    told = "digits is the known data set of this name, not the folder here: give ./digits for that."
    assert data.load("digits").remarks[-1] == told
    assert len(data.load("./digits").label_names) == small[1].shape[1]
    assert not any("./mine" in remark for remark in data.load("mine", ".").remarks)
    monkeypatch.chdir("/")
    assert told not in data.load("digits").remarks


@pytest.mark.parametrize("name", ["yeast", "scene"])
def test_catalogue_sets_are_read_from_the_folder(shared_data, name):
    dataset = data.load(name, shared_data)
    assert "local copy" in dataset.source
    assert dataset.split.startswith("the published train and test files")
    arrays = np.load(shared_data / name / "data.npz")
    np.testing.assert_array_equal(dataset.train.X.values, arrays["X_train"])
    np.testing.assert_array_equal(dataset.test.Y.dense(), arrays["y_test"])
    assert dataset.label_names == tuple(arrays["label_names"])
    train, validation = data.split_validation(dataset, seed=0)
    assert len(train) + len(validation) == len(dataset.train)
    if name == "yeast":
        np.testing.assert_array_equal(validation.X.values, arrays["X_train"][arrays["val_rows"]])


@pytest.mark.parametrize(
    "name", ["cal500", "delicious", "stackex_cs", "rcv1_subset1", "miml_scenes", "goemotions"]
)
def test_every_kind_of_folder_is_read(shared_data, name):
    if not (shared_data / name).is_dir():
        pytest.skip(f"no {name} in {shared_data}")
    card = json.loads((shared_data / name / "card.json").read_text())
    dataset = data.load(name, shared_data)
    told = data.describe(dataset)
    assert len(dataset.train) == card["n_train"] + card.get("n_valid", 0)
    assert len(dataset.test) == card["n_test"]
    assert told["labels"] == card["n_labels"]
    assert told["test"]["labels_per_row"] == pytest.approx(card["test"]["mean_labels"], abs=1e-4)
    assert told["test"]["most_labels"] == card["test"]["max_labels"]
    assert json.loads(json.dumps(told)) == told


@pytest.mark.parametrize("name", LABELS_ONLY)
def test_labels_without_features_are_refused(shared_data, name):
    assert name not in data.names(shared_data)
    with pytest.raises(ManyLabelError, match="labels without features"):
        data.load(name, shared_data)


def test_description_of_a_small_set(tmp_path):
    X = np.arange(20.0).reshape(10, 2)
    Y = np.zeros((10, 3), dtype=int)
    Y[:6, 0], Y[:2, 1], Y[0, 2] = 1, 1, 1
    np.savez(
        tmp_path / "d.npz",
        X_train=X,
        y_train=Y,
        X_test=X[:2] + 100,
        y_test=Y[:2],
        label_names=["a", "b", "c"],
    )
    told = data.describe(data.load(tmp_path / "d.npz"))
    assert told["train"] == {"rows": 10, "labels_per_row": 0.9, "most_labels": 3, "without_labels": 0.4}
    assert told["most_frequent"] == {"a": 6, "b": 2, "c": 1}
    assert list(told["least_frequent"]) == ["c", "b", "a"]
    assert told["imbalance"] == 3
    assert told["features"] == "2 numbers"
    assert told["remarks"] == ["4 of 10 training rows carry no label."]


def test_rows_are_taken_by_position_or_mask(tmp_path, small):
    np.savez(tmp_path / "d.npz", X_train=small[0], y_train=small[1], X_test=small[0], y_test=small[1])
    rows = data.load(tmp_path / "d.npz").train
    some = rows.take([3, 3, 0])
    torch.testing.assert_close(some.X.values, rows.X.values[[3, 3, 0]])
    np.testing.assert_array_equal(some.Y.dense(), small[1][[3, 3, 0]])
    marked = np.zeros(12, dtype=bool)
    marked[[0, 3]] = True
    assert torch.equal(rows.take(marked).X.values, rows.X.values[[0, 3]])


@pytest.mark.parametrize("part", [slice(2, 5), slice(None, None, 3), slice(5, 1, -2), slice(3, 3)])
def test_rows_are_taken_by_slices(tmp_path, small, part):
    np.savez(tmp_path / "d.npz", X_train=small[0], y_train=small[1], X_test=small[0], y_test=small[1])
    rows = data.load(tmp_path / "d.npz").train
    some = rows.take(part)
    np.testing.assert_array_equal(some.X, np.asarray(rows.X)[part])
    np.testing.assert_array_equal(some.Y.dense(), small[1][part])


def test_import_brings_nothing_heavy():
    heavy = ("scipy", "sklearn", "kornia", "pooch", "arff", "matplotlib", "rich", "pandas")
    program = f"import sys, manylabel.data; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_a_table_with_named_labels_is_a_data_set_with_a_drawn_test_part(tmp_path):
    write_example(tmp_path / "places.csv", rows=120)
    found = data.load(tmp_path / "places.csv", labels="tags")
    assert (found.name, found.kind, found.label_names) == ("places", "table", TAGS)
    assert (len(found.train), len(found.test)) == (90, 30)
    assert found.split == "no published split: 25% of the rows are drawn label-stratified with seed 0"
    assert found.digest == data.load(str(tmp_path / "places.csv"), labels=["tags"]).digest
    assert "Tags were taken to be separated by the bar" in " ".join(found.remarks)
    whole = data.read_table(tmp_path / "places.csv", labels="tags")
    parts = sorted([*found.train.X.row_keys(), *found.test.X.row_keys()])
    assert parts == sorted(whole.X.row_keys())
    assert (
        found.train.Y.label_counts() + found.test.Y.label_counts()
    ).tolist() == whole.Y.label_counts().tolist()
    together = data.load(tmp_path / "places.csv", labels="tags", undivided=True)
    assert list(together.test.X.row_keys()) == list(whole.X.row_keys())


def test_labels_are_named_of_tables_alone(write):
    for source, got in (("yeast", "yeast, a known data set"), (write("t.npz", "x"), "t.npz")):
        with pytest.raises(ManyLabelError, match=f"{got}. A data set that is no table brings its labels"):
            data.load(source, labels="a")


def test_unknown_labels_of_a_table_stay_unknown(tmp_path):
    lines = ["n,a,b", *(f"{i}.5,{i % 2},{'' if i % 5 == 0 else i % 3 % 2}" for i in range(40))]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    found = data.load(tmp_path / "t.csv", labels=["a", "b"])
    assert found.train.Y.n_unknown + found.test.Y.n_unknown == 8


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "name the label columns with `labels`, which run, tune and fit take"),
        ("tagz", "Did you mean 'tags'"),
    ],
)
def test_a_table_without_its_labels_says_how_to_name_them(tmp_path, labels, message):
    write_example(tmp_path / "places.csv", rows=20)
    with pytest.raises(ManyLabelError, match=message):
        data.load(tmp_path / "places.csv", labels=labels)
