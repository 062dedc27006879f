"""Thresholds of rows that count differently: a row of weight 2 is the same row twice, one of weight 0 is none."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from manylabel import ManyLabelError
from manylabel.metrics import learn_thresholds
from manylabel.metrics.decisions import learn_decision
from manylabel.metrics.learnt_thresholds import learn_label_thresholds
from manylabel.metrics.thresholds import SET_METRICS, Rule

N, C = 90, 5
TIMES = np.arange(N) % 3  # a third of the rows left out, a third twice


def draw(seed=0):
    rng = np.random.default_rng(seed)
    Y = rng.random((N, C)) < [0.5, 0.3, 0.2, 0.1, 0.05]
    S = np.round(np.clip(rng.normal(0.3 + 0.25 * Y, 0.2), 0, 1), 2)
    return S, np.where(rng.random(Y.shape) < 0.1, np.nan, Y), np.arange(N) // 3 % 5


@pytest.mark.parametrize("rule", get_args(Rule))
@pytest.mark.parametrize("seed", [0, 1])
def test_weights_of_rows_repeat_them(rule, seed):
    S, Y, _ = draw(seed)
    twice = np.repeat(np.arange(N), TIMES)
    weighted = learn_thresholds(S, Y, tuple(SET_METRICS), rule=rule, weights=TIMES)
    assert weighted == learn_thresholds(S[twice], Y[twice], tuple(SET_METRICS), rule=rule)
    assert weighted != learn_thresholds(S, Y, tuple(SET_METRICS), rule=rule)


@pytest.mark.parametrize("extent", ["shared", "per_label"])
def test_weights_of_rows_repeat_them_in_folds(extent):
    S, Y, folds = draw()
    twice = np.repeat(np.arange(N), TIMES)
    weighted = learn_label_thresholds(S, Y, folds, extent, weights=TIMES)
    repeated = learn_label_thresholds(S[twice], Y[twice], folds[twice], extent)
    np.testing.assert_allclose(weighted.values, repeated.values)
    np.testing.assert_allclose(weighted.spreads, repeated.spreads, atol=1e-12)
    assert (weighted.values != learn_label_thresholds(S, Y, folds, extent).values).any()


def test_weights_of_entries_are_those_of_each_label_by_itself():
    S, Y, folds = draw()
    W = (np.arange(N)[:, None] + np.arange(C)) % 3
    together = learn_thresholds(S, Y, ["macro_f1"], rule="per_label", weights=W)["macro_f1"].value
    carried = np.flatnonzero(np.nansum(W * Y, axis=0))
    assert len(carried) >= 4
    for label in carried:
        twice = np.repeat(np.arange(N), W[:, label])
        alone = learn_thresholds(S[twice, label, None], Y[twice, label, None], ["macro_f1"], rule="per_label")
        assert together[label] == alone["macro_f1"].value[0]
    decided = learn_decision("per_label", S, Y, folds, weights=np.repeat(TIMES[:, None], C, axis=1))
    of_rows = learn_decision("per_label", S, Y, folds, weights=TIMES)
    np.testing.assert_allclose(decided.values, of_rows.values)


def test_small_weights_are_no_rows_less():
    S, Y, folds = draw()
    for rule in ("shared", "per_label"):
        small = learn_thresholds(S, Y, rule=rule, weights=np.full(N, 0.25))
        assert small == learn_thresholds(S, Y, rule=rule)
    none = learn_label_thresholds(S, Y, folds, shrinkage=0)
    small = learn_label_thresholds(S, Y, folds, shrinkage=0, weights=np.full(N, 0.25))
    np.testing.assert_allclose(small.values, none.values)


@pytest.mark.parametrize("weights", [np.ones(N - 1), -np.ones(N), np.full((N, C), np.nan)])
def test_bad_weights_are_refused(weights):
    S, Y, folds = draw()
    for learn in (
        lambda: learn_thresholds(S, Y, weights=weights),
        lambda: learn_decision("shared", S, Y, folds, weights=weights),
    ):
        with pytest.raises(ManyLabelError, match="weights"):
            learn()
