"""Decisions measured as they are: the same numbers as scikit-learn's, label by label and overall."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.metrics import f1_score, precision_recall_fscore_support

from manylabel import ManyLabelError
from manylabel.metrics import evaluate, measure_decisions

RNG = np.random.default_rng(0)
S = RNG.random((60, 5)).astype(np.float32)
Y = (RNG.random((60, 5)) < [0.5, 0.3, 0.2, 0.1, 0.0]).astype(np.uint8)


def test_every_number_is_that_of_scikit_learn() -> None:
    P = S >= [0.3, 0.5, 0.7, 0.9, 2.0]
    found = measure_decisions(S, P, Y)
    precision, recall, f1, support = precision_recall_fscore_support(Y, P, zero_division=np.nan)
    for name, wanted in (("precision", precision), ("recall", recall), ("f1", f1), ("positives", support)):
        np.testing.assert_allclose(found.per_label[name], wanted)
    assert found.values["micro_f1"] == pytest.approx(f1_score(Y, P, average="micro"))
    assert found.values["macro_f1"] == pytest.approx(f1_score(Y, P, average="macro", zero_division=0))
    assert found.values["subset_accuracy"] == pytest.approx((Y == P).all(1).mean())
    assert np.isnan(found.per_label["ap"][4])
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["per_label"]["ap"][4] is None


def test_decisions_at_one_half_are_those_of_the_fixed_protocol() -> None:
    found = measure_decisions(S, S >= 0.5, Y).values
    wanted = evaluate(S, Y, "fixed", metrics=[*found]).values
    assert found == pytest.approx(wanted)


def test_an_unknown_entry_counts_for_nothing() -> None:
    hidden = Y.astype(float)
    hidden[0] = np.nan
    found, wanted = measure_decisions(S, S >= 0.5, hidden), measure_decisions(S[1:], S[1:] >= 0.5, Y[1:])
    for name, numbers in wanted.per_label.items():
        np.testing.assert_allclose(found.per_label[name], numbers)
    assert found.values["micro_f1"] == pytest.approx(wanted.values["micro_f1"])


def test_rows_without_any_label_have_no_map() -> None:
    assert np.isnan(measure_decisions(S, S >= 0.5, np.zeros_like(Y)).values["map"])


def test_decisions_that_are_none_are_refused() -> None:
    with pytest.raises(ManyLabelError, match="0 or 1"):
        measure_decisions(S, S, Y)
