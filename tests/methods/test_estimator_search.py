"""A parameter chosen by cross-validation: against folds, fits and losses written out."""

import sys

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.svm import LinearSVC
from tests.training.small_run import rows

from manylabel import LabelMatrix, ManyLabelError
from manylabel.data import Rows
from manylabel.data.splits import folds_of
from manylabel.methods import Predictor, get
from manylabel.methods.estimator_search import FOLDS


def noisy(n, seed=0):
    """Rows of many columns that say little of three labels, so that the penalty matters."""
    draw = np.random.default_rng(seed)
    X = draw.normal(size=(n, 40)).astype(np.float32)
    return Rows(X, LabelMatrix.of(X[:, :3] + 2 * draw.normal(size=(n, 3)) > 1))


def quality_by_hand(make, part, seed):
    X, Y = part.X.values.numpy(), part.Y.dense(torch.bool).numpy()
    X = (X - X.mean(0)) / X.std(0)
    folds, found = folds_of(part.Y, FOLDS, seed), []
    for fold in range(FOLDS):
        fitted = [make().fit(X[folds != fold], Y[folds != fold, c]) for c in range(3)]
        own, losses = X[folds == fold], []
        if hasattr(fitted[0], "predict_proba"):
            for c, model in enumerate(fitted):
                p = model.predict_proba(own)[:, 1]
                losses += [-np.log(a if y else 1 - a) for a, y in zip(p, Y[folds == fold, c], strict=True)]
            found.append(-np.mean(losses))
        else:
            S = np.stack([model.decision_function(own) for model in fitted], axis=1)
            found.append(average_precision_score(Y[folds == fold].ravel(), S.ravel()))
    return np.mean(found)


@pytest.mark.parametrize("seed", [0, 3])
@pytest.mark.parametrize(
    ("method", "make", "values"),
    [
        (
            "logistic_regression_cv",
            lambda C: LogisticRegression(C=C, solver="liblinear"),
            [0.01, 0.1, 1.0, 10.0],
        ),
        ("linear_svm", lambda C: LinearSVC(C=C, max_iter=5000, random_state=0), [0.001, 0.01, 0.1]),
    ],
)
def test_the_value_is_the_best_by_hand(method, make, values, seed):
    train = noisy(150, seed)
    model = get(method, **{"search.C": values}).fit(train, rows_like(train), seed=seed)
    by_hand = [quality_by_hand(lambda C=C: make(C), train, seed) for C in values]
    worse = [i for i in range(1, len(values)) if by_hand[i] <= by_hand[i - 1]]
    expected = values[worse[0] - 1 if worse else -1]
    assert {estimator.C for estimator in model.scorer.estimators} == {expected}


def rows_like(part):
    return part.take(np.arange(20))


def test_noise_takes_the_largest_penalty_and_clean_rows_a_small_one():
    draw = np.random.default_rng(0)
    noise = Rows(noisy(150).X.values, LabelMatrix.of(draw.random((150, 3)) > 0.5))
    clean = Rows(noise.X.values, LabelMatrix.of(noise.X.values[:, :3] > 0))
    found = [
        get("logistic_regression_cv").fit(part, rows_like(part)).scorer.estimators[0].C
        for part in (noise, clean)
    ]
    assert found[0] == 0.01
    assert found[1] > 0.1


def test_two_rows_take_the_first_value():
    train = Rows(np.eye(2, dtype=np.float32), LabelMatrix.of([[1], [0]]))
    assert get("logistic_regression_cv").fit(train, train).scorer.estimators[0].C == 0.01


def test_labels_too_rare_for_a_fold_are_fitted_on_all_rows():
    train = noisy(60)
    Y = train.Y.dense(torch.uint8).clone()
    Y[:, 0] = 0
    Y[7, 0] = 1
    model = get("logistic_regression_cv").fit(Rows(train.X.values, LabelMatrix.of(Y)), rows_like(train))
    assert len(model.scorer.estimators) == 3


def test_unknown_entries_choose_nothing():
    train = noisy(150)
    Y = train.Y.dense(torch.float32).clone()
    Y[::4, 1] = float("nan")
    model = get("logistic_regression_cv").fit(Rows(train.X.values, LabelMatrix.of(Y)), rows_like(train))
    assert model.scores(train.X.values).shape == (150, 3)


def test_sparse_rows_are_weighed_as_words_and_kept_so(tmp_path):
    draw = np.random.default_rng(0)
    counts = sp.csr_matrix(draw.poisson(0.3, (80, 30)).astype(np.float32))
    Y = np.asarray(counts[:, :2].toarray() > 0)
    train = Rows(counts, LabelMatrix.of(Y))
    model = get("logistic_regression_cv", **{"search.C": [1.0]}).fit(train, train)
    weighed = TfidfTransformer(sublinear_tf=True).fit_transform(counts)
    assert (counts.data >= 1).all()
    expected = [
        LogisticRegression(solver="liblinear", random_state=0).fit(weighed, y).predict_proba(weighed)[:, 1]
        for y in Y.T
    ]
    np.testing.assert_allclose(model.scores(counts), np.stack(expected, axis=1), atol=1e-5)
    model.save(tmp_path / "model")
    assert np.array_equal(Predictor.load(tmp_path / "model").scores(counts), model.scores(counts))


def test_sparse_rows_with_negative_numbers_are_taken_as_they_are():
    X = sp.random(60, 20, 0.3, format="csr", dtype=np.float32, random_state=0)
    X.data -= 0.5
    train = Rows(X, rows(60, 0).Y)
    scores = [get("linear_svm", tfidf=tfidf).fit(train, train).scores(X) for tfidf in (True, False)]
    assert np.array_equal(*scores)


def test_more_than_one_parameter_is_refused():
    message = r"search: expected .*at most 1"
    with pytest.raises(ManyLabelError, match=message):
        get("linear_svm", **{"search.tol": [1e-3, 1e-4]})


def test_rules_name_their_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlrl", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ManyLabelError, match=r"the package mlrl, .*manylabel\[rules\]"):
        get("boomer").fit(rows(60, 0), rows(20, 1))
