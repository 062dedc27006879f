"""Training on labels of which some entries are unknown: they are learnt from nowhere, and never from as zeros."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from tests.methods.small_vectors import SMALL, STAGE
from tests.training.small_run import SETTINGS, rows

from manylabel import ManyLabelError, metrics
from manylabel.data import Rows
from manylabel.labels import as_labels
from manylabel.methods import Predictor, get
from manylabel.methods.fingerprint import fingerprint
from manylabel.methods.label_network import mean_entropy
from manylabel.methods.rows import DeviceRows
from manylabel.models import fit_preprocessor
from manylabel.training.probe import ridge

GRID = {
    "classify.encoder_rate": 0.0,
    "classify.grid.rates": [1.0, 0.1],
    "classify.grid.weight_decays": [0.1, 1e-4],
    "classify.stage.lr": 0.1,
}
SHORT = {k: v for k, v in SETTINGS.items() if "pretrain" not in k}
CLASSIFY = {"classify.stage.epochs": 40, "classify.stage.lr": 0.01}


def hidden(part: Rows, share: float = 0.5, seed: int = 0, positives: bool = False) -> Rows:
    """The same rows, of whose label entries (or positives alone) a share is unknown."""
    Y = part.Y.dense()
    which = torch.rand(Y.shape, generator=torch.Generator().manual_seed(seed)) < share
    which = which & (Y > 0) if positives else which
    return Rows(part.X, as_labels(torch.where(which, torch.nan, Y)))


def score(scorer) -> float:
    new = rows(200, 2)
    return metrics.mean_average_precision(scorer.scores(new.X.values), new.Y)


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("bce", SHORT | CLASSIFY),
        ("kmcl", SHORT | CLASSIFY),
        ("lamp", STAGE | SMALL["lamp"]),
        ("mulsupcon", SETTINGS | CLASSIFY),
        ("mulsupcon", SETTINGS | CLASSIFY | {"pretrain.loss": {"unknown": "leave_out"}}),
        ("reg", SETTINGS | CLASSIFY),
        ("joint_mulsupcon", SHORT | CLASSIFY),
        ("mulsupcon", SETTINGS | GRID | {"pretrain.stage.epochs": 20, "classify.stage.epochs": 40}),
        ("logistic_regression", {}),
        ("extra_trees", {"parameters.n_estimators": 20, "labels": "one_vs_rest"}),
    ],
)
def test_methods_learn_from_what_is_known(method, settings):
    predictor = get(method, **settings).fit(hidden(rows(200, 0)), hidden(rows(40, 1), 0.3), seed=0)
    assert score(predictor) > 0.6  # chance is 0.33
    test = hidden(rows(200, 2), 0.3)
    known = test.Y.known().numpy()
    decided = predictor.predict(test.X.values)
    assert metrics.Counts.of(decided, test.Y).hamming_accuracy() == pytest.approx(
        (decided == rows(200, 2).Y.dense(torch.bool).numpy())[known].mean()
    )


def test_half_of_the_positives_unknown_is_not_half_of_them_absent():
    part, new = rows(300, 0), rows(200, 2)
    unknown = hidden(part, positives=True)
    absent = Rows(part.X, as_labels(unknown.Y.dense()))
    found = [
        get("bce", **(SHORT | CLASSIFY)).fit(p, rows(40, 1)).scores(new.X.values) for p in (unknown, absent)
    ]
    carried = new.Y.dense(torch.bool).numpy()
    of_unknown, of_absent = (scores[carried].mean() for scores in found)
    assert of_unknown > of_absent + 0.1


@pytest.mark.parametrize("method", ["mpvae", "cgmvae", "rbcc"])
def test_networks_that_take_whole_rows_of_labels_are_watched_on_known_entries(method):
    settings = STAGE | SMALL[method] | {"classify.stage.epochs": 2}
    told = []
    get(method, **settings).fit(rows(60, 0), hidden(rows(20, 1)), progress=told.append)
    monitors = [entry.monitor for entry in told if entry.monitor]
    assert monitors
    assert all(np.isfinite(list(monitor.values())).all() for monitor in monitors)


def test_a_monitor_of_scores_by_the_block(monkeypatch):
    train, validation = hidden(rows(60, 0)), hidden(rows(40, 1))
    found = []
    for most in (metrics.WHOLE_UP_TO, 0):
        monkeypatch.setattr(metrics, "WHOLE_UP_TO", most)
        told = []
        get("bce", **(SHORT | {"classify.stage.epochs": 2})).fit(train, validation, progress=told.append)
        found.append([entry.monitor for entry in told if entry.monitor][-1])
    assert found[1] == pytest.approx(found[0], rel=1e-5)


@pytest.mark.parametrize("part", ["train", "validation"])
def test_a_part_of_which_nothing_is_known_is_refused(part):
    parts = {"train": rows(60, 0), "validation": rows(20, 1)}
    Y = torch.vstack([parts[part].Y.dense(), torch.full(parts[part].Y.shape, torch.nan)])
    parts[part] = Rows(parts[part].X, as_labels(Y).take(slice(len(parts[part]), None)))
    with pytest.raises(ManyLabelError, match=f"method bce, {part}: expected labels some of which are known"):
        get("bce", **SHORT).fit(**parts)


@pytest.mark.parametrize("method", ["mpvae", "cgmvae", "rbcc"])
def test_networks_that_take_whole_rows_of_labels_refuse(method):
    with pytest.raises(
        ManyLabelError, match=rf"method {method}: expected rows whose labels are all known, .* Use bce"
    ):
        get(method, **(STAGE | SMALL[method])).fit(hidden(rows(60, 0)), rows(20, 1))


@pytest.mark.parametrize("labels", ["together", "chain"])
def test_estimators_of_all_labels_refuse(labels):
    method = get("sklearn.neighbors.KNeighborsClassifier", labels=labels)
    with pytest.raises(ManyLabelError, match='Set labels to "one_vs_rest"'):
        method.fit(hidden(rows(60, 0)), rows(20, 1))


def test_an_estimator_sees_the_rows_on_which_its_label_is_known():
    part, new = hidden(rows(200, 0)), rows(50, 2).X.values
    found = get("sklearn.linear_model.LogisticRegression").fit(part, rows(40, 1)).scores(new)
    Y, unknown = part.Y.dense().numpy(), part.Y.unknown.dense(torch.bool).numpy()
    inputs = fit_preprocessor(part.X)
    X, Z = inputs.matrix(part.X, False), inputs.matrix(rows(50, 2).X, False)
    for label in range(4):
        known = ~unknown[:, label]
        alone = LogisticRegression().fit(X[known], Y[known, label].astype(np.int64))
        np.testing.assert_allclose(found[:, label], alone.predict_proba(Z)[:, 1], atol=1e-5)


def test_a_label_that_is_nowhere_known_is_scored_as_absent():
    part = rows(100, 0)
    Y = part.Y.dense()
    Y[:, 2] = torch.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scorer = get("logistic_regression").fit(Rows(part.X, as_labels(Y)), rows(40, 1))
        assert not scorer.scores(rows(10, 2).X.values)[:, 2].any()


NEAR = {"encoder.widths": [8], "classify.stage.epochs": 2, "classify.stage.batch": 16}


def test_neighbours_vote_with_those_that_know_the_label(tmp_path):
    part, X = hidden(rows(60, 0), 0.6), rows(30, 2).X.values
    settings = NEAR | {"neighbours.k": 3, "neighbours.temperature": 0.5, "neighbours.weight": 0.4}
    scorer = get("bce", **settings).fit(part, rows(20, 1))
    alone = get("bce", **NEAR).fit(part, rows(20, 1)).scores(X)
    Y, known = part.Y.dense().numpy(), part.Y.known().numpy()
    unit = [m / np.linalg.norm(m, axis=1, keepdims=True) for m in standardised(part, X)]
    cosine = unit[1] @ unit[0].T
    votes, scores = scorer.scorer.votes(X), scorer.scores(X)
    silent = 0
    for i in range(30):
        nearest = np.argsort(-cosine[i])[:3]
        weights = np.exp(cosine[i, nearest] / 0.5)
        for label in range(4):
            asked = known[nearest, label]
            if not asked.any():
                silent += 1
                assert np.isnan(votes[i, label])
                assert scores[i, label] == pytest.approx(alone[i, label])
                continue
            vote = weights[asked] @ Y[nearest, label][asked] / weights[asked].sum()
            assert votes[i, label] == pytest.approx(vote, abs=1e-5)
            assert scores[i, label] == pytest.approx(0.6 * alone[i, label] + 0.4 * vote, abs=1e-5)
    assert silent
    scorer.save(tmp_path / "model")
    np.testing.assert_array_equal(Predictor.load(tmp_path / "model").scores(X), scores)


def standardised(part: Rows, X) -> list[np.ndarray]:
    known = np.asarray(part.X.values, dtype=np.float64)
    return [(np.asarray(m, dtype=np.float64) - known.mean(0)) / known.std(0) for m in (known, X)]


def test_the_validation_loss_is_that_of_known_entries():
    P = torch.rand(9, 4, generator=torch.Generator().manual_seed(0))
    part = hidden(rows(9, 0))
    known = part.Y.known()
    want = torch.nn.functional.binary_cross_entropy(P[known], part.Y.dense()[known])
    assert mean_entropy(P, part.Y) == pytest.approx(float(want))


def test_a_ridge_probe_learns_from_known_entries():
    part = hidden(rows(300, 0), positives=True)
    Z, Z_new = (torch.as_tensor(p.X.values).float() for p in (part, rows(200, 2)))
    found = ridge(Z, part.Y)(Z_new)
    assert metrics.mean_average_precision(found, rows(200, 2).Y) > 0.6
    unknown = part.Y.unknown.dense()
    base = part.Y.label_counts() / (1 - unknown).sum(0)
    filled = part.Y.dense() + unknown * base
    torch.testing.assert_close(found, ridge(Z, as_labels(filled))(Z_new), atol=1e-4, rtol=1e-4)


def test_what_is_unknown_is_part_of_the_fingerprint_and_stays_with_the_rows():
    part = rows(30, 0)
    one, other = hidden(part), hidden(part, positives=True)
    absent = Rows(part.X, as_labels(one.Y.dense()))
    assert len({fingerprint("", None, p) for p in (one, other, part, absent)}) == 4
    taken = one.take(np.array([4, 0, 4]))
    assert torch.equal(taken.Y.unknown.dense(), one.Y.unknown.dense()[[4, 0, 4]])
    resident = DeviceRows.of(one, fit_preprocessor(part.X))
    assert torch.equal(resident.Y.unknown.dense(), one.Y.unknown.dense())
