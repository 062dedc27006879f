"""A classifier that starts at the centroids of its labels."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from tests.training.stops import killed_after

from manylabel import ManyLabelError
from manylabel.data import Rows
from manylabel.labels import as_labels
from manylabel.methods import get
from manylabel.methods.centroids import SCALE, start_at_centroids
from manylabel.methods.rows import DeviceRows
from manylabel.models import MLP, Preprocessor, fit_preprocessor

N, N_FEATURES, N_LABELS = 40, 30, 5


def table(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features and labels of which the last is carried by no row."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(N, N_FEATURES)) * (rng.random((N, N_FEATURES)) < 0.4)
    Y = (rng.random((N, N_LABELS)) < 0.3).astype(float)
    Y[:, -1] = 0
    return X.astype(np.float32), Y


def started(X, Y, weights=None) -> tuple[torch.nn.Linear, np.ndarray]:
    """A classifier at the centroids, and the representations of the rows, (n, H) float64."""
    rows = Rows(X, as_labels(Y), weights)
    inputs = fit_preprocessor(rows.X, "one")
    torch.manual_seed(0)
    encoder, classifier = MLP(N_FEATURES, (12, 7), 0.5).train(), torch.nn.Linear(7, N_LABELS)
    start_at_centroids(classifier, encoder, inputs, DeviceRows.of(rows, inputs, entries=True))
    assert encoder.training
    x = inputs(inputs.dense(rows.X))
    return classifier, encoder.eval()(x).detach().numpy().astype(np.float64)


def literal(H: np.ndarray, Y: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights and biases, label by label and row by row; ``weights`` (n, n_labels), unknown entries NaN."""
    of_rows = weights.mean(1)
    mean = sum(w * h for w, h in zip(of_rows, H, strict=True)) / of_rows.sum()
    spread = np.sqrt(
        sum(w * ((h - mean) ** 2).sum() for w, h in zip(of_rows, H, strict=True)) / of_rows.sum()
    )
    W, b = np.zeros((Y.shape[1], H.shape[1])), np.zeros(Y.shape[1])
    for j in range(Y.shape[1]):
        known = [i for i in range(len(H)) if not np.isnan(Y[i, j])]
        present = sum(weights[i, j] * Y[i, j] for i in known)
        absent = sum(of_rows[i] for i in known) - present
        if present:
            away = sum(weights[i, j] * Y[i, j] * H[i] for i in known) / present - mean
            W[j] = SCALE / spread * away / np.linalg.norm(away)
        b[j] = np.log((present + 0.5) / (absent + 0.5)) - W[j] @ mean
    return W, b


def check(X, Y, weights=None) -> None:
    classifier, H = started(X, Y, weights)
    full = np.ones((N, N_LABELS)) if weights is None else np.asarray(weights, np.float64).reshape(N, -1)
    dense = Y.toarray() if sp.issparse(Y) else Y
    W, b = literal(H, dense, np.broadcast_to(full, (N, N_LABELS)))
    np.testing.assert_allclose(classifier.weight.detach().numpy(), W, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(classifier.bias.detach().numpy(), b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("sparse_labels", [False, True])
@pytest.mark.parametrize("sparse_rows", [False, True])
def test_weights_are_the_literal_centroids(sparse_rows, sparse_labels, monkeypatch) -> None:
    X, Y = table()
    if sparse_labels:
        monkeypatch.setattr(DeviceRows, "dense_label_bytes", 0)
        Y = sp.csr_matrix(Y)
    if sparse_rows:
        monkeypatch.setattr(DeviceRows, "dense_bytes", 0)
    check(sp.csr_matrix(X) if sparse_rows else X, Y)


@pytest.mark.parametrize("most", [0, 2**25])
def test_unknown_entries_count_for_nothing_and_soft_ones_by_their_value(most, monkeypatch) -> None:
    monkeypatch.setattr(DeviceRows, "dense_label_bytes", most)
    X, Y = table(1)
    rng = np.random.default_rng(2)
    check(X, Y * rng.random(Y.shape))
    Y[rng.random(Y.shape) < 0.2] = np.nan
    check(X, Y)


@pytest.mark.parametrize("most", [0, 2**25])
@pytest.mark.parametrize("shape", [(N,), (N, N_LABELS)])
def test_rows_and_entries_count_as_their_weights_say(shape, most, monkeypatch) -> None:
    monkeypatch.setattr(DeviceRows, "dense_label_bytes", most)
    X, Y = table(3)
    weights = np.random.default_rng(4).integers(0, 4, shape).astype(np.float32)
    check(X, Y, weights)


def test_rows_are_taken_a_piece_at_a_time(monkeypatch) -> None:
    X, Y = table(5)
    whole, _ = started(X, Y)
    monkeypatch.setattr(Preprocessor, "block", 7)
    pieces, _ = started(X, Y)
    torch.testing.assert_close(pieces.weight, whole.weight, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(pieces.bias, whole.bias, rtol=1e-4, atol=1e-4)


def test_a_label_that_all_rows_carry_has_no_direction() -> None:
    X, Y = table(6)
    Y[:, 0] = 1
    classifier, _ = started(X, Y)
    lengths = classifier.weight.detach().norm(dim=1)
    assert lengths[0] < 0.01 * lengths[1]
    assert lengths[-1] == 0


MANY = 2000


def many(n: int, seed: int) -> Rows:
    """Rows with 3 of very many labels, each told by 6 features of its own."""
    own = np.random.default_rng(0).integers(400, size=(MANY, 6))
    labels = np.random.default_rng(seed).integers(MANY, size=(n, 3))
    row = np.repeat(np.arange(n), 18)
    X = sp.csr_matrix((np.ones(18 * n, np.float32), (row, own[labels].ravel())), shape=(n, 400))
    X.data[:] = 1
    Y = sp.csr_matrix((np.ones(3 * n), (np.repeat(np.arange(n), 3), labels.ravel())), shape=(n, MANY)) > 0
    return Rows(X, as_labels(Y))


FEW_STEPS = {
    "encoder.widths": [64],
    "encoder.dropout": 0,
    "classify.views.mask": 0,
    "classify.stage.epochs": 1,
    "classify.stage.lr": 1e-3,
    "classify.negatives": 200,
}


def test_one_epoch_tells_more_of_very_many_labels_than_from_random_weights() -> None:
    test, found = many(300, 3), {}
    for start in ("random", "centroids"):
        model = get("bce", **FEW_STEPS, **{"classify.start": start}).fit(many(3000, 1), many(200, 2), seed=0)
        found[start] = float(model.scores(test.X, top=1).carried(test.Y).mean())
    assert found["centroids"] > found["random"] + 0.2


@pytest.mark.parametrize(("method", "steps"), [("bce", 9), ("mulsupcon", 5), ("mulsupcon", 14)])
def test_a_run_that_was_killed_ends_as_if_never_killed(method, steps, tmp_path) -> None:
    settings = FEW_STEPS | {"classify.start": "centroids", "classify.stage.epochs": 2}
    if method == "mulsupcon":
        settings |= {"pretrain.stage.epochs": 2, "pretrain.stage.batch": 64}
    fit = get(method, **settings).fit
    with killed_after(steps):
        fit(many(320, 1), many(60, 2), seed=1, folder=tmp_path)
    resumed = fit(many(320, 1), many(60, 2), seed=1, folder=tmp_path)
    whole = fit(many(320, 1), many(60, 2), seed=1)
    for name, tensor in whole.scorer.module.state_dict().items():
        assert torch.equal(resumed.scorer.module.state_dict()[name], tensor), name


@pytest.mark.parametrize(
    ("method", "more"),
    [("kmcl", {}), ("mulsupcon", {"classify.grid": {}, "classify.encoder_rate": 0})],
)
def test_what_has_no_such_classifier_refuses_it(method, more) -> None:
    with pytest.raises(ManyLabelError, match=r"classify\.start"):
        get(method, **{"classify.start": "centroids"}, **more)
