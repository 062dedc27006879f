"""Estimators whose method cross-fits itself: one training, whose held-out scores teach the decisions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks
from tests.estimator.small import small

from manylabel import ManyLabelError, MultiLabelClassifier, MultiLabelEmbedder
from manylabel.estimator import audit
from manylabel.methods import Method

QUICK: dict[str, Any] = {
    "folds": 2,
    "learners.network": None,
    "learners.shallow_network": None,
    "learners.trees": None,
    "learners.boosted": None,
    "learners.linear.rivals": {},
    "learners.linear.grid.values": [0.1, 1.0],
}
X, Y = small(160)
NEW, TRUTH = small(200, seed=1)


@parametrize_with_checks([MultiLabelClassifier("best", settings=QUICK)])
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    check(estimator)


def classifier(**parameters: Any) -> MultiLabelClassifier:
    return MultiLabelClassifier(settings=QUICK, random_state=0, **parameters)


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The rows that each call of a method got."""
    seen, fit = [], Method.fit

    def noted(self: Method, train: Any, validation: Any, **given: Any) -> Any:
        seen.append((len(train), validation))
        return fit(self, train, validation, **given)

    monkeypatch.setattr(Method, "fit", noted)
    return seen


def test_it_is_trained_once_on_all_rows(fits: list[Any]) -> None:
    model = classifier().fit(X, Y)
    assert fits == [(160, None)]
    assert model.how_ == "cross-fitting over 2 folds"
    assert 0.9 < model.balance_ <= 1
    assert model.quality_["map"] > 0.8
    assert model.score(NEW, TRUTH) > 0.5
    assert model.predictor_.held_out is not None


def test_rows_held_out_on_demand_teach_the_decisions_alone(fits: list[Any]) -> None:
    model = classifier(validation=0.25).fit(X, Y)
    assert (fits, model.how_) == ([(120, None)], "40 rows held out")
    model = classifier(validation=(NEW, TRUTH)).fit(X, Y)
    assert (fits[-1], model.how_) == ((160, None), "the validation rows")


def test_rows_of_a_group_stay_in_one_fold() -> None:
    groups = np.arange(160) // 8
    model = classifier().fit(X, Y, groups=groups)
    held = model.predictor_.held_out
    assert held is not None
    assert model.balance_ > 0.8
    assert (np.bincount(held.folds) % 8 == 0).all()


def test_what_learners_are_worth_is_printed_where_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    classifier(verbose=1).fit(X, Y)
    printed = capsys.readouterr().out
    assert "Cross-fitting best on 160 rows." in printed
    assert "best: linear 0." in printed


def test_rows_and_labels_join_the_neighbours() -> None:
    model = classifier().fit(X, [{"a"} if row[0] else {"b"} for row in Y])
    before = model.predict_proba(NEW)
    model.add(NEW[:50], [{"c"}] * 50)
    after = model.predict_proba(NEW)
    assert list(model.classes_) == ["a", "b", "c"]
    assert (after.shape[1], before.shape[1]) == (3, 2)
    assert after[:50, 2].mean() > 0.2
    assert "nothing" not in str(model.explain_label("a"))


def test_without_neighbours_no_rows_can_be_added() -> None:
    model = MultiLabelClassifier(settings=QUICK | {"learners.neighbours": None}, random_state=0).fit(X, Y)
    with pytest.raises(ManyLabelError, match="mulsupcon_knn"):
        model.add(NEW, TRUTH)


def test_an_audit_takes_the_scores_of_its_one_training(fits: list[Any]) -> None:
    wrong = Y.copy()
    wrong[:4, 0] = ~wrong[:4, 0]
    found = audit(X, wrong, settings=QUICK, folds=3)
    assert fits == [(160, None)]
    assert {finding.row for finding in found.findings(12)} & {0, 1, 2, 3}
    assert found.model.shape == Y.shape


def test_the_default_embedder_is_one_network() -> None:
    assert MultiLabelEmbedder().method == "mulsupcon"
