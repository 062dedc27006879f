"""Ways of scaling vectors: rank-normal columns and TF-IDF of counts against literal twins, kept by meta and state."""

import json
import math
from statistics import NormalDist, fmean, pstdev

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.feature_extraction.text import TfidfTransformer

from manylabel import ManyLabelError
from manylabel.models import fit_preprocessor, preprocessor_like

SCALINGS = ["columns", "one", "none", "rank_normal", "tfidf"]


def counts(n=40, seed=0):
    rng = np.random.default_rng(seed)
    return sp.csr_matrix(rng.poisson(0.7, size=(n, 9)).astype(np.float32))


def sentences(n, seed=0):
    words = np.random.default_rng(seed).zipf(1.5, size=(n, 12)).clip(max=30)
    return [" ".join(f"word{w}" for w in row) for row in words]


def scaled(inputs, X):
    return inputs(inputs.dense(X))


def rank_normal(column, value):
    """Mid-rank, normal quantile, standardised; between training values in a straight line."""
    at = {}
    for v in sorted(set(column)):
        below, equal = sum(c < v for c in column), sum(c == v for c in column)
        at[v] = NormalDist().inv_cdf((below + equal / 2) / len(column))
    of_rows = [at[v] for v in column]
    mean, spread = fmean(of_rows), pstdev(of_rows) or 1.0
    known = sorted(at)
    inside = min(max(value, known[0]), known[-1])
    right = next(v for v in known if v >= inside)
    left = max((v for v in known if v <= inside), default=right)
    share = 0.0 if right == left else (inside - left) / (right - left)
    return (at[left] + share * (at[right] - at[left]) - mean) / spread


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rank_normal_is_its_literal_twin_on_training_rows_between_them_and_beyond(dtype):
    rng = np.random.default_rng(0)
    X = np.exp(2 * rng.normal(size=(30, 4))).astype(dtype)
    X[:, 1] = np.round(X[:, 1])  # ties
    X[:, 2] = 3  # one value
    new = np.concatenate([X[:5], rng.uniform(-2, 20, size=(20, 4)).astype(dtype)])
    out = scaled(fit_preprocessor(X, "rank_normal"), new)
    expected = [[rank_normal(X[:, j].tolist(), v) for j, v in enumerate(row)] for row in new.tolist()]
    assert out.dtype == torch.float32
    np.testing.assert_allclose(out, expected, atol=2e-5)
    assert not out[:, 2].any()


def test_rank_normal_columns_have_mean_0_and_deviation_1_whatever_their_tails():
    X = torch.randn(500, 3).mul(3).exp()
    out = scaled(fit_preprocessor(X, "rank_normal"), X)
    torch.testing.assert_close(out.mean(0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(out.std(0, correction=0), torch.ones(3), atol=1e-4, rtol=0)
    assert out.abs().max() < 3.5


def test_columns_of_very_many_values_keep_so_many_knots_and_hardly_differ(monkeypatch):
    X = torch.randn(1000, 2)
    every = scaled(fit_preprocessor(X, "rank_normal"), X)
    monkeypatch.setattr("manylabel.models.inputs.rank_normal.MOST_KNOTS", 200)
    inputs = fit_preprocessor(X, "rank_normal")
    assert inputs.knots.shape == (2, 200)
    fewer, inside = scaled(inputs, X), every.abs() < 2  # five rows apart, the tails are coarse
    torch.testing.assert_close(fewer[inside], every[inside], atol=0.03, rtol=0)
    assert fewer[X[:, 0].argsort(), 0].diff().min() >= 0


def test_tfidf_of_counts_is_that_of_scikit_learn_over_one_number():
    X = counts()
    inputs = fit_preprocessor(X, "tfidf")
    expected = TfidfTransformer(sublinear_tf=True).fit_transform(X).toarray()
    np.testing.assert_allclose(inputs.matrix(X, True).toarray(), expected, atol=1e-6)
    out = scaled(inputs, X)
    np.testing.assert_allclose(out, expected / math.sqrt(np.square(expected).mean()), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(out.square().mean(), torch.tensor(1.0))


def test_tfidf_keeps_weights_below_one_in_order():
    X = torch.tensor([[0.2, 0.0], [0.9, 1.0], [1.0, 3.0]])
    inputs = fit_preprocessor(X, "tfidf")
    idf = torch.tensor([1.0, math.log(4 / 3) + 1])
    raw = torch.tensor([[0.2, 0.0], [0.9, 1.0], [1.0, 1 + math.log(3)]]) * idf
    unit = raw / raw.norm(dim=1, keepdim=True)
    torch.testing.assert_close(scaled(inputs, X) * inputs.scale, unit)


def test_tfidf_of_negative_numbers_is_refused():
    with pytest.raises(ManyLabelError, match="counts, or other numbers from 0 up, but got negative ones"):
        fit_preprocessor(torch.randn(5, 3), "tfidf")


def test_one_number_keeps_the_proportions_and_none_keeps_everything():
    X = torch.rand(20, 3) * torch.tensor([1.0, 10.0, 0.0])
    one = scaled(fit_preprocessor(X, "one"), X)
    torch.testing.assert_close(one, X / X.square().mean().sqrt())
    assert torch.equal(scaled(fit_preprocessor(X, "none"), X), X)


@pytest.mark.parametrize("scaling", SCALINGS)
def test_sparse_rows_are_scaled_as_dense_ones(scaling):
    X = counts()
    sparse, dense = fit_preprocessor(X, scaling), fit_preprocessor(torch.from_numpy(X.toarray()), scaling)
    torch.testing.assert_close(scaled(sparse, X), scaled(dense, X.toarray()))


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("wide", [False, True])
def test_what_was_learnt_is_told_by_meta_and_state(scaling, wide, monkeypatch):
    if wide:
        monkeypatch.setattr("manylabel.models.inputs.vectors.MOST_FEATURES", 4)
    X = counts()
    inputs = fit_preprocessor(X, scaling)
    assert inputs.shape == ((4,) if wide else (9,))
    again = preprocessor_like(json.loads(json.dumps(inputs.meta())))
    again.load_state_dict(inputs.state_dict())
    assert torch.equal(scaled(again, counts(7, 1)), scaled(inputs, counts(7, 1)))


@pytest.mark.parametrize("scaling", SCALINGS)
def test_rows_of_other_kinds_take_their_own_scaling_alone(scaling):
    with pytest.raises(
        ManyLabelError, match=f"`scaling` of text: expected 'auto' or 'lsa', but got '{scaling}'"
    ):
        fit_preprocessor(["a red sea", "a blue sea"], scaling)


def test_pictures_have_no_singular_vectors():
    pictures = torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8)
    with pytest.raises(ManyLabelError, match="`scaling` of images: expected 'auto', but got 'lsa'"):
        fit_preprocessor(pictures, "lsa")


def test_lsa_of_texts_is_their_tfidf_along_its_singular_vectors(monkeypatch):
    monkeypatch.setattr("manylabel.models.inputs.lsa.MOST_COMPONENTS", 5)
    texts = sentences(60)
    inputs = fit_preprocessor(texts, "lsa")
    F = fit_preprocessor(texts).matrix(texts, True).toarray()
    V = np.linalg.svd(F)[2][:5].T
    projected = F @ V
    unit = projected / np.linalg.norm(projected, axis=1, keepdims=True)
    out = scaled(inputs, texts).numpy()
    assert np.abs(out @ out.T / 5 - unit @ unit.T).mean() < 0.05  # signs are free, the last vectors near
    np.testing.assert_allclose(np.square(out).mean(1), 1, rtol=1e-5)
    assert inputs.form == "texts"


def test_lsa_with_as_many_components_as_features_keeps_cosines():
    X = counts()
    tfidf = TfidfTransformer(sublinear_tf=True).fit_transform(X).toarray()
    out = scaled(fit_preprocessor(X, "lsa"), X).numpy()
    np.testing.assert_allclose(out @ out.T / 9, tfidf @ tfidf.T, atol=1e-5)


@pytest.mark.parametrize("scaling", [*SCALINGS, "lsa"])
@pytest.mark.parametrize("sparse", [False, True])
def test_no_new_rows_stay_none_in_every_scaling(scaling, sparse):
    X = counts() if sparse else counts().toarray()
    inputs = fit_preprocessor(X, scaling)
    assert scaled(inputs, X[:0]).shape == (0, 9)
    assert inputs.matrix(X[:0], sparse).shape == (0, 9)


def test_lsa_takes_negative_numbers_as_they_are_and_rows_of_nothing():
    X = sp.csr_matrix(np.array([[1, -2, 0], [0, 1, 3], [0, 0, 0], [-1, 0, 1]], np.float32))
    out = scaled(fit_preprocessor(X, "lsa"), X)
    unit = torch.nn.functional.normalize(torch.from_numpy(X.toarray()))
    torch.testing.assert_close(out @ out.T / 3, unit @ unit.T)
    assert not out[2].any()


@pytest.mark.parametrize("kind", ["text", "counts", "negative"])
def test_singular_vectors_are_told_by_meta_and_state(kind):
    X = sentences(30) if kind == "text" else counts() - (kind == "negative") * sp.eye(40, 9, format="csr")
    new = sentences(5, 1) if kind == "text" else counts(7, 1)
    inputs = fit_preprocessor(X, "lsa")
    again = preprocessor_like(json.loads(json.dumps(inputs.meta())))
    again.load_state_dict(inputs.state_dict())
    assert torch.equal(scaled(again, new), scaled(inputs, new))
    assert torch.equal(scaled(fit_preprocessor(X, "lsa"), new), scaled(inputs, new))  # the same draws
    np.testing.assert_array_equal(again.matrix(new, True), scaled(inputs, new))
