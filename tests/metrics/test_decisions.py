"""Rules by name: what each predicts, and that it comes back from its state."""

import json

import numpy as np
import pytest

from manylabel.labels import as_labels
from manylabel.metrics import Counts, Threshold, top_k
from manylabel.metrics.decisions import READERS, DecisionName, decision_from, learn_decision

NAMES = DecisionName.__args__


def draw(n=120, shares=(0.5, 0.3, 0.2, 0.1, 0.05), seed=0):
    rng = np.random.default_rng(seed)
    Y = rng.random((n, len(shares))) < shares
    S = np.clip(rng.normal(0.25 + 0.3 * Y, 0.2), 0, 1).astype(np.float32)
    return S, Y, np.arange(n) % 4


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_predicts_and_comes_back(name):
    S, Y, folds = draw()
    rule = learn_decision(name, S, Y, folds)
    predicted = rule.predict(S)
    assert predicted.shape == S.shape
    assert predicted.dtype == bool
    assert 0 < predicted.sum() < predicted.size
    plain, arrays = rule.state()
    assert all(isinstance(array, np.ndarray) for array in arrays.values())
    back = decision_from(json.loads(json.dumps(plain, allow_nan=False)), arrays)
    np.testing.assert_array_equal(back.predict(S), predicted)
    assert type(back) is type(rule)


@pytest.mark.parametrize("name", NAMES)
def test_rules_do_not_depend_on_layout_or_order_of_rows(name):
    S, Y, folds = draw()
    order = np.random.default_rng(0).permutation(len(S))
    new = draw(seed=1)[0]
    expected = learn_decision(name, S, Y, folds, Y_train=Y).predict(new)
    for other in (Y[order], as_labels(Y[order]).sparse()):
        rule = learn_decision(name, S[order], other, folds[order], Y_train=other)
        assert (rule.predict(new) == expected).mean() == 1


@pytest.mark.parametrize("name", ["shared", "per_label", "top_k"])
def test_unknown_entries_teach_nothing(name):
    S, Y, folds = draw()
    known = np.random.default_rng(2).random(Y.shape) < 0.5
    one, other = (learn_decision(name, S, labels, folds, known=known) for labels in (Y, Y ^ ~known))
    np.testing.assert_array_equal(one.predict(S), other.predict(S))


def test_top_k_is_the_best_number_of_labels():
    for seed in range(4):
        S, Y, folds = draw(seed=seed)
        values = [float(Counts.of(top_k(S, k), Y).macro_f1()) for k in range(1, 6)]
        rule = learn_decision("top_k", S, Y, folds)
        assert values[rule.value - 1] == pytest.approx(max(values))
    assert learn_decision("top_k", S, np.zeros_like(Y), folds).value == 1


def test_fixed():
    assert learn_decision("fixed", *draw()) == Threshold("shared", 0.5)


def test_seen_sets_of_training_rows():
    S, Y, folds = draw()
    Y_train = np.eye(5, dtype=bool)
    assert learn_decision("seen_sets", S, Y, folds, Y_train=Y_train).predict(S).sum(1).tolist() == [1] * 120


def test_what_is_no_rule_is_refused():
    with pytest.raises(ValueError, match="a rule of fixed, shared"):
        learn_decision("best", *draw())
    with pytest.raises(ValueError, match="a rule of threshold, learnt_thresholds"):
        decision_from({"decision": "pickle"}, {})
    with pytest.raises(ValueError, match="a rule of threshold, learnt_thresholds"):
        decision_from({}, {})
    for name in READERS:
        with pytest.raises(ValueError, match="lacks a part"):
            decision_from({"decision": name}, {})
