"""Rows made ready: sparse ones and texts give what dense ones give, whichever way they are kept."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from tests.methods.small_vectors import SMALL, STAGE
from tests.training.small_run import SETTINGS

from manylabel import LabelMatrix, metrics
from manylabel.data import Rows
from manylabel.labels import SparseLabels
from manylabel.methods import Predictor, get
from manylabel.methods.rows import DeviceRows, SparseRows, label_dtype
from manylabel.models import fit_preprocessor

WORDS = ("sea", "wind", "rock", "sand", "tree", "leaf", "fox", "owl", "rain", "snow")


def sparse_rows(n=60, seed=0):
    X = sp.random(n, 12, 0.4, format="csr", dtype=np.float32, random_state=seed)
    return Rows(X, LabelMatrix.of((X.toarray()[:, :3] > 0.2).astype(np.uint8)))


def texts(n, seed):
    """Texts of six words; label c says whether word c occurs."""
    rng = np.random.default_rng(seed)
    drawn = [rng.choice(WORDS, 6) for _ in range(n)]
    Y = np.array([[word in row for word in WORDS[:4]] for row in drawn], dtype=np.uint8)
    return Rows([" ".join(row) for row in drawn], LabelMatrix.of(Y))


def both(rows, monkeypatch):
    """The same rows kept dense and kept sparse."""
    inputs = fit_preprocessor(rows.X)
    dense = DeviceRows.of(rows, inputs)
    monkeypatch.setattr("manylabel.methods.rows._DENSE_UP_TO", 0)
    kept = DeviceRows.of(rows, inputs)
    assert isinstance(kept.X, SparseRows)
    return dense, kept


@pytest.mark.parametrize("make", [sparse_rows, lambda: texts(60, 0)])
def test_sparse_rows_are_the_dense_ones_wherever_they_are_asked_for(make, monkeypatch):
    dense, kept = both(make(), monkeypatch)
    rows = torch.tensor([7, 0, 59, 7, 13])
    assert kept.X.shape == dense.X.shape
    assert torch.equal(kept.X[rows], dense.X[rows])
    assert torch.equal(torch.cat(list(kept.parts(16))), dense.X)
    assert torch.equal(kept.take(rows).X[torch.arange(5)], dense.take(rows).X)
    assert torch.equal(kept.take(rows).Y.dense(), dense.take(rows).Y.dense())


def test_a_row_without_entries_is_standardised_too(monkeypatch):
    rows = Rows(
        sp.csr_matrix(np.array([[0, 0], [1, 2], [0, 0]], dtype=np.float32)), LabelMatrix.of(np.eye(3))
    )
    dense, kept = both(rows, monkeypatch)
    assert torch.equal(kept.X[torch.arange(3)], dense.X)


@pytest.mark.parametrize("method", ["bce", "mulsupcon", "rbcc"])
def test_training_does_not_depend_on_how_rows_are_kept(method, monkeypatch):
    settings = STAGE | SMALL["rbcc"] if method == "rbcc" else SETTINGS
    if method == "bce":
        settings = {name: value for name, value in settings.items() if "pretrain" not in name}
    masked = {"classify.views.mask": 0.2}
    scores = []
    for most in (2**28, 0):
        monkeypatch.setattr("manylabel.methods.rows._DENSE_UP_TO", most)
        scorer = get(method, **(settings | masked)).fit(sparse_rows(120, 0), sparse_rows(40, 1), seed=1)
        scores.append(scorer.scores(sparse_rows(30, 2).X))
    np.testing.assert_array_equal(*scores)


@pytest.mark.parametrize("method", ["bce", "mulsupcon", "lamp", "rbcc"])
def test_training_does_not_depend_on_how_labels_are_kept(method, monkeypatch):
    settings = STAGE | SMALL[method] if method in SMALL else SETTINGS
    if method == "bce":
        settings = {name: value for name, value in settings.items() if "pretrain" not in name}
    scores = []
    for most in (2**25, 0):
        monkeypatch.setattr("manylabel.methods.rows._DENSE_LABELS_UP_TO", most)
        scorer = get(method, **settings).fit(sparse_rows(120, 0), sparse_rows(40, 1), seed=1)
        scores.append(scorer.scores(sparse_rows(30, 2).X))
    np.testing.assert_allclose(*scores, atol=1e-5)


@pytest.mark.parametrize("soft", [False, True])
def test_many_labels_stay_lists(soft, monkeypatch):
    rows = sparse_rows()
    if soft:
        rows = Rows(rows.X, LabelMatrix.of(rows.Y.dense() / 2))
    monkeypatch.setattr("manylabel.methods.rows._DENSE_LABELS_UP_TO", 0)
    kept, some = DeviceRows.of(rows, fit_preprocessor(rows.X)).Y, torch.tensor([7, 0, 59, 7])
    assert isinstance(kept, SparseLabels)
    assert label_dtype(kept) == (torch.float32 if soft else torch.uint8)
    assert torch.equal(kept.take(some).dense(), rows.Y.dense()[some])


@pytest.mark.parametrize("method", ["bce", "lamp"])
def test_texts_are_learnt_and_a_saved_scorer_scores_raw_texts(method, tmp_path):
    own = SMALL["lamp"] if method == "lamp" else {"vectors.encoder.widths": [16]}
    train, validation, new = texts(200, 0), texts(40, 1), texts(80, 2)
    scorer = get(method, **(STAGE | own)).fit(train, validation, seed=0)
    scores = scorer.scores(new.X)
    assert metrics.mean_average_precision(scores, new.Y) > 0.9
    scorer.save(tmp_path / "model")
    again = Predictor.load(tmp_path / "model")
    assert np.array_equal(again.scores(new.X), scores)
    assert again.embed(new.X).shape == scorer.embed(new.X).shape
    assert np.isfinite(again.scores(["", "words never seen"])).all()
