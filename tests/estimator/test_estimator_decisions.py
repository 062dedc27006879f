"""Decisions of the classifier: learnt by cross-fitting or on held-out rows, and told; never on rows that trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.estimator.small import SHORT, small

from manylabel import MultiLabelClassifier, metrics
from manylabel.data import Rows
from manylabel.data.rows import as_features
from manylabel.estimator.decisions import FEWEST_ROWS, cross_fitted, fold_count
from manylabel.labels import as_labels
from manylabel.metrics import ExpectedF1, LearntThresholds, SeenSets, Threshold

X, Y = small(160)
NEW, TRUTH = small(300, seed=1)


def fit(
    X: Any = X, y: Any = Y, *, groups: Any = None, weight: Any = None, **parameters: Any
) -> MultiLabelClassifier:
    parameters = {"method": "bce", "settings": SHORT, "random_state": 0} | parameters
    return MultiLabelClassifier(**parameters).fit(X, y, groups=groups, sample_weight=weight)


KINDS = {
    "tuned": LearntThresholds,
    "shared": LearntThresholds,
    "fixed": Threshold,
    "top_k": Threshold,
    "expected_f1": ExpectedF1,
    "seen_sets": SeenSets,
}


@pytest.mark.parametrize("rule", KINDS)
def test_every_rule_decides(rule: Any) -> None:
    model = fit(thresholds=rule, validation=0.25)
    assert type(model.predictor_.decision) is KINDS[rule]
    predicted = model.predict(NEW)
    assert predicted.dtype == bool
    assert metrics.Counts.of(predicted, as_labels(TRUTH)).micro_f1() > (0.3 if rule == "top_k" else 0.5)
    if rule == "top_k":
        assert len(set(predicted.sum(1))) == 1
    if rule == "seen_sets":
        assert {tuple(row) for row in predicted} <= {tuple(row) for row in Y}
    if rule == "fixed":
        np.testing.assert_array_equal(predicted, model.predictor_.scores(NEW) >= 0.5)


def test_a_number_is_the_threshold() -> None:
    model = fit(thresholds=0.8, validation=0.25)
    np.testing.assert_array_equal(model.predict(NEW), model.predictor_.scores(NEW) >= np.float32(0.8))


def test_thresholds_by_cross_fitting_vary_over_folds_and_tell_their_support() -> None:
    model = fit()
    report = model.predictor_.decision.report()  # type: ignore[attr-defined]
    assert [one.positives for one in report] == Y.sum(0).tolist()  # every row was held out once
    assert all(one.spread > 0 for one in report)
    for label, one in enumerate(report):
        told = model.explain_label(label)
        assert (told.threshold, told.spread, told.source) == (one.value, one.spread, one.source)
        assert told.support == Y[:, label].sum()
        assert told.how == "cross-fitting over 5 folds"
        assert told.f1 is not None
        assert all(Y[row, label] for row in told.nearest)
        assert len(set(told.nearest)) == 5
        assert f"{one.value:.3f} ± {one.spread:.3f} over folds" in str(told)
    assert 0.9 < model.balance_ <= 1


def test_no_row_is_scored_by_a_model_that_saw_it() -> None:
    rows = Rows(as_features(np.arange(30.0)[:, None]), as_labels(Y[:30]))
    folds, trained = np.arange(30) % 3, {}

    class Model:
        def __init__(self, fold: int) -> None:
            self.fold = fold

        def scores(self, X: Any) -> np.ndarray:
            numbers = np.asarray(X)[:, 0].astype(int)
            assert not trained[self.fold] & set(numbers.tolist())
            return np.repeat(numbers[:, None], 4, axis=1) / 30

    def train(part: Rows, groups: Any, fold: int) -> Any:
        trained[fold] = set(np.asarray(part.X)[:, 0].astype(int).tolist())
        return Model(fold)

    held_out = cross_fitted(train, rows, None, folds)
    np.testing.assert_allclose(held_out.scores[:, 0], np.arange(30) / 30, atol=1e-6)
    assert [len(trained[fold]) for fold in range(3)] == [20, 20, 20]


def test_folds_are_fewer_for_more_rows_and_none_for_few() -> None:
    found = [fold_count(n, None) for n in (FEWEST_ROWS - 1, FEWEST_ROWS, 9_999, 10_000, 49_999, 50_000)]
    assert found == [0, 5, 5, 3, 3, 0]
    assert fold_count(100, np.arange(100) % 2) == 2
    assert fold_count(100, np.zeros(100)) == 0


def test_few_rows_teach_nothing_and_the_model_says_so() -> None:
    model = fit(X[:12], Y[:12])
    assert model.predictor_.decision == Threshold("shared", 0.5)
    assert "fewer than 20 rows" in model.predictor_.note
    assert model.explain_label(0).f1 is None


def test_rows_of_a_group_stay_together_in_every_split() -> None:
    groups = np.arange(160) // 8
    told = np.array([f"patient {group}" for group in groups])
    model = fit(groups=told)
    assert 0.5 < model.balance_ < 1
    copies = fit(np.repeat(X[:20], 8, axis=0), np.repeat(Y[:20], 8, axis=0))
    alone = fit(np.repeat(X[:20], 8, axis=0), np.repeat(Y[:20], 8, axis=0), groups=groups)
    assert copies.quality_["map"] > alone.quality_["map"]  # copies in other folds give rows away


def test_two_groups_are_enough_to_cross_fit() -> None:
    model = fit(groups=np.arange(160) % 2)
    assert model.how_ == "cross-fitting over 2 folds"
    assert 0.5 < model.balance_ <= 1


def test_the_order_of_rows_does_not_matter_and_whole_weights_are_repeats() -> None:
    order, weights = np.random.default_rng(0).permutation(160), np.arange(160) % 3
    P = fit(validation=0.25).predict_proba(NEW)
    np.testing.assert_array_equal(fit(X[order], Y[order], validation=0.25).predict_proba(NEW), P)
    weighted = fit(weight=weights, validation=0.25).predict_proba(NEW)
    repeated = fit(np.repeat(X, weights, axis=0), np.repeat(Y, weights, axis=0), validation=0.25)
    np.testing.assert_array_equal(weighted, repeated.predict_proba(NEW))
    assert not np.array_equal(weighted, P)


def test_weights_of_rows_and_of_entries_weigh_the_loss() -> None:
    by_row = np.where(Y[:, 3], 5.5, 0.5)
    entries = np.ones(Y.shape)
    entries[:, 3] = np.where(Y[:, 3], 9.0, 0.2)
    plain = fit(validation=0.25, calibrate=False).predict_proba(NEW)
    for weight in (by_row, entries):
        found = fit(weight=weight, validation=0.25, calibrate=False).predict_proba(NEW)
        assert found[:, 3].mean() > plain[:, 3].mean() + 0.02


def test_given_validation_rows_teach() -> None:
    model = fit(validation=(NEW[:100], TRUTH[:100]))
    report = model.predictor_.decision.report()  # type: ignore[attr-defined]
    assert [one.positives for one in report] == TRUTH[:100].sum(0).tolist()
    assert np.isnan(model.balance_)


def test_calibration_can_be_left_out_and_lowers_the_error_of_probabilities() -> None:
    plain, calibrated = fit(calibrate=False), fit()
    np.testing.assert_array_equal(plain.predict_proba(NEW), plain.predictor_.scores(NEW))
    np.testing.assert_array_equal(plain.predictor_.scores(NEW), calibrated.predictor_.scores(NEW))
    errors = [metrics.brier_score(model.predict_proba(NEW), TRUTH) for model in (plain, calibrated)]
    assert np.mean(errors[1]) < np.mean(errors[0]) + 0.01


def test_what_happens_is_printed_where_it_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    fit(verbose=1)
    printed = capsys.readouterr().out
    assert "5 folds of 160 rows; labels balanced over folds: 0.9" in printed
    assert "fold-4: training on" in printed
    assert "Training on 144 rows; 16 choose the epochs." in printed
    fit(validation=0.25)
    assert capsys.readouterr().out == ""


def test_the_default_learns_a_small_set() -> None:
    quick = {"folds": 2, "learners.network.rivals": {}, "learners.trees.bound.most": 50}
    model = MultiLabelClassifier(settings=quick, random_state=0, validation=0.25).fit(X, Y)
    assert model.predictor_.recipe["name"] == "best"
    assert metrics.Counts.of(model.predict(NEW), as_labels(TRUTH)).macro_f1() > 0.5
    assert model.transform(NEW).shape[0] == 300
