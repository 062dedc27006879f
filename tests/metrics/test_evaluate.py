"""The report: where thresholds come from, what it carries, what it refuses."""

import json

import numpy as np
import pytest
import torch

from manylabel import metrics
from manylabel.metrics import DEFAULT_METRICS, DISPLAY_NAMES, Counts, evaluate, learn_thresholds


def draw(n=90, n_labels=6, seed=0):
    rng = np.random.default_rng(seed)
    Y = rng.random((n, n_labels)) < 0.3
    Y[:, 4] = False
    return np.clip(rng.normal(0.3 + 0.25 * Y, 0.2), 0, 1), Y


TEST, VALIDATION = draw(seed=0), draw(seed=1)
SET_KEYS = DEFAULT_METRICS[2:]


def test_tuned_is_the_default_and_applies_validation_thresholds():
    found = evaluate(*TEST, validation=VALIDATION)
    assert found.protocol == "tuned"
    learnt = learn_thresholds(*VALIDATION)
    S, Y = TEST
    for metric in SET_KEYS:
        assert found.thresholds[metric] == learnt[metric].value
        assert found.values[metric] == pytest.approx(
            float(getattr(Counts.of(learnt[metric].value <= S, Y), metric)())
        )
    assert found.thresholds["map"] is None
    assert found.thresholds["precision_at_1"] is None
    assert found.values["map"] == metrics.mean_average_precision(S, Y)
    assert found.values["precision_at_1"] == metrics.precision_at_k(S, Y)


@pytest.mark.parametrize("rule", ["shared", "per_label", "top_k", "per_metric"])
def test_tuned_never_looks_at_test_labels(rule):
    S, Y = TEST
    shuffled = np.random.default_rng(2).permutation(Y)
    before = evaluate(S, Y, validation=VALIDATION, rule=rule)
    after = evaluate(S, shuffled, validation=VALIDATION, rule=rule)
    assert after.thresholds == before.thresholds
    assert after.values != before.values
    assert evaluate(S, ~Y, validation=VALIDATION, rule=rule).thresholds == before.thresholds


def test_the_oracle_does_look():
    S, Y = TEST
    assert evaluate(S, Y, "oracle").thresholds != evaluate(S, ~Y, "oracle").thresholds


def test_fixed():
    S, Y = TEST
    found = evaluate(S, Y, "fixed")
    assert {found.thresholds[m] for m in SET_KEYS} == {0.5}
    assert found.values["macro_f1"] == float(Counts.of(S >= 0.5, Y).macro_f1())


@pytest.mark.parametrize("rule", ["shared", "top_k"])
def test_no_protocol_beats_the_oracle(rule):
    oracle = evaluate(*TEST, "oracle", rule=rule)
    others = [evaluate(*TEST, validation=VALIDATION, rule=rule)]
    others += [evaluate(*TEST, "fixed")] if rule == "shared" else []
    for other in others:
        assert all(other.values[m] <= oracle.values[m] for m in SET_KEYS)


@pytest.mark.parametrize("protocol", ["fixed", "tuned", "oracle"])
def test_every_result_names_its_protocol(protocol):
    found = evaluate(*TEST, protocol, VALIDATION)
    assert found.protocol == found.to_dict()["protocol"] == protocol
    assert str(found).startswith(f"{protocol} protocol")
    if protocol == "oracle":
        assert "chosen on the scored rows" in str(found)


def test_per_label_values_and_labels_left_out():
    S, Y = TEST
    found = evaluate(S, Y, "fixed")
    assert found.left_out == (4,)
    np.testing.assert_array_equal(found.per_label["positives"], Y.sum(0))
    np.testing.assert_array_equal(found.per_label["ap"], metrics.average_precision(S, Y))
    np.testing.assert_array_equal(found.per_label["f1"], Counts.of(S >= 0.5, Y).labels.f1())
    assert np.isnan(found.per_label["ap"][4])
    assert "labels without positives: 1 of 6" in str(found)


def test_absent_labels_can_count_as_zero():
    kept, zero = (evaluate(*TEST, "fixed", absent=absent).values for absent in ("leave_out", "zero"))
    assert zero.pop("map") == pytest.approx(kept.pop("map") * 5 / 6)
    assert zero == kept


@pytest.mark.parametrize("rule", ["shared", "per_label", "top_k", "per_metric"])
def test_json(rule):
    found = evaluate(*TEST, validation=VALIDATION, rule=rule, metrics=tuple(DISPLAY_NAMES))
    text = json.dumps(found.to_dict(), allow_nan=False)
    back = json.loads(text)
    assert back == found.to_dict()
    assert back["values"] == found.values
    assert back["per_label"]["ap"][4] is None
    assert set(back["values"]) == set(DISPLAY_NAMES)


def test_undefined_values_are_null_in_json():
    found = evaluate(np.zeros((2, 3)), np.zeros((2, 3)), "fixed")
    assert found.to_dict()["values"]["map"] is None
    assert found.to_dict()["values"]["example_f1"] is None
    assert found.to_dict()["values"]["hamming_accuracy"] == 1


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")
def test_tensors_on_either_side():
    S, Y = TEST
    as_tensors = evaluate(torch.from_numpy(S), torch.from_numpy(Y).to_sparse(), "fixed")
    assert as_tensors.values == evaluate(S, Y, "fixed").values


def test_ranks_alone_need_neither_probabilities_nor_validation():
    S, Y = TEST
    found = evaluate(10 * S - 5, Y, metrics=["map", "lrap"])
    assert set(found.values) == {"map", "lrap"}
    assert np.isnan(found.per_label["f1"]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"validation": None}, 'validation=.* for protocol="tuned".*none.*protocol="fixed"'),
        (
            {"validation": (VALIDATION[0][:, :3], VALIDATION[1][:, :3])},
            "validation rows of 6 labels, but got 3",
        ),
        (
            {"validation": (VALIDATION[0][:9], VALIDATION[1])},
            r"evaluate: validation: expected labels of shape \(9, 6\)",
        ),
        ({"validation": VALIDATION[0]}, r"validation=\(scores, Y\)"),
        ({"validation": (VALIDATION[0] * 2, VALIDATION[1])}, r"scores in \[0, 1\]"),
        ({"scores": TEST[0] * 2 - 1}, r"evaluate: expected scores in \[0, 1\].*sigmoid"),
        ({"scores": TEST[0][:4]}, r"evaluate: expected labels of shape \(4, 6\)"),
        ({"protocol": "best"}, 'protocol to be "tuned", "fixed" or "oracle"'),
        ({"protocol": "fixed", "rule": "top_k"}, 'rule="shared" for protocol="fixed"'),
        ({"rule": "best"}, "a rule of shared"),
        ({"metrics": ["f1"]}, "metrics of map, .*but got 'f1'"),
        ({"absent": "drop"}, 'absent to be "leave_out" or "zero"'),
    ],
)
def test_what_is_refused(change, message):
    settings = {"scores": TEST[0], "Y": TEST[1], "validation": VALIDATION} | change
    with pytest.raises(ValueError, match=message):
        evaluate(**settings)


def test_the_public_face():
    constants = {"DEFAULT_METRICS", "DISPLAY_NAMES", "GRID", "KEPT", "LAMP_GRID", "WHOLE_UP_TO"}
    classes = {"Counts", "Evaluation", "StreamedScores", "Tally", "Threshold", "TopScores"}
    of_ranks = {"average_precision", "mean_average_precision", "coverage_error", "ranking_loss", "lrap"}
    at_k = {"ndcg_at_k", "precision_at_k", "recall_at_k", "top_k"}
    weighted = {"propensities", "propensity_scored_precision_at_k"}
    others = {"brier_score", "calibration_error", "learn_thresholds", "evaluate", "evaluate_protocols"}
    decisions = {"Decision", "ExpectedF1", "LearntThresholds", "SeenSets", "decision_from", "learn_decision"}
    pictured = {"F1Curve", "Reliability", "Slice", "f1_curves", "reliability", "slices"}
    decided = {"Calibration", "Quality", "measure_decisions", "Retrieval", "TrainingLabels", "retrieval"}
    documented = classes | of_ranks | at_k | weighted | others | decisions | pictured | decided
    assert set(metrics.__all__) == constants | documented
    assert all(getattr(metrics, name).__doc__ for name in documented)
