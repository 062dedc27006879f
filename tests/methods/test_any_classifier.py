"""Binary classifiers of scikit-learn become multi-label ones that decide by learnt thresholds and can be kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from manylabel import methods
from manylabel.data import Rows
from manylabel.labels import as_labels
from manylabel.methods import Predictor

CLASSIFIERS = (
    "svm.LinearSVC",
    "svm.SVC",
    "linear_model.RidgeClassifier",
    "linear_model.SGDClassifier",
    "naive_bayes.GaussianNB",
    "neighbors.KNeighborsClassifier",
    "tree.DecisionTreeClassifier",
    "discriminant_analysis.LinearDiscriminantAnalysis",
    "ensemble.AdaBoostClassifier",
    "ensemble.HistGradientBoostingClassifier",
)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_binary_classifier_decides_for_every_label_and_is_kept(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 6)).astype(np.float32)
    Y = X @ rng.normal(size=(6, 4)) > 1.5
    train, validation = Rows(X[:200], as_labels(Y[:200])), Rows(X[200:300], as_labels(Y[200:300]))
    predictor = methods.get(f"sklearn.{name}").fit(train, validation, label_names=list("abcd"))
    new, truth = X[300:], Y[300:]
    predicted, threshold = predictor.predict(new), predictor.decision.value  # type: ignore[attr-defined]
    np.testing.assert_array_equal(predicted, predictor.scores(new) >= np.float32(threshold))
    assert predictor.predict_proba(new).dtype == np.float32
    found = 2 * (predicted & truth).sum(0) / (predicted.sum(0) + truth.sum(0))
    all_positive = 2 * truth.sum(0) / (len(truth) + truth.sum(0))
    assert found.mean() > all_positive.mean() + 0.1
    predictor.save(tmp_path / "model")
    again = Predictor.load(tmp_path / "model")
    np.testing.assert_array_equal(again.scores(new), predictor.scores(new))
    np.testing.assert_array_equal(again.predict(new), predicted)
