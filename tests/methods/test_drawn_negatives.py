"""Very many labels and sparse features: labels drawn for the loss, rows as entries, the highest scores of each row."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from manylabel import ManyLabelError, losses
from manylabel.data import Rows
from manylabel.labels import as_labels
from manylabel.methods import contrastive, get, logit
from manylabel.methods.classifier_stage import new_classifier
from manylabel.methods.contrastive_term import own_labels
from manylabel.methods.recipe import ClassifySettings
from manylabel.methods.rows import DeviceRows
from manylabel.models import MLP, ResidualMLP, fit_preprocessor
from manylabel.models.inputs import EntryBatch, by_columns

N_LABELS, N_FEATURES = 60, 80
STILL = {  # nothing is drawn but the order of the rows
    "vectors.encoder.widths": [16, 8],
    "encoder.dropout": 0,
    "classify.views.mask": 0,
    "classify.stage.epochs": 3,
    "classify.stage.batch": 16,
}


def sparse(n: int, seed: int) -> Rows:
    """Row i carries label c where it has feature c, of its first 60."""
    X = sp.random(n, N_FEATURES, 0.08, format="csr", dtype=np.float32, random_state=seed)
    return Rows(X, as_labels(sp.csr_matrix(X[:, :N_LABELS] > 0)))


def entries_of(rows: Rows, monkeypatch: pytest.MonkeyPatch, **settings: object):
    """The same rows dense and as entries."""
    inputs = fit_preprocessor(rows.X, "one")
    dense = DeviceRows.of(rows, inputs)
    monkeypatch.setattr(DeviceRows, "dense_bytes", 0)
    return dense, DeviceRows.of(rows, inputs, entries=True)


@pytest.mark.parametrize("network", [MLP, ResidualMLP])
def test_networks_make_of_entries_what_they_make_of_dense_rows(network, monkeypatch) -> None:
    dense, kept = entries_of(sparse(50, 0), monkeypatch)
    torch.manual_seed(0)
    encoder, rows = network(N_FEATURES, (12, 7), 0.0), torch.tensor([3, 49, 3, 0])
    batch = kept.X[rows]
    assert isinstance(batch, EntryBatch)
    gradients = []
    laid = copy.deepcopy(encoder)
    by_columns(laid.first)
    weight = laid.first.weight
    assert weight.T.contiguous().data_ptr() == weight.data_ptr()  # no copy
    for each, x in ((encoder, dense.X[rows]), (encoder, batch), (laid, batch)):
        each.zero_grad()
        out = each(x)
        (out * torch.arange(out.numel()).view_as(out)).sum().backward()
        gradients.append([out.detach(), *(p.grad.clone() for p in each.parameters())])
    for one, other, third in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
        assert torch.equal(other, third)
    assert gradients[2][1].stride() == weight.stride()


def test_entries_are_cut_repeated_and_masked_as_rows(monkeypatch) -> None:
    dense, kept = entries_of(sparse(30, 1), monkeypatch)
    rows = torch.arange(10)
    layer = torch.nn.Linear(N_FEATURES, 5)
    x, batch = dense.X[rows], kept.X[rows]
    assert len(batch) == 10
    cases = [(x[2:6], batch[2:6]), (x.repeat(2, 1), batch.repeat(2, 1)), (x[:0], batch[:0])]
    for one, other in [*cases, (x.repeat(2, 1)[10:], batch.repeat(2, 1)[10:])]:
        torch.testing.assert_close(other.through(layer), layer(one))
    masked = batch.masked(0.5)
    assert 0.2 < float((masked.values == 0).float().mean()) < 0.8
    assert torch.equal(masked.values[masked.values != 0], batch.values[masked.values != 0])


@pytest.mark.parametrize("method", ["bce", "mulsupcon"])
def test_training_on_entries_is_training_on_dense_rows(method, monkeypatch) -> None:
    settings = STILL | {"vectors.inputs.scaling": "one"}
    if method == "mulsupcon":
        settings |= {"pretrain.stage.epochs": 2, "pretrain.views.mask": 0, "pretrain.head": "plain"}
    scores = []
    for most in (2**28, 0):
        monkeypatch.setattr(DeviceRows, "dense_bytes", most)
        model = get(method, **settings).fit(sparse(120, 0), sparse(40, 1), seed=1)
        scores.append(model.scores(sparse(30, 2).X))
        assert all(p.is_contiguous() for p in model.scorer.encoder.parameters())
    assert scores[0].std() > 0
    np.testing.assert_allclose(*scores, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("method", ["bce", "asl", "zlpr", "twoway", "joint_mulsupcon"])
def test_where_all_labels_are_drawn_training_is_that_on_all(method, monkeypatch) -> None:
    monkeypatch.setattr(DeviceRows, "dense_label_bytes", 0)  # as very many labels are kept
    settings = STILL | {"vectors.encoder.widths": [8]}
    for family in (logit, contrastive):  # which would start elsewhere where labels are drawn
        monkeypatch.setattr(family, "new_classifier", lambda size, Y, _: torch.nn.Linear(size, Y.n_labels))
    if method == "joint_mulsupcon":
        settings |= {"contrast.head": "plain"}  # the other one has a dropout
    models = [
        get(method, **settings, **more).fit(sparse(60, 0), sparse(30, 1), seed=1)
        for more in ({}, {"classify.negatives": N_LABELS})
    ]
    scores = [model.scores(sparse(30, 2).X) for model in models]
    np.testing.assert_allclose(*scores, rtol=2e-2, atol=2e-3)


def test_few_labels_drawn_learn_and_are_monitored_by_the_highest_scores(tmp_path) -> None:
    told = []
    settings = STILL | {"classify.negatives": 5, "classify.stage.epochs": 25, "classify.stage.lr": 0.02}
    made = get("bce", **settings, **{"classify.stage.select": "precision_at_1"})
    model = made.fit(sparse(400, 0), sparse(60, 1), seed=1, progress=told.append)
    monitored = told[-1].monitor
    assert {"loss", "precision_at_1", "precision_at_5"} <= monitored.keys()
    assert "map" not in monitored
    test = sparse(100, 2)
    top = model.scores(test.X, top=3)
    assert float(top.carried(test.Y)[:, 0].mean()) > 0.25  # a row carries 5 of 60
    np.testing.assert_array_equal(top.labels, np.argsort(-model.scores(test.X), 1, kind="stable")[:, :3])


def test_a_classifier_of_drawn_labels_starts_at_their_shares() -> None:
    Y = sparse(200, 0).Y
    drawn, all_labels = (ClassifySettings(stage={"epochs": 1}, negatives=n) for n in (5, None))
    classifier = new_classifier(3, Y, drawn)
    torch.testing.assert_close(torch.sigmoid(classifier.bias.detach()), (Y.label_counts() + 0.5) / 201)
    assert float(new_classifier(3, Y, all_labels).bias.detach().abs().max()) < 1


def test_pretraining_is_monitored_by_the_highest_scores_too(monkeypatch) -> None:
    monkeypatch.setattr(contrastive, "_MOST_PROBED", 50)
    told = []
    more = {"classify.negatives": 20, "pretrain.stage.epochs": 2, "pretrain.stage.select": "precision_at_1"}
    get("mulsupcon", **STILL, **more).fit(sparse(120, 0), sparse(60, 1), seed=1, progress=told.append)
    monitored = next(each.record["monitor"] for each in told if each.record is not None)
    assert {"precision_at_1", "precision_at_5"} <= monitored.keys()
    assert "map" not in monitored
    assert 0 < monitored["precision_at_5"] < 1


def test_the_highest_scores_of_no_rows_and_of_a_bad_number() -> None:
    model = get("bce", **STILL).fit(sparse(40, 0), sparse(20, 1), seed=1)
    assert model.scores(sparse(20, 1).X.take(slice(0, 0)), top=4).labels.shape == (0, 4)
    for bad in (0, N_LABELS + 1, 2.5, True):
        with pytest.raises(ManyLabelError, match="from 1 to the number of labels"):
            model.scores(sparse(20, 1).X, top=bad)


def test_contrast_needs_only_the_labels_of_its_batch() -> None:
    Y = as_labels(sp.random(20, 5000, 0.001, format="csr", random_state=0) > 0).sparse()
    own = own_labels(Y)
    assert own.n_labels < 150
    z = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
    for name in ("mulsupcon", "all", "any", "mulsupcon_weighted", "jaccard"):
        loss = losses.get(name)
        torch.testing.assert_close(loss(z, own), loss(z, Y))


@pytest.mark.parametrize(
    ("method", "more"), [("kmcl", {}), ("mulsupcon", {"classify.grid": {}, "classify.encoder_rate": 0})]
)
def test_what_scores_all_labels_draws_none(method, more) -> None:
    with pytest.raises(ManyLabelError, match=r"classify\.negatives"):
        get(method, **{"classify.negatives": 5}, **more)


def test_all_columns_of_sparse_rows_are_kept_where_that_is_asked_for() -> None:
    X = sp.random(30, 10_050, 0.01, format="csr", dtype=np.float32, random_state=0)
    usual, all_kept = fit_preprocessor(X), fit_preprocessor(X, most_features=20_000)
    assert (usual.shape, all_kept.shape) == ((10_000,), (10_050,))
    assert float(all_kept.mean.abs().max()) == 0
    assert float(all_kept.scale[0]) == pytest.approx(float((X.data**2).sum() / (30 * 10_050)) ** 0.5)
    few = get("bce", **STILL, **{"vectors.inputs.most_features": 40})
    assert few.fit(sparse(40, 0), sparse(20, 1)).scores(sparse(5, 2).X).shape == (5, N_LABELS)
    with pytest.raises(ManyLabelError, match="most_features"):
        get("bce", **{"images.inputs.most_features": 40}).recipe.resolve("images")


def test_three_labels_may_be_drawn_from() -> None:
    rows = Rows(sparse(60, 0).X, sparse(60, 0).Y.select_labels(torch.arange(3)))
    settings = STILL | {"classify.negatives": 1}
    scores = get("bce", **settings).fit(rows.take(slice(0, 40)), rows.take(slice(40, 60))).scores(rows.X)
    assert scores.shape == (60, 3)
