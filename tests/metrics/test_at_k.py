"""Metrics of the first k labels, by hand and by slow definitions."""

import numpy as np
import pytest

from manylabel import metrics


def test_ties_go_to_the_lowest_label():
    S = np.array([[0.5, 0.9, 0.5, 0.5], [0.1, 0.1, 0.1, 0.1]])
    np.testing.assert_array_equal(metrics.top_k(S, 2), [[1, 1, 0, 0], [1, 1, 0, 0]])
    np.testing.assert_array_equal(metrics.top_k(S, 3), [[1, 1, 1, 0], [1, 1, 1, 0]])
    np.testing.assert_array_equal(metrics.top_k(S, 4), np.ones((2, 4)))


@pytest.mark.parametrize("k", [1, 2, 5, 9])
def test_top_k_is_a_stable_sort(k):
    S = np.random.default_rng(0).integers(0, 5, (50, 9)).astype(np.float32)
    first = np.argsort(-S, axis=1, kind="stable")[:, :k]
    expected = np.zeros(S.shape, bool)
    np.put_along_axis(expected, first, True, 1)
    np.testing.assert_array_equal(metrics.top_k(S, k), expected)


def test_precision_and_recall_by_hand():
    S = np.array([[0.9, 0.8, 0.1], [0.2, 0.1, 0.3], [0.3, 0.2, 0.1]])
    Y = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 0]])
    assert metrics.precision_at_k(S, Y) == pytest.approx((1 + 0 + 1) / 3)  # the row without labels is a miss
    assert metrics.precision_at_k(S, Y, 2) == pytest.approx((1 + 0 + 2) / 6)
    assert metrics.recall_at_k(S, Y, 2) == pytest.approx((1 / 2 + 1) / 2)  # and has no recall
    assert np.isnan(metrics.recall_at_k(S[1:2], Y[1:2]))


def test_propensities_by_hand():
    Y = np.zeros((100, 3), int)
    Y[:40, 0], Y[:2, 1] = 1, 1
    scale = (np.log(100) - 1) * 2.5**0.55
    expected = [1 / (1 + scale * np.exp(-0.55 * np.log(n + 1.5))) for n in (40, 2, 0)]
    np.testing.assert_allclose(metrics.propensities(Y), expected)
    assert metrics.propensities(Y, a=0.5, b=0.4)[1] == pytest.approx(
        1 / (1 + (np.log(100) - 1) * 1.4**0.5 * 2.4**-0.5)
    )


@pytest.mark.parametrize("k", [1, 2, 4])
def test_propensity_scored_precision_by_loops(k):
    rng = np.random.default_rng(0)
    S, Y, p = rng.random((20, 4)), rng.random((20, 4)) < 0.4, rng.uniform(0.1, 1, 4)
    gained = possible = 0.0
    for s, y in zip(S, Y, strict=True):
        worth = y / p
        gained += sum(worth[c] for c in sorted(range(4), key=lambda c: -s[c])[:k])
        possible += sum(sorted(worth, reverse=True)[:k])
    assert metrics.propensity_scored_precision_at_k(S, Y, p, k) == pytest.approx(gained / possible)


def test_equal_propensities_give_precision_relative_to_its_best():
    rng = np.random.default_rng(0)
    S, Y = rng.random((20, 4)), rng.random((20, 4)) < 0.4
    best = np.minimum(Y.sum(1), 2).mean() / 2
    assert metrics.propensity_scored_precision_at_k(S, Y, np.full(4, 0.3), 2) == pytest.approx(
        metrics.precision_at_k(S, Y, 2) / best
    )
    assert np.isnan(metrics.propensity_scored_precision_at_k(S, np.zeros_like(Y), np.full(4, 0.3), 2))


@pytest.mark.parametrize("k", [0, -1, 5])
def test_k_outside_the_labels_is_refused(k):
    S, Y = np.full((3, 4), 0.5), np.zeros((3, 4))
    for metric in (metrics.precision_at_k, metrics.recall_at_k, metrics.ndcg_at_k):
        with pytest.raises(ValueError, match="k from 1 to the number of labels, 4"):
            metric(S, Y, k)


def test_propensities_are_checked():
    with pytest.raises(ValueError, match=r"propensity of shape \(4,\)"):
        metrics.propensity_scored_precision_at_k(np.full((3, 4), 0.5), np.zeros((3, 4)), np.ones(3))
    with pytest.raises(ValueError, match="at least 3 training rows"):
        metrics.propensities(np.ones((2, 3)))
