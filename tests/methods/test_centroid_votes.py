"""Centroids of labels beside a method: what they say, how it is averaged, how it is kept."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.preprocessing import normalize
from tests.training.small_run import rows

from manylabel import MultiLabelClassifier, methods
from manylabel.data import Rows
from manylabel.errors import ManyLabelError
from manylabel.labels import as_labels
from manylabel.methods import centroid_votes
from manylabel.methods.centroid_votes import CentroidScorer

TINY = {"encoder.widths": [8], "classify.stage.epochs": 2, "classify.stage.batch": 16}
CENTROIDS = TINY | {"neighbours.among": "centroids"}


def counts(n, seed):
    """Sparse counts, some of them above 1, of which the first four tell the labels."""
    generator = torch.Generator().manual_seed(seed)
    X = (torch.rand(n, 12, generator=generator) < 0.4) * torch.randint(1, 4, (n, 12), generator=generator)
    return Rows(sp.csr_matrix(X.float().numpy()), as_labels(X[:, :4] > 0))


def fit(train, **settings):
    return methods.get("bce", **(CENTROIDS | settings)).fit(train, train.take(range(20)))


def cosines(train, new, Y):
    """Of standardised rows with the sums of unit rows, by hand in float64; negative ones are 0."""
    known, X = (np.asarray(each, dtype=np.float64) for each in (train, new))
    mean, scale = known.mean(0), known.std(0)
    known, X = normalize((known - mean) / scale), normalize((X - mean) / scale)
    return np.clip(X @ normalize(Y.T @ known).T, 0, 1)


def test_dense_rows_are_compared_with_the_sum_of_the_standardised_rows_of_each_label():
    train, X = rows(100, 0), rows(30, 2).X.values
    found = fit(train).scorer.votes(X)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, cosines(train.X.values, X, train.Y.dense().numpy()), atol=1e-5)


def test_sparse_counts_are_compared_by_tfidf():
    train, new = counts(100, 0), counts(30, 2)
    weighting = TfidfTransformer(sublinear_tf=True).fit(train.X.values)
    sums = normalize(train.Y.dense().numpy().T @ weighting.transform(train.X.values).toarray())
    expected = weighting.transform(new.X.values).toarray() @ sums.T
    np.testing.assert_allclose(fit(train).scorer.votes(new.X.values), expected, atol=1e-5)


def test_all_columns_of_sparse_rows_count_also_where_a_network_keeps_fewer():
    train, new = counts(100, 0), counts(30, 2)
    few = fit(train, **{"inputs.most_features": 5})
    np.testing.assert_array_equal(few.scorer.votes(new.X.values), fit(train).scorer.votes(new.X.values))


@pytest.mark.parametrize("make", [rows, counts])
def test_rows_are_summed_up_block_by_block(make, monkeypatch):
    train, X = make(100, 0), make(30, 2).X.values
    train = Rows(train.X, train.Y, np.linspace(0.5, 2, 100))
    whole = fit(train).scorer.votes(X)
    monkeypatch.setattr(centroid_votes, "_ROWS", 30)
    np.testing.assert_allclose(fit(train).scorer.votes(X), whole, atol=1e-6)


def test_rows_and_entries_count_by_their_weights():
    train, X = rows(100, 0), rows(30, 2).X.values
    of_rows = np.random.default_rng(0).uniform(0.1, 2, 100).astype(np.float32)
    Y = train.Y.dense().numpy()
    for weights, counted in (
        (of_rows, of_rows[:, None]),
        (of_rows[:, None] * np.ones_like(Y), of_rows[:, None]),
    ):
        model = fit(Rows(train.X.values, train.Y, weights))
        np.testing.assert_allclose(model.scorer.votes(X), cosines(train.X.values, X, Y * counted), atol=1e-5)


def test_unknown_entries_do_not_count_and_labels_without_rows_get_nothing():
    train, X = rows(100, 0), rows(30, 2).X.values
    Y = train.Y.dense().float()
    Y[:50, 0] = torch.nan
    Y[:, 1] = 0
    found = fit(Rows(train.X.values, as_labels(Y))).scorer.votes(X)
    np.testing.assert_allclose(found, cosines(train.X.values, X, np.nan_to_num(Y.numpy())), atol=1e-5)
    assert not found[:, 1].any()


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_scores_are_the_weighted_mean_of_the_method_and_the_centroids(weight):
    train, X = rows(100, 0), rows(30, 2).X.values
    model = fit(train, **{"neighbours.weight": weight})
    alone = methods.get("bce", **TINY).fit(train, train.take(range(20)))
    expected = (1 - weight) * alone.scores(X) + weight * model.scorer.votes(X)
    np.testing.assert_allclose(model.scores(X), expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(model.embed(X), alone.embed(X))
    assert model.scores(X[:0]).shape == (0, train.Y.n_labels)


@pytest.mark.parametrize("make", [rows, counts])
@pytest.mark.parametrize("method", ["bce", "neighbour_votes"])
def test_a_saved_model_scores_the_same_and_its_highest_are_those_of_all_scores(tmp_path, make, method):
    settings = CENTROIDS if method == "bce" else {"among": "centroids"}
    train, X = make(100, 0), make(30, 2).X.values
    model = methods.get(method, **settings).fit(train, train.take(range(20)))
    model.save(tmp_path / "model")
    again = methods.Predictor.load(tmp_path / "model")
    assert isinstance(again.scorer, CentroidScorer)
    scores = model.scores(X)
    np.testing.assert_array_equal(again.scores(X), scores)
    top = model.scores(X, top=2)
    np.testing.assert_array_equal(top.values, -np.sort(-scores, axis=1)[:, :2])


def test_pictures_are_compared_by_their_representation():
    generator = torch.Generator().manual_seed(0)
    Y = torch.eye(4).repeat(10, 1)
    bright = torch.kron(Y.view(-1, 1, 2, 2), torch.full((8, 8), 100.0))
    noise = torch.randint(0, 100, bright.shape, generator=generator)
    train = Rows((bright + noise).to(torch.uint8), as_labels(Y))
    settings = {"classify.stage.epochs": 1, "classify.stage.batch": 16, "neighbours.among": "centroids"}
    model = methods.get("bce", **{f"images.{name}": value for name, value in settings.items()}).fit(
        train, train
    )
    Z = normalize(model.embed(train.X).astype(np.float64))
    expected = np.clip(Z @ normalize(Y.numpy().T @ Z).T, 0, 1)
    np.testing.assert_allclose(model.scorer.votes(train.X), expected, atol=1e-5)


def test_centroids_take_no_further_rows():
    train = rows(100, 0)
    model = MultiLabelClassifier("bce", settings=CENTROIDS).fit(train.X.values, train.Y.dense().numpy())
    with pytest.raises(ManyLabelError, match="a model with neighbours"):
        model.add(train.X.values[:1], train.Y.dense().numpy()[:1])


def test_centroids_of_another_size_are_refused(tmp_path):
    model = fit(rows(100, 0))
    model.scorer.centroids = model.scorer.centroids[:, :-1]
    model.save(tmp_path / "model")
    with pytest.raises(ManyLabelError, match="centroids of shape"):
        methods.Predictor.load(tmp_path / "model")
