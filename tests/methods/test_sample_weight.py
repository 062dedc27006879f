"""Rows that carry weights: kept by every part, learnt from in proportion, refused where a method cannot."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from tests.methods.small_vectors import SMALL, STAGE
from tests.training.small_run import SETTINGS, rows

from manylabel import LabelMatrix, ManyLabelError
from manylabel.data import Rows
from manylabel.labels import as_labels
from manylabel.methods import get
from manylabel.methods.fingerprint import fingerprint
from manylabel.methods.rows import DeviceRows
from manylabel.models import fit_preprocessor

FULL = {
    "classify.stage.epochs": 20,
    "classify.stage.batch": 200,
    "classify.stage.lr": 0.01,
    "classify.stage.ema": None,
    "classify.stage.select": None,
}
LINEAR = FULL | {
    "vectors.encoder.widths": [8],
    "vectors.encoder.dropout": 0.0,
    "vectors.classify.views.mask": 0.0,
}
CONTRAST = SETTINGS | {"classify.stage.lr": 0.01}
SHORT = {k: v for k, v in CONTRAST.items() if "pretrain" not in k}


def weighted(part: Rows, weights) -> Rows:
    return Rows(part.X, part.Y, weights)


def test_rows_keep_their_weights():
    part = rows(6, 0)
    for weights in (np.arange(6.0), torch.rand(6, 4), [0, 1, 2, 3, 4, 5]):
        own = weighted(part, weights)
        assert own.weights.dtype == np.float32
        np.testing.assert_array_equal(own.weights, np.asarray(weights, np.float32))
        for taken in ([4, 0, 0], np.array([1, 0, 0, 0, 1, 1], bool), slice(1, 4), slice(None, None, -1)):
            index = np.asarray(taken) if isinstance(taken, list) else taken
            np.testing.assert_array_equal(own.take(taken).weights, own.weights[index])
    assert part.take([1]).weights is None
    given = np.ones(6, np.float32)
    own = weighted(part, given)
    given[0] = 7
    assert own.weights[0] == 1


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        (np.ones(5), r"Rows: expected weights of shape \(6,\) or \(6, 4\), but got \(5,\)"),
        (np.full(6, -1.0), "weights of finite numbers of at least 0, but got -1 to -1"),
        ([1, 1, 1, 1, 1, None], "Rows: expected weights"),
        (np.full(6, 1e300), "but got inf to inf"),
    ],
)
def test_bad_weights_are_refused_where_rows_are_made(weights, told):
    with pytest.raises(ManyLabelError, match=told):
        weighted(rows(6, 0), weights)


def test_batches_on_the_device_have_their_weights():
    part = weighted(rows(20, 0), np.arange(20.0))
    made = DeviceRows.of(part, fit_preprocessor(part.X))
    chosen = torch.tensor([3, 0, 19])
    assert made.weights_of(chosen).tolist() == [3, 0, 19]
    assert made.take(chosen).weights.tolist() == [3, 0, 19]
    assert DeviceRows.of(rows(20, 0), fit_preprocessor(part.X)).weights_of(chosen) is None


def test_weights_are_part_of_the_fingerprint():
    part = rows(20, 0)
    made = [part, *(weighted(part, w) for w in (np.ones(20), np.arange(20.0), np.ones((20, 4))))]
    assert len({fingerprint("", None, one) for one in made}) == 4


@pytest.mark.parametrize("wide", [False, True])
def test_rows_of_weight_0_are_left_out(wide):
    """Full batches of a network without noise: those rows might as well carry other labels."""
    part = rows(200, 0)
    keep = np.arange(200) < 120
    Y = part.Y.dense()
    Y[~keep] = 1 - Y[~keep]
    other = Rows(part.X, LabelMatrix.of(Y))
    weights = np.repeat(keep[:, None], 4, 1) if wide else keep
    made = [
        get("bce", **LINEAR).fit(weighted(p, weights.astype(float)), rows(40, 1)).scores(part.X.values)
        for p in (part, other)
    ]
    np.testing.assert_allclose(*made, atol=1e-6)
    plain = get("bce", **LINEAR).fit(other, rows(40, 1)).scores(part.X.values)
    assert np.abs(plain - made[0]).max() > 0.05


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("bce", SHORT),
        ("kmcl", SHORT),
        ("joint_mulsupcon", SHORT),
        ("mulsupcon", CONTRAST),
        ("reg", CONTRAST),
        ("mulsupcon", CONTRAST | {"classify.encoder_rate": 0.0, "vectors.classify.grid": {"heads": 1}}),
        ("bce", SHORT | {"members": 2}),
        ("logistic_regression", {}),
        ("extra_trees", {"parameters.n_estimators": 10}),
    ],
)
def test_methods_learn_by_weights(method, settings):
    part, validation = rows(100, 0), rows(40, 1)
    weights = np.where(np.arange(100) < 50, 5.0, 0.1)
    made = get(method, **settings)
    plain, alike, own = (
        made.fit(p, validation).scores(validation.X.values)
        for p in (part, weighted(part, np.ones(100)), weighted(part, weights))
    )
    np.testing.assert_allclose(plain, alike, atol=1e-5)
    assert np.abs(plain - own).max() > 1e-3


def test_weights_of_label_entries():
    part = rows(100, 0)
    weights = np.ones((100, 4), np.float32)
    weights[:60, 2] = 0
    hidden = part.Y.dense().masked_fill(torch.from_numpy(weights == 0), torch.nan)
    settings = LINEAR | {"classify.stage.batch": 100}
    own, unknown = (
        get("bce", **settings).fit(p, rows(40, 1)).scores(part.X.values)
        for p in (weighted(part, weights), Rows(part.X, as_labels(hidden)))
    )
    np.testing.assert_allclose(own, unknown, atol=1e-5)


def test_an_estimator_is_given_the_weights_of_the_rows_on_which_its_label_is_known():
    part, new = rows(200, 0), rows(30, 2)
    weights = np.random.default_rng(0).uniform(0, 2, 200) * (np.arange(200) % 5 > 0)
    Y = part.Y.dense()
    Y[:40, 1] = torch.nan
    own = Rows(part.X, as_labels(Y), weights)
    found = get("sklearn.linear_model.LogisticRegression").fit(own, rows(40, 1)).scores(new.X.values)
    counted = own.take(weights > 0)
    inputs = fit_preprocessor(counted.X)
    known = ~counted.Y.unknown.dense(torch.bool).numpy()[:, 1]
    X, y = inputs.matrix(counted.X, False)[known], counted.Y.dense().numpy()[known, 1].astype(int)
    alone = LogisticRegression().fit(X, y, sample_weight=counted.weights[known])
    np.testing.assert_allclose(found[:, 1], alone.predict_proba(inputs.matrix(new.X, False))[:, 1], atol=1e-5)


@pytest.mark.parametrize("method", ["logistic_regression", "extra_trees"])
def test_estimators_of_one_label_take_its_column_of_weights(method):
    part, validation, new = rows(100, 0), rows(40, 1), rows(30, 2)
    W = np.random.default_rng(0).integers(0, 3, (100, 4)).astype(np.float32)
    W[0] = 0  # a row that counts nowhere
    own = get(method).fit(weighted(part, W), validation).scores(new.X.values)
    counted = W.any(axis=1)
    inputs = fit_preprocessor(part.take(counted).X)
    for label in range(4):
        X = inputs.matrix(part.X, False)[W[:, label] > 0]
        y = part.Y.dense().numpy()[W[:, label] > 0, label].astype(int)
        estimator = clone(get(method).trainers["vectors"]._estimator({}, 0))
        alone = estimator.fit(X, y, sample_weight=W[W[:, label] > 0, label])
        p = alone.predict_proba(inputs.matrix(new.X, False))[:, 1]
        np.testing.assert_allclose(own[:, label], p, atol=1e-5)
    alike = get(method).fit(weighted(part, np.ones((100, 4))), validation).scores(new.X.values)
    assert np.abs(alike - own).max() > 1e-3


@pytest.mark.parametrize("method", SMALL)
def test_label_networks_refuse_weights(method):
    with pytest.raises(
        ManyLabelError, match=f"method {method}: expected rows that all count alike, .* Use bce"
    ):
        get(method, **(STAGE | SMALL[method])).fit(weighted(rows(60, 0), np.ones(60)), rows(20, 1))


@pytest.mark.parametrize(
    ("method", "weights", "told"),
    [
        ("sklearn.neighbors.KNeighborsClassifier", np.ones(60), "count alike for KNeighborsClassifier"),
        ("sklearn.neighbors.KNeighborsClassifier", np.ones((60, 4)), "count alike for KNeighborsClassifier"),
        ("classifier_chain", np.ones((60, 4)), r"weights of shape \(n,\), but got weights of entries"),
        ("bce", np.zeros(60), "a training row with a weight above 0"),
    ],
)
def test_methods_say_which_weights_they_cannot_use(method, weights, told):
    with pytest.raises(ManyLabelError, match=told):
        get(method).fit(weighted(rows(60, 0), weights), rows(20, 1))
