"""What scikit-learn asks of estimators: all of its checks, and its tools around ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks
from tests.estimator.small import SHORT, small

from manylabel import MultiLabelClassifier, MultiLabelEmbedder


@parametrize_with_checks(
    [MultiLabelClassifier("bce", settings=SHORT), MultiLabelEmbedder("bce", settings=SHORT)]
)
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def classifier(**parameters: Any) -> MultiLabelClassifier:
    return MultiLabelClassifier("bce", settings=SHORT, random_state=0, **parameters)


X, Y = small()


def test_it_is_the_last_step_of_a_pipeline_and_its_embedder_an_inner_one() -> None:
    pipeline = make_pipeline(StandardScaler(), classifier(validation=0.2)).fit(X, Y)
    assert pipeline.predict(X).shape == Y.shape
    assert pipeline.score(X, Y) > 0.3
    embedder = MultiLabelEmbedder("bce", settings=SHORT, random_state=0)
    inner = make_pipeline(embedder, LogisticRegression()).fit(X, Y[:, 0])
    assert inner.score(X, Y[:, 0]) > 0.8


@pytest.fixture
def _workers_end() -> Iterator[None]:
    """joblib keeps its workers for the next call, which tests that count processes would find."""
    yield
    get_reusable_executor().shutdown(wait=True)


@pytest.mark.usefixtures("_workers_end")
def test_a_grid_search_over_settings_and_thresholds_in_two_processes_picks_the_trained_one() -> None:
    grid = {
        "settings": [SHORT | {"classify.stage.epochs": n} for n in (1, 12)],
        "thresholds": ["tuned", 0.99],
    }
    search = GridSearchCV(classifier(validation=0.2), grid, scoring="f1_macro", cv=2, n_jobs=2)
    search.fit(X, Y.astype(int))
    assert search.best_params_["settings"]["classify.stage.epochs"] == 12
    assert search.best_params_["thresholds"] == "tuned"
    assert search.best_score_ > 0.5


def test_cross_validation_predicts_rows_that_it_did_not_train_on() -> None:
    P = cross_val_predict(classifier(validation=0.2), X, Y.astype(int), cv=3, method="predict_proba")
    assert P.shape == Y.shape
    assert average_precision_score(Y, P, average="macro") > average_precision_score(Y, Y.mean(0) + 0 * P)


def test_a_clone_has_the_parameters_and_nothing_learnt() -> None:
    model = classifier(thresholds="top_k", calibrate=False, validation=0.3).fit(X, Y)
    again = clone(model)
    assert again.get_params() == model.get_params()
    assert not hasattr(again, "predictor_")
    np.testing.assert_array_equal(again.fit(X, Y).predict_proba(X), model.predict_proba(X))


def test_embedded_columns_have_names() -> None:
    pandas = pytest.importorskip("pandas")
    embedder = MultiLabelEmbedder("bce", settings=SHORT, random_state=0).set_output(transform="pandas")
    found = embedder.fit(X, Y).transform(X)
    assert isinstance(found, pandas.DataFrame)
    assert list(found.columns[:2]) == ["multilabelembedder0", "multilabelembedder1"]
    assert found.shape == (len(X), 16)


def test_tags_say_what_it_takes() -> None:
    tags = get_tags(classifier())
    assert tags.classifier_tags.multi_label
    assert tags.input_tags.sparse
    assert tags.target_tags.required
    assert get_tags(MultiLabelEmbedder()).estimator_type is None
