"""Scikit-learn baselines: scikit-learn's classifiers behind the interface of the methods."""

import sys
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.linear_model import LogisticRegression
from tests.methods.test_rows import texts
from tests.training.small_run import rows

from manylabel import LabelMatrix, ManyLabelError, metrics
from manylabel.data import Rows
from manylabel.methods import Predictor, get

RECIPES = [
    "logistic_regression",
    "logistic_regression_cv",
    "linear_svm",
    "extra_trees",
    "k_neighbours",
    "classifier_chain",
    "gradient_boosting",
]
SHORT = {
    "extra_trees": {"parameters.n_estimators": 40},
    "gradient_boosting": {"parameters.n_estimators": 40},
}
PATHS = [
    "sklearn.neighbors.KNeighborsClassifier",  # takes all labels itself, probabilities as a list
    "sklearn.neural_network.MLPClassifier",  # takes all labels itself, probabilities side by side
    "sklearn.naive_bayes.GaussianNB",  # one label at a time
    "sklearn.svm.LinearSVC",  # a decision function alone
    "sklearn.linear_model.RidgeClassifier",  # all labels, a decision function alone
]


def fit(method, train=None, seed=0, **settings):
    return get(method, **(SHORT.get(method, {}) | settings)).fit(
        train or rows(200, 0), rows(40, 1), seed=seed
    )


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("method", [*RECIPES, *PATHS])
def test_a_scikit_learn_baseline_learns_and_can_be_kept(method, tmp_path):
    scorer, new = fit(method), rows(100, 2)
    scores = scorer.scores(new.X.values)
    assert scores.shape == (100, 4)
    assert scores.dtype == np.float32
    assert (scores >= 0).all()
    assert (scores <= 1).all()
    assert metrics.mean_average_precision(scores, new.Y) > 0.6
    scorer.save(tmp_path / "model")
    assert {path.suffix for path in (tmp_path / "model").iterdir()} == {".json", ".safetensors"}
    again = Predictor.load(tmp_path / "model")
    assert np.array_equal(again.scores(new.X.values), scores)


def test_one_vs_rest_is_an_estimator_for_each_label():
    train, new = rows(200, 0), rows(30, 2)
    mean, scale = train.X.values.mean(0), train.X.values.std(0, correction=0)
    X, X_new = (((part.X.values - mean) / scale).numpy() for part in (train, new))
    Y = train.Y.dense(torch.uint8).numpy()
    expected = [LogisticRegression(max_iter=1000).fit(X, y).predict_proba(X_new)[:, 1] for y in Y.T]
    np.testing.assert_allclose(
        fit("logistic_regression").scores(new.X.values), np.stack(expected, axis=1), atol=1e-5
    )


@pytest.mark.parametrize("method", [*RECIPES, "sklearn.svm.LinearSVC"])
@pytest.mark.parametrize("varying", [0, 1, 2])
def test_labels_that_all_or_no_rows_carry_get_scores_1_and_0(method, varying):
    train = rows(60, 0)
    Y = train.Y.dense(torch.uint8).clone()
    Y[:, varying:] = torch.tensor([0, 1, 0, 1])[varying:]
    scores = fit(method, Rows(train.X.values, LabelMatrix.of(Y))).scores(rows(20, 2).X.values)
    assert (scores[:, varying:] == [[0, 1, 0, 1][varying:]]).all()
    assert all(len(np.unique(scores[:, c])) > 1 for c in range(varying))


@pytest.mark.parametrize("method", ["extra_trees", "classifier_chain"])
def test_the_seed_decides(method):
    first, again, other = (fit(method, seed=seed).scores(rows(50, 2).X.values) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("method", RECIPES)
def test_sparse_rows_texts_and_pictures_are_taken(method):
    made = get(method, **SHORT.get(method, {}))
    wide = [
        Rows(sp.random(60, 400, 0.1, format="csr", dtype=np.float32, random_state=i), rows(60, i).Y)
        for i in (0, 1)
    ]
    scorer = made.fit(*wide)
    assert scorer.scores(wide[1].X.values).shape == (60, 4)
    assert scorer.embed(wide[1].X.values).shape == (60, 256)
    new = texts(40, 2)
    scorer = made.fit(texts(200, 0), texts(40, 1))
    assert metrics.mean_average_precision(scorer.scores(new.X.values), new.Y) > 0.9
    assert scorer.embed(new.X.values).shape == (40, 10)
    pictures = Rows(torch.randint(0, 256, (60, 3, 4, 4), dtype=torch.uint8), rows(60, 0).Y)
    scorer = made.fit(pictures, pictures)
    assert scorer.scores(pictures.X.values).shape == (60, 4)
    assert scorer.embed(pictures.X.values).shape == (60, 48)


def test_parameters_are_settings():
    recipe = get("sklearn.neighbors.KNeighborsClassifier", **{"parameters.n_neighbors": 3}).recipe
    assert recipe.resolve("vectors").parameters == {"n_neighbors": 3}
    assert recipe.family == "sklearn_baseline"


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        ("sklearn.neighbors.KNeighbours", {}, "a class in sklearn.neighbors, but got 'KNeighbours'"),
        ("no_such_package.Classifier", {}, "an import path of a class, but got no_such_package.Classifier"),
        ("sklearn.linear_model.LinearRegression", {}, "predict_proba or decision_function, but got sklearn"),
        ("json.loads", {}, "predict_proba or decision_function, but got json.loads"),
        ("extra_trees", {"parameters.trees": 3}, "parameters of ExtraTreesClassifier, but got .*'trees'"),
        ("extra_trees", {"labels": "all"}, "labels: expected .*'together'"),
    ],
)
def test_what_is_no_classifier_is_refused(method, settings, message):
    with pytest.raises(ManyLabelError, match=message):
        get(method, **settings)


def test_parameters_that_an_estimator_refuses_are_told():
    with pytest.raises(
        ManyLabelError, match=r"method k_neighbours: expected rows .* 'n_neighbors' parameter"
    ):
        fit("k_neighbours", **{"parameters.n_neighbors": 0})


def test_a_missing_extra_is_named_when_it_is_needed(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    method = get("gradient_boosting")
    with pytest.raises(ManyLabelError, match=r"the package lightgbm, .*manylabel\[boosting\]"):
        method.fit(rows(60, 0), rows(20, 1))


def test_rows_it_cannot_learn_from_are_refused():
    soft = Rows(rows(60, 0).X.values, LabelMatrix.of(torch.rand(60, 4)))
    with pytest.raises(ManyLabelError, match="labels that are 0 or 1, but got soft labels"):
        fit("logistic_regression", soft)
    with pytest.raises(ManyLabelError, match="expected validation rows, but got none"):
        get("logistic_regression").fit(rows(60, 0), rows(0, 1))


CALIBRATED = "sklearn.calibration.CalibratedClassifierCV"
EARLY = {"parameters.early_stopping": True, "parameters.max_iter": 5}


def rare(n=60, carried=1):
    """Rows of which so many carry label 1, and all but so many label 3."""
    part = rows(n, 0)
    Y = part.Y.dense(torch.uint8).clone()
    Y[:, 1] = torch.arange(n) < carried
    Y[:, 3] = torch.arange(n) >= carried
    return Rows(part.X.values, LabelMatrix.of(Y))


@pytest.mark.filterwarnings("ignore:The least populated class", "ignore:Maximum number of iteration")
@pytest.mark.parametrize(
    ("method", "settings"),
    [
        (CALIBRATED, {}),
        (CALIBRATED, {"labels": "chain"}),
        ("sklearn.ensemble.HistGradientBoostingClassifier", EARLY),
        ("sklearn.linear_model.SGDClassifier", EARLY),
    ],
    ids=["calibration", "in a chain", "boosting that stops early", "descent that stops early"],
)
def test_a_rare_label_is_named_and_left_out_where_that_is_allowed(method, settings):
    train = rare()
    with pytest.raises(
        ManyLabelError, match=r"label 1 \(counted from 0\), which 1 of 60 .* rare to \"constant\""
    ):
        fit(method, train, **settings)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        scorer = fit(method, train, rare="constant", **settings)
    told = " ".join(str(warning.message) for warning in seen)
    assert "label 1 (counted from 0), which 1 of 60 training rows carry, cannot be learnt" in told
    assert "its share, 0.0167, is its score" in told
    scores = scorer.scores(rows(20, 2).X.values)
    np.testing.assert_allclose(scores[:, [1, 3]], np.tile(np.float32([1 / 60, 59 / 60]), (20, 1)))
    assert all(len(np.unique(scores[:, c])) > 1 for c in (0, 2))


@pytest.mark.filterwarnings("ignore:The least populated class")
def test_labels_that_are_all_rare_all_get_their_share():
    train = rare()
    part = Rows(train.X.values, LabelMatrix.of(train.Y.dense()[:, [1, 3]]))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        scorer = get(CALIBRATED, rare="constant").fit(part, part)
    assert sum("its share" in str(warning.message) for warning in seen) == 2
    np.testing.assert_allclose(scorer.scores(part.X.values), np.tile(np.float32([1 / 60, 59 / 60]), (60, 1)))


def test_parameters_that_fit_no_label_are_refused_all_the_same():
    with pytest.raises(
        ManyLabelError, match=r"expected rows .* 'n_neighbors' parameter .*Check its parameters"
    ):
        fit("k_neighbours", rare="constant", **{"parameters.n_neighbors": 0})


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "method",
    [
        "sklearn.semi_supervised.SelfTrainingClassifier",
        "sklearn.semi_supervised.LabelSpreading",
        "sklearn.neighbors.RadiusNeighborsClassifier",
    ],
)
def test_what_an_estimator_says_of_rows_it_cannot_take_is_told(method):
    with pytest.raises(ManyLabelError, match=f"{method.rpartition('.')[2]}|method {method}"):
        fit(method).scores(1e6 * rows(20, 2).X.values)


def test_a_scikit_learn_baseline_scores_no_rows_and_any_container():
    scorer = fit("logistic_regression")
    X = rows(20, 2).X.values
    assert scorer.scores(X[:0]).shape == (0, 4)
    assert scorer.embed(X[:0]).shape == (0, 10)
    for given in (X.double(), X.numpy(), X.tolist(), sp.csr_matrix(X.numpy())):
        np.testing.assert_allclose(scorer.scores(given), scorer.scores(X), atol=1e-6)
    wide = Rows(sp.random(60, 400, 0.1, format="csr", random_state=0), rows(60, 0).Y)
    scorer = get("logistic_regression").fit(wide, wide)
    assert scorer.embed(wide.X.values[:0]).shape == (0, 256)
    np.testing.assert_allclose(
        scorer.scores(wide.X.values.toarray()), scorer.scores(wide.X.values), atol=1e-6
    )
