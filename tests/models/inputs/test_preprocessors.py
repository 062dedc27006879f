"""Preprocessors: what an encoder eats of features of each kind, and how it is kept."""

import json

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.feature_extraction.text import TfidfVectorizer

from manylabel import ManyLabelError
from manylabel.models import fit_preprocessor, preprocessor_like


def test_vectors_are_standardised_and_a_constant_feature_becomes_zero():
    X = torch.randn(50, 3) * torch.tensor([1.0, 5.0, 0.0]) + 7
    inputs = fit_preprocessor(X)
    out = inputs(inputs.dense(X))
    torch.testing.assert_close(out.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.std(0, correction=0), torch.tensor([1.0, 1.0, 0.0]))


def test_sparse_rows_give_what_dense_rows_give():
    X = sp.random(30, 6, 0.3, format="csr", dtype=np.float32, random_state=0)
    sparse, dense = fit_preprocessor(X), fit_preprocessor(torch.from_numpy(X.toarray()))
    assert torch.equal(sparse.mean, dense.mean)
    assert torch.equal(sparse.scale, dense.scale)


def test_pictures_are_standardised_by_channel():
    X = torch.randint(0, 256, (20, 3, 8, 8), dtype=torch.uint8)
    inputs = fit_preprocessor(X)
    out = inputs(inputs.dense(X))
    torch.testing.assert_close(out.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    assert inputs.mean.shape == (3, 1, 1)


def test_other_features_than_in_training_are_refused():
    with pytest.raises(ManyLabelError, match=r"rows of shape \(3,\), but got shape \(4,\)"):
        fit_preprocessor(torch.randn(5, 3)).dense(torch.randn(2, 4))


def test_texts_become_the_vectors_that_scikit_learn_makes_of_them_over_one_number():
    texts = ["Red and blue", "blue, BLUE sea", "green sea", "a quiet day"]
    inputs = fit_preprocessor(texts)
    assert inputs.words.vocabulary == ("blue", "sea")
    expected = TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(texts).toarray()
    rows = inputs.dense(texts)
    np.testing.assert_allclose(rows, expected, rtol=1e-6)
    torch.testing.assert_close(inputs(rows).square().mean(), torch.tensor(1.0))
    assert not rows[3].any()


def test_texts_without_a_common_word_are_refused():
    with pytest.raises(ManyLabelError, match="a word that 2 texts share, but got none in 2 texts"):
        fit_preprocessor(["one", "two"])


def test_of_wide_sparse_rows_the_columns_of_the_most_rows_are_kept(monkeypatch):
    monkeypatch.setattr("manylabel.models.inputs.vectors.MOST_FEATURES", 2)
    X = sp.csr_matrix(np.array([[5, 1, 0, 0], [0, 1, 0, 2], [0, 2, 0, 4]], dtype=np.float32))
    inputs = fit_preprocessor(X)
    assert inputs.columns.tolist() == [1, 3]
    assert inputs.dense(X).tolist() == [[1, 0], [1, 2], [2, 4]]
    assert torch.equal(inputs.dense(X), inputs.dense(torch.from_numpy(X.toarray())))
    torch.testing.assert_close(inputs(inputs.dense(X)).square().mean(), torch.tensor(1.0))
    with pytest.raises(ManyLabelError, match=r"rows of shape \(4,\), but got shape \(2,\)"):
        inputs.dense(X[:, :2])


def test_large_sparse_rows_are_measured_block_by_block(monkeypatch):
    X = sp.random(40, 30, 0.3, format="csr", dtype=np.float32, random_state=0)
    whole = fit_preprocessor(X)
    monkeypatch.setattr("manylabel.data.rows.sparse._CHUNK", 200)
    blocks = fit_preprocessor(X)
    torch.testing.assert_close(blocks.mean, whole.mean)
    torch.testing.assert_close(blocks.scale, whole.scale)


@pytest.mark.parametrize("kind", ["text", "wide"])
def test_what_was_learnt_is_told_by_meta_and_state(kind, monkeypatch):
    monkeypatch.setattr("manylabel.models.inputs.vectors.MOST_FEATURES", 3)
    texts = ["red sea", "blue sea", "red and blue", "green and red"]
    X = texts if kind == "text" else sp.random(9, 7, 0.5, format="csr", dtype=np.float32, random_state=0)
    inputs = fit_preprocessor(X)
    again = preprocessor_like(json.loads(json.dumps(inputs.meta())))
    again.load_state_dict(inputs.state_dict())
    assert torch.equal(again(again.dense(X)), inputs(inputs.dense(X)))
    plain = inputs.unscaled(X)
    assert torch.equal(plain(plain.dense(X)), inputs.dense(X))
