"""Where a training starts, for rows of every kind: from a trained model, and at the centroids of the labels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.methods.starting_rows import PLAIN, kinds, pictures, rows_of_npy, rows_of_svm, texts
from tests.methods.test_centroids import literal

from manylabel import ManyLabelError
from manylabel.data import Rows
from manylabel.data.rows import parts
from manylabel.labels import as_labels
from manylabel.methods import Predictor, get, start_from
from manylabel.methods.rows import DeviceRows

KINDS = ("pictures", "words", "tokens", "sparse", "npy", "svmlight")
STILL = {"classify.encoder_rate": 0, "classify.stage.lr": 1e-12}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Rows on disk stay there, and are read some 20 at a time."""
    monkeypatch.setattr(DeviceRows, "dense_bytes", 0)
    monkeypatch.setattr(parts, "BLOCK_BYTES", 20 * 12 * 4)


@pytest.mark.parametrize("name", KINDS)
def test_a_classifier_starts_at_the_literal_centroids(name, tmp_path):
    kind = kinds(tmp_path)[name]
    train, validation = (kind.rows(tmp_path, n, seed) for n, seed in ((90, 0), (30, 1)))
    settings = kind.settings | STILL | {"classify.start": "centroids"}
    model = get(kind.method, **settings).fit(train, validation)
    Y, H = train.Y.dense().numpy().astype(np.float64), model.embed(train.X).astype(np.float64)
    W, b = literal(H, Y, np.ones(Y.shape))
    classifier = model.scorer.classifier
    np.testing.assert_allclose(classifier.weight.detach().numpy(), W, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(classifier.bias.detach().numpy(), b, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("name", KINDS)
def test_a_trained_model_is_started_from_and_needed_no_more(name, tmp_path):
    kind = kinds(tmp_path)[name]
    train, validation, new = (kind.rows(tmp_path, n, seed) for n, seed in ((90, 0), (30, 1), (20, 2)))
    first = get(kind.method, **kind.settings).fit(train, validation)
    first.save(tmp_path / "first")
    start = start_from(tmp_path / "first", kind.method)
    views = {name: value for name, value in kind.settings.items() if "encoder" not in name}
    probe, tuned = (
        get("bce", **start, **(views | {"classify.encoder_rate": rate})).fit(train, validation)
        for rate in (0, 0.01)
    )
    assert np.array_equal(probe.embed(new.X), first.embed(new.X))
    apart = np.abs(tuned.embed(new.X) - first.embed(new.X)).max()
    assert 0 < apart < np.abs(first.embed(new.X)).max()
    tuned.save(tmp_path / "second")
    (tmp_path / "first").rename(tmp_path / "elsewhere")
    assert np.array_equal(Predictor.load(tmp_path / "second").scores(new.X), tuned.scores(new.X))


def test_sparse_rows_stay_lists_of_entries_behind_a_started_network(tmp_path):
    kind = kinds(tmp_path)["svmlight"]
    train = kind.rows(tmp_path, 60, 0)
    get("bce", **kind.settings, **{"inputs.scaling": "one"}).fit(train, train).save(tmp_path / "model")
    trainer = get("bce", **start_from(tmp_path / "model"), **PLAIN).trainers["vectors"]
    made = trainer.on_device(train, trainer.inputs(train)).X
    assert made.entries
    assert not torch.is_tensor(made[torch.arange(3)])


def test_a_model_of_other_rows_is_refused_before_training(tmp_path):
    models = kinds(tmp_path)
    for name in ("pictures", "words", "tokens", "npy", "svmlight"):
        rows = models[name].rows(tmp_path, 40, 0)
        get(models[name].method, **models[name].settings).fit(rows, rows).save(tmp_path / name)

    def refused(name: str, rows: Rows, match: str) -> None:
        told = []
        with pytest.raises(ManyLabelError, match=match):
            get("bce", **start_from(tmp_path / name), **PLAIN).fit(rows, rows, progress=told.append)
        assert told == []  # of no step

    refused(
        "pictures", texts(tmp_path, 40, 1), "expected a model of text, like the rows, but got one of images"
    )
    refused(
        "words", pictures(tmp_path, 40, 1), "expected a model of images, like the rows, but got one of text"
    )
    refused(
        "tokens", rows_of_npy(tmp_path, 40, 1), "expected a model of vectors, like the rows, but got one of"
    )
    refused(
        "pictures", pictures(tmp_path, 40, 1, (2, 16, 16)), "pictures of 3 channels, or grey ones, but got 2"
    )
    refused("npy", rows_of_npy(tmp_path, 40, 1, 9), r"expected rows of shape \(12,\), but got shape \(9,\)")
    refused(
        "svmlight", rows_of_svm(tmp_path, 40, 1, 9), r"expected rows of shape \(12,\), but got shape \(9,\)"
    )
    other = texts(tmp_path, 40, 1)
    fewer = Rows(other.X, as_labels(other.Y.dense()[:, 1:3]))
    probe = get("bce", **start_from(tmp_path / "words"), **PLAIN).fit(
        fewer, fewer
    )  # other labels are no obstacle
    assert probe.scores(other.X).shape == (40, 2)
