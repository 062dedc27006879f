"""Label-set metrics against scikit-learn, and the sweep against one threshold after the other."""

import numpy as np
import pytest
from sklearn import metrics as sk

from manylabel.metrics import GRID, LAMP_GRID, Counts
from manylabel.metrics.thresholds import SET_METRICS


def draw(n=60, n_labels=9, decimals=2, seed=0):
    rng = np.random.default_rng(seed)
    Y = rng.random((n, n_labels)) < 0.25
    Y[:4] = False
    Y[:, 5] = False  # absent, sometimes predicted
    Y[:, 6] = False  # absent, never predicted
    S = np.round(np.clip(rng.normal(0.3 + 0.3 * Y, 0.2), 0, 1), decimals)
    S[:, 6] = 0
    S[:2] = 0
    return S, Y


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("zero_division", [0.0, 1.0, np.nan])
def test_scikit_learn(seed, zero_division):
    S, Y = draw(seed=seed)
    P = S >= 0.5
    ours, rule = Counts.of(P, Y), {"zero_division": zero_division}
    assert ours.macro_f1(zero_division) == pytest.approx(sk.f1_score(Y, P, average="macro", **rule))
    assert ours.example_f1(zero_division) == pytest.approx(sk.f1_score(Y, P, average="samples", **rule))
    assert ours.class_precision(zero_division) == pytest.approx(
        sk.precision_score(Y, P, average="macro", **rule)
    )
    assert ours.class_recall(zero_division) == pytest.approx(sk.recall_score(Y, P, average="macro", **rule))
    assert ours.micro_f1() == pytest.approx(sk.f1_score(Y, P, average="micro"))
    assert ours.overall_f1() == pytest.approx(sk.f1_score(Y, P, average="micro"))
    assert ours.overall_precision() == pytest.approx(sk.precision_score(Y, P, average="micro"))
    assert ours.overall_recall() == pytest.approx(sk.recall_score(Y, P, average="micro"))
    assert ours.hamming_accuracy() == pytest.approx(1 - sk.hamming_loss(Y, P))
    assert ours.subset_accuracy() == pytest.approx(sk.accuracy_score(Y, P))
    np.testing.assert_allclose(ours.labels.f1(), sk.f1_score(Y, P, average=None, zero_division=np.nan))


def test_class_f1_is_not_the_macro_f1():
    counts = Counts.of(*(draw()[0] >= 0.5, draw()[1]))
    cp, cr = counts.class_precision(), counts.class_recall()
    assert counts.class_f1() == pytest.approx(2 * cp * cr / (cp + cr))
    assert abs(counts.class_f1() - counts.macro_f1()) > 1e-3


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("grid", [GRID, LAMP_GRID, (0.5,), (0.0, 1.0)])
@pytest.mark.parametrize("name", SET_METRICS)
def test_a_sweep_is_one_threshold_after_the_other(name, grid, dtype):
    S, Y = draw()
    S = S.astype(dtype)
    one_by_one = [SET_METRICS[name](Counts.of(dtype(t) <= S, Y)) for t in grid]
    np.testing.assert_allclose(SET_METRICS[name](Counts.sweep(S, Y, grid)), one_by_one, rtol=1e-14)


def test_nothing_true_and_nothing_predicted():
    nothing = Counts.of(np.zeros((3, 2)), np.zeros((3, 2)))
    assert nothing.macro_f1() == nothing.micro_f1() == nothing.class_f1() == nothing.overall_f1() == 0
    assert np.isnan(nothing.macro_f1(np.nan))
    assert np.isnan(nothing.example_f1())
    assert nothing.hamming_accuracy() == nothing.subset_accuracy() == 1


def test_a_score_at_the_threshold_is_predicted():
    assert Counts.sweep(np.array([[0.5]]), np.array([[1]]), [0.5]).micro_f1() == 1
    assert Counts.sweep(np.array([[0.9]], np.float32), np.array([[1]]), [0.9]).micro_f1() == 1


def test_the_grid_of_27_values():
    assert len(LAMP_GRID) == 27
    assert list(LAMP_GRID) == sorted(LAMP_GRID)
    assert (LAMP_GRID[0], LAMP_GRID[9], LAMP_GRID[10], LAMP_GRID[-1]) == (0.01, 0.1, 0.15, 0.95)


@pytest.mark.parametrize("grid", [[0.5, 0.4], [0.5, 0.5], [], 0.5])
def test_thresholds_must_ascend(grid):
    with pytest.raises(ValueError, match="ascending thresholds"):
        Counts.sweep(*draw(), grid)


def test_scores_are_no_predictions():
    with pytest.raises(ValueError, match="predictions that are 0 or 1"):
        Counts.of(*draw())
