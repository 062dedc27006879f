"""A person with texts and an encoder: fit and predict through it, embed once, run on the vectors."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

import manylabel
from manylabel import ManyLabelError, data
from manylabel.models.frozen import base
from text_encoders import bert_folder, static_folder, themed_texts

TEXTS, Y = themed_texts(90)
NAMES = ("cat", "dog", "sea", "sun")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANYLABEL_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """A table of plots, with tags, a number and a name for each."""
    with open(tmp_path / "films.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["film", "plot", "tags"])
        for i, (text, row) in enumerate(zip(TEXTS, Y, strict=True)):
            tags = "|".join(name for name, carried in zip(NAMES, row, strict=True) if carried)
            writer.writerow([f"film {i}", text, tags])
    return tmp_path / "films.csv"


def test_a_table_is_fitted_and_predicted_through_an_encoder(films, tmp_path, shell):
    folder = static_folder(tmp_path / "static")
    words = ("--labels", "tags", "--text", "plot", "--column", "film=skip", "--method", "logistic_regression")
    code, _, errors = shell("fit", films, *words, "--encoder", folder, "--out", "model")
    assert code == 0, errors
    code, _, errors = shell("predict", "model", films, "--out", "p.csv", "--id", "film", "--probabilities")
    assert code == 0, errors
    with open("p.csv", newline="") as file:
        rows = [*csv.reader(file)]
    assert len(rows) == 91
    loaded = manylabel.MultiLabelClassifier.load("model")
    X = data.read_table(films, columns={"plot": "text", "film": "skip", "tags": "skip"}).X
    np.testing.assert_allclose(np.array(rows[1:])[:, -4:].astype(float), loaded.predict_proba(X), atol=1e-4)


def test_texts_without_labels_are_embedded_in_their_order_and_read_the_next_time(
    films, tmp_path, shell, monkeypatch
):
    folder = bert_folder(tmp_path / "bert")
    words = ("--text", "plot", "--column", "film=skip", "--column", "tags=skip", "--id", "film")
    code, output, errors = shell(
        "embed", films, *words, "--encoder", folder, "--set", "length=8", "--out", "z.npz"
    )
    assert code == 0, errors
    assert "90 rows of 16 numbers" in output
    with np.load("z.npz") as found:
        assert found["identifiers"].tolist() == [f"film {i}" for i in range(90)]
        np.testing.assert_array_equal(found["embeddings"], manylabel.embed(TEXTS, str(folder), length=8))
    computed = base.FrozenEncoder.blocks
    monkeypatch.setattr(
        "manylabel.models.frozen.network.TextNetwork.blocks", computed
    )  # abstract: gives nothing
    assert (
        shell("embed", films, *words, "--encoder", folder, "--set", "length=8", "--out", "again.npz")[0] == 0
    )
    assert Path("again.npz").read_bytes() == Path("z.npz").read_bytes()


def test_texts_of_a_folder_of_parts_are_those_of_one_file(films, tmp_path, shell):
    pq = pytest.importorskip("pyarrow.parquet")
    from pyarrow import csv as arrow

    folder, whole = static_folder(tmp_path / "static"), arrow.read_csv(films)
    (tmp_path / "films.parquet").mkdir()
    for i, part in enumerate((whole[:50], whole[50:])):
        pq.write_table(part, tmp_path / "films.parquet" / f"part-{i}.parquet")
    for source, out in ((films, "one.npy"), (tmp_path / "films.parquet", "two.npy")):
        code, _, errors = shell("embed", source, "--text", "plot", "--column", "film=skip", "--column", "tags=skip",
                                "--encoder", folder, "--out", out)  # fmt: skip
        assert code == 0, errors
    np.testing.assert_array_equal(np.load("one.npy"), np.load("two.npy"))


def test_a_data_set_of_texts_becomes_one_of_vectors_on_which_methods_run(films, tmp_path, shell):
    folder = static_folder(tmp_path / "static")
    words = ("--labels", "tags", "--encoder", folder, "--out", "vectors.npz")
    code, _, errors = shell("embed", films, *words)
    assert code == 0, errors
    found = data.load("./vectors.npz")
    texts = data.load(films, labels="tags")
    assert found.label_names == texts.label_names
    assert np.array_equal(found.test.Y.dense(), texts.test.Y.dense())
    assert np.array_equal(found.test.X, manylabel.embed(texts.test.X, str(folder)))
    code, _, errors = shell(
        "run", "./vectors.npz", "--methods", "logistic_regression", "--seeds", "1", "--out", "runs"
    )
    assert code == 0, errors


def test_embed_says_what_it_cannot_use(films, tmp_path, shell):
    folder = static_folder(tmp_path / "static")
    for words, message in (
        ((films, "--encoder", "none/such/one", "--out", "z.npy"), "expected the folder of an encoder"),
        ((films, "other.csv", "--encoder", folder), "expected one source of rows beside --encoder"),
        ((films, "--labels", "tags", "--encoder", folder, "--out", "z.npy"), "which ends in .npz"),
        ((films, "--encoder", folder, "--set", "pool=mean", "--out", "z.npy"), "a setting of an encoder"),
        ((films,), "expected a model and a file"),
    ):
        code, _, errors = shell("embed", *words)
        assert code == 2
        assert message in errors, errors
    with pytest.raises(ManyLabelError, match="rows of texts or pictures"):
        manylabel.embed(np.ones((3, 2)), str(folder))
