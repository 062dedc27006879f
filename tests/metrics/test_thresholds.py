"""Learnt thresholds against exhaustive search."""

import numpy as np
import pytest

from manylabel.metrics import GRID, LAMP_GRID, Counts, Threshold, learn_thresholds, top_k
from manylabel.metrics.thresholds import SET_METRICS


def draw(n=80, n_labels=6, seed=0):
    rng = np.random.default_rng(seed)
    Y = rng.random((n, n_labels)) < 0.3
    Y[:, 2] = False
    return np.clip(rng.normal(0.3 + 0.3 * Y, 0.2), 0, 1), Y


def value(metric, P, Y):
    return float(SET_METRICS[metric](Counts.of(P, Y)))


@pytest.mark.parametrize("grid", [GRID, LAMP_GRID])
@pytest.mark.parametrize("metric", SET_METRICS)
def test_shared(metric, grid):
    S, Y = draw()
    learnt = learn_thresholds(S, Y, [metric], grid=grid)[metric]
    values = [value(metric, t <= S, Y) for t in grid]
    assert learnt == Threshold("shared", grid[int(np.nanargmax(values))])
    assert value(metric, learnt.predict(S), Y) == pytest.approx(np.nanmax(values))


def test_per_label():
    S, Y = draw()
    learnt = learn_thresholds(S, Y, rule="per_label")
    for c, t in enumerate(learnt["macro_f1"].value):
        f1 = [value("micro_f1", (g <= S[:, [c]]), Y[:, [c]]) for g in GRID]
        assert t == (GRID[int(np.argmax(f1))] if Y[:, c].any() else learn_thresholds(S, Y)["micro_f1"].value)
    assert len(set(learnt.values())) == 1
    np.testing.assert_array_equal(learnt["macro_f1"].predict(S), np.array(learnt["macro_f1"].value) <= S)


@pytest.mark.parametrize("metric", ["macro_f1", "micro_f1", "example_f1", "hamming_accuracy"])
def test_top_k(metric):
    S, Y = draw()
    S = np.round(S, 1)
    learnt = learn_thresholds(S, Y, [metric], rule="top_k")[metric]
    values = [value(metric, top_k(S, k), Y) for k in range(1, Y.sum(1).max() + 1)]
    assert learnt == Threshold("top_k", 1 + int(np.argmax(values)))
    np.testing.assert_array_equal(learnt.predict(S), top_k(S, learnt.value))


def test_of_equal_thresholds_the_lowest_is_taken():
    S, Y = np.array([[0.05, 0.95]]), np.array([[0, 1]])
    assert all(t.value == 0.1 for t in learn_thresholds(S, Y).values())


def test_without_any_label():
    S = np.full((4, 3), 0.35)
    Y = np.zeros((4, 3))
    assert learn_thresholds(S, Y)["hamming_accuracy"].value == 0.4
    assert learn_thresholds(S, Y, rule="top_k")["micro_f1"].value == 1
    assert learn_thresholds(S, Y, rule="per_label")["micro_f1"].value == (0.1, 0.1, 0.1)


def test_thresholds_are_compared_in_the_precision_of_the_scores():
    assert Threshold("shared", 0.9).predict(np.array([[0.9]], np.float32)).all()
    assert Threshold("per_label", (0.9,)).predict(np.array([[0.9]], np.float32)).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metrics": ["map"]}, "metrics of label sets"),
        ({"rule": "best"}, "a rule of shared, per_label, top_k"),
        ({"grid": [0.9, 0.1]}, "ascending thresholds"),
    ],
)
def test_unknown_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        learn_thresholds(*draw(), **settings)


def test_logits_are_refused():
    S, Y = draw()
    with pytest.raises(ValueError, match=r"scores in \[0, 1\], but got values from .* sigmoid"):
        learn_thresholds(6 * S - 3, Y)


def test_scores_of_other_labels_are_refused():
    with pytest.raises(ValueError, match="scores of 3 labels"):
        Threshold("per_label", (0.1, 0.2, 0.3)).predict(np.full((2, 4), 0.5))
