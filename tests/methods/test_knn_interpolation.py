"""Nearest training rows beside a method: what they say, how it is averaged, how it is kept."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from tests.training.small_run import rows
from torch.nn import functional as F

from manylabel import methods
from manylabel.data import Rows
from manylabel.errors import ManyLabelError
from manylabel.labels import as_labels
from manylabel.methods.knn_interpolation import NeighbourScorer
from manylabel.methods.recipe import NeighbourSettings

TINY = {"encoder.widths": [8], "classify.stage.epochs": 2, "classify.stage.batch": 16}


def fit(train=None, **settings):
    return methods.get("bce", **(TINY | settings)).fit(train or rows(100, 0), rows(20, 1))


def by_hand(train, X, k, temperature):
    """Labels of the k nearest rows by cosine after standardisation, in float64."""
    known = np.asarray(train.X.values, dtype=np.float64)
    mean, scale = known.mean(0), known.std(0)
    known, new = (known - mean) / scale, (np.asarray(X, dtype=np.float64) - mean) / scale
    cosine = (new / np.linalg.norm(new, axis=1, keepdims=True)) @ (
        known / np.linalg.norm(known, axis=1, keepdims=True)
    ).T
    found = np.zeros((len(X), train.Y.n_labels))
    for i, similarities in enumerate(cosine):
        nearest = np.argsort(-similarities)[:k]
        weights = np.exp(similarities[nearest] / temperature)
        found[i] = weights @ train.Y.dense().numpy()[nearest] / weights.sum()
    return found


@pytest.mark.parametrize(("k", "temperature"), [(1, 0.1), (5, 0.1), (15, 1.0)])
def test_neighbours_vote_with_the_softmax_of_their_cosines(k, temperature):
    train, X = rows(100, 0), rows(30, 2).X.values
    scorer = fit(**{"neighbours.k": k, "neighbours.temperature": temperature})
    np.testing.assert_allclose(scorer.scorer.votes(X), by_hand(train, X, k, temperature), atol=1e-5)


def test_scores_are_the_weighted_mean_of_the_method_and_its_neighbours():
    X = rows(30, 2).X.values
    scorer, alone = fit(**{"neighbours.weight": 0.3}), fit()
    assert isinstance(scorer.scorer, NeighbourScorer)
    expected = 0.7 * alone.scores(X) + 0.3 * scorer.scorer.votes(X)
    np.testing.assert_allclose(scorer.scores(X), expected, rtol=1e-5)
    assert scorer.scores(X).dtype == np.float32
    np.testing.assert_array_equal(scorer.embed(X), alone.embed(X))


@pytest.mark.parametrize("sure", [0.5, 0.7, 1.0])
def test_neighbours_weigh_on_each_row_by_the_least_that_they_say_of_a_sure_label(sure):
    X = rows(30, 2).X.values
    scorer = fit(**{"neighbours.weight": "per_row", "neighbours.sure": sure, "classify.stage.lr": 0.1}).scorer
    alone, votes = scorer.scorer.scores(X).astype(float), scorer.votes(X).astype(float)
    shares = []
    for p, v, found in zip(alone, votes, scorer.scores(X), strict=True):
        share = min((v_j for p_j, v_j in zip(p, v, strict=True) if p_j >= sure), default=1.0)
        shares.append(share)
        np.testing.assert_allclose(found, (1 - share) * p + share * v, atol=1e-6)
    assert (set(shares) == {1.0}) == (sure == 1.0)


def test_a_label_that_no_neighbour_knows_has_no_say_in_the_weight_of_a_row():
    train = rows(100, 0)
    Y = train.Y.dense().float()
    Y[:, 0] = torch.nan
    Y[:2, 0] = torch.tensor([0.0, 1.0])
    train, X = Rows(train.X.values, as_labels(Y)), rows(30, 2).X.values
    scorer = fit(train, **{"neighbours.weight": "per_row", "neighbours.sure": 1e-6, "neighbours.k": 3}).scorer
    votes, alone = scorer.votes(X), scorer.scorer.scores(X)
    unknown = np.isnan(votes[:, 0])
    assert unknown.any()
    share = votes[unknown, 1:].min(axis=1, keepdims=True)
    found = scorer.scores(X)[unknown]
    np.testing.assert_allclose(found[:, 0], alone[unknown, 0], atol=1e-6)
    np.testing.assert_allclose(
        found[:, 1:], (1 - share) * alone[unknown, 1:] + share * votes[unknown, 1:], atol=1e-6
    )


@pytest.mark.parametrize("angle", np.linspace(0.7, 1.0, 6))
def test_votes_of_far_neighbours_alone_are_shares(angle):
    near, far = [1.0, 0.0], [math.cos(angle), math.sin(angle)]
    known = [[0, 1], [0, 1], [1, 1]]  # the far row alone is known to carry the first label
    known, hidden = (sp.csr_matrix(np.float32(part)) for part in (known, [[1, 0], [1, 0], [0, 0]]))
    settings = NeighbourSettings(k=3, temperature=0.05)
    rows_of = np.array([near, [0.9, 0.1], far], dtype=np.float32)
    scorer = NeighbourScorer(None, None, rows_of, known, hidden, settings)
    votes = scorer._votes(np.array([[1.0, 0.05], near, [1.0, -0.1]], dtype=np.float32))
    np.testing.assert_allclose(votes, 1, atol=0.1)
    assert votes.max() <= 1


def test_a_share_of_0_is_the_method_itself():
    X = rows(30, 2).X.values
    np.testing.assert_array_equal(fit(**{"neighbours.weight": 0.0}).scores(X), fit().scores(X))


def test_neighbours_join_a_finished_training(tmp_path):
    train, validation, told = rows(100, 0), rows(20, 1), []
    alone = methods.get("bce", **TINY).fit(train, validation, folder=tmp_path)
    joined = methods.get("bce", **(TINY | {"neighbours.weight": 0.5}))
    scorer = joined.fit(
        train, validation, folder=tmp_path, progress=lambda progress: told.append(progress.step)
    )
    assert set(told) == {2 * math.ceil(100 / 16)}  # nothing was left to train
    np.testing.assert_array_equal(scorer.scorer.scorer.scores(train.X.values), alone.scores(train.X.values))


def test_neighbours_of_members_are_asked_once():
    X = rows(30, 2).X.values
    scorer = fit(members=2, **{"neighbours.weight": 0.5})
    expected = 0.5 * fit(members=2).scores(X) + 0.5 * scorer.scorer.votes(X)
    np.testing.assert_allclose(scorer.scores(X), expected, rtol=1e-5)


def test_more_neighbours_than_rows_are_all_rows():
    train = rows(16, 0)
    assert fit(train, **{"neighbours.k": 50}).scorer.votes(rows(3, 2).X.values).shape == (3, train.Y.n_labels)


def test_of_very_many_rows_some_are_drawn_with_every_label(tmp_path):
    train, X = rows(400, 0), rows(30, 2).X.values
    kept = fit(train, **{"neighbours.most_rows": 100}).scorer
    assert kept.rows.shape[0] == kept.labels.shape[0] == 100
    standardised = {row.tobytes() for row in kept.inputs.matrix(train.X, False)}
    assert {row.tobytes() for row in kept.rows} < standardised
    shares = np.asarray(kept.labels.mean(axis=0)).ravel()
    np.testing.assert_allclose(shares, train.Y.dense().numpy().mean(axis=0), atol=0.06)
    whole = fit(train, **{"neighbours.most_rows": 400}).scorer
    assert whole.rows.shape[0] == 400
    assert not np.array_equal(kept.votes(X), whole.votes(X))
    votes = methods.get("neighbour_votes", most_rows=100).fit(train, rows(20, 1)).scorer
    np.testing.assert_array_equal(votes.rows, kept.rows)


def test_no_rows_have_no_scores():
    scorer = fit(**{"neighbours.k": 3})
    assert scorer.scores(rows(30, 2).X.values[:0]).shape == (0, rows(1, 0).Y.n_labels)


def sparse_rows(n, seed):
    generator = torch.Generator().manual_seed(seed)
    X = (torch.rand(n, 12, generator=generator) < 0.4).float()
    return Rows(sp.csr_matrix(X.numpy()), as_labels(X[:, :4] > 0))


@pytest.mark.parametrize("make", [rows, sparse_rows])
def test_a_saved_scorer_scores_the_same(tmp_path, make):
    method = methods.get("bce", **(TINY | {"members": 2, "neighbours.k": 4}))
    scorer, X = method.fit(make(100, 0), make(20, 1)), make(30, 2).X.values
    scorer.save(tmp_path / "model")
    again = methods.Predictor.load(tmp_path / "model")
    assert isinstance(again.scorer, NeighbourScorer)
    np.testing.assert_array_equal(again.scores(X), scorer.scores(X))


def test_a_scikit_learn_baseline_beside_its_neighbours_is_kept(tmp_path):
    method = methods.get("logistic_regression", **{"neighbours.k": 4})
    scorer, X = method.fit(rows(100, 0), rows(20, 1)), rows(30, 2).X.values
    scorer.save(tmp_path / "model")
    again = methods.Predictor.load(tmp_path / "model")
    np.testing.assert_array_equal(again.scores(X), scorer.scores(X))


def pictures(n, seed):
    """Rows whose labels are where the picture is bright."""
    Y = torch.eye(4).repeat(n // 4, 1)
    bright = torch.kron(Y.view(-1, 1, 2, 2), torch.full((8, 8), 100.0))
    noise = torch.randint(0, 100, bright.shape, generator=torch.Generator().manual_seed(seed))
    return Rows((bright + noise).to(torch.uint8), as_labels(Y))


OF_PICTURES = {
    "images.encoder.widths": [4],
    "images.classify.stage.epochs": 1,
    "images.classify.stage.batch": 16,
}


def test_neighbours_of_pictures_are_near_in_the_representation(tmp_path):
    train, new = pictures(40, 0), pictures(12, 1)
    method = methods.get("bce", **(OF_PICTURES | {"neighbours.k": 3, "neighbours.weight": 0.5}))
    scorer = method.fit(train, new)
    Z, Z_new = (torch.from_numpy(scorer.embed(part.X)).double() for part in (train, new))
    cosine, nearest = (F.normalize(Z_new) @ F.normalize(Z).T).topk(3)
    votes = torch.einsum("nk,nkc->nc", (cosine / 0.1).softmax(1), train.Y.dense().double()[nearest])
    np.testing.assert_allclose(scorer.scorer.votes(new.X.values), votes.numpy(), atol=1e-5)
    alone = methods.get("bce", **OF_PICTURES).fit(train, new)
    expected = (alone.scores(new.X.values) + scorer.scorer.votes(new.X.values)) / 2
    np.testing.assert_allclose(scorer.scores(new.X.values), expected, rtol=1e-5)
    scorer.save(tmp_path / "model")
    again = methods.Predictor.load(tmp_path / "model")
    np.testing.assert_array_equal(again.scores(new.X.values), scorer.scores(new.X.values))


def test_neighbours_of_one_kind_of_data_leave_the_other_to_the_method():
    method = methods.get("bce", **(OF_PICTURES | {"vectors.neighbours.k": 3}))
    assert not isinstance(method.fit(pictures(40, 0), pictures(12, 1)).scorer, NeighbourScorer)


def test_neighbours_of_vectors_may_be_near_in_the_representation():
    X = rows(30, 2).X.values
    scorer = fit(**{"neighbours.among": "representation", "neighbours.k": 3})
    by_features = fit(**{"neighbours.k": 3})
    assert scorer.scorer.rows.shape == (100, TINY["encoder.widths"][-1])
    assert not np.allclose(scorer.scorer.votes(X), by_features.scorer.votes(X))


@pytest.mark.parametrize(
    "wrong",
    [
        {"neighbours.k": 0},
        {"neighbours.weight": 1.5},
        {"neighbours.weight": "per_label"},
        {"neighbours.sure": 0.0},
        {"neighbours.temperature": 0},
        {"neighbours.among": "pixels"},
    ],
)
def test_impossible_neighbours_are_refused(wrong):
    with pytest.raises(ManyLabelError, match=next(iter(wrong)).replace(".", r"\.")):
        methods.get("bce", **wrong)


def test_an_unknown_setting_of_neighbours_is_refused():
    with pytest.raises(ManyLabelError, match="setting"):
        methods.get("bce", **{"neighbours.metric": "cosine"})


@pytest.mark.parametrize("method", ["bce", "k_neighbours"])
def test_new_rows_may_be_dense_where_training_rows_were_sparse_and_the_other_way(method):
    settings = TINY if method == "bce" else {}
    sparse = sparse_rows(100, 0)
    dense = Rows(torch.from_numpy(sparse.X.values.toarray()), sparse.Y)
    new = sparse_rows(30, 2).X.values
    for train, validation in (
        (sparse, sparse_rows(20, 1)),
        (dense, Rows(dense.X.values[:20], dense.Y.take(range(20)))),
    ):
        scorer = methods.get(method, **(settings | {"neighbours.k": 4})).fit(train, validation)
        expected = scorer.scores(new)
        for form in (torch.from_numpy(new.toarray()), new.toarray()):
            np.testing.assert_allclose(scorer.scores(form), expected, atol=1e-5)
