"""The set of highest expected F1 against the enumeration of all label sets."""

import itertools

import numpy as np
import pytest

from manylabel.metrics.expected_f1 import EXACT_LABELS, ExpectedF1, expected_f1

SIX = np.array(list(itertools.product([False, True], repeat=6)))  # (64, 6)


def expectation(predicted, p, empty):
    """E[F1] over all truths of independent labels."""
    total = 0.0
    for truth in SIX[:, : len(p)]:
        probability = np.where(truth, p, 1 - p).prod() / 2 ** (6 - len(p))
        size = predicted.sum() + truth.sum()
        total += probability * (empty if size == 0 else 2 * (predicted & truth).sum() / size)
    return total


@pytest.mark.parametrize("n_labels", [1, 2, 5, 6])
@pytest.mark.parametrize("empty", [0.0, 0.4, 1.0])
def test_no_set_has_a_higher_expected_f1(n_labels, empty):
    P = np.random.default_rng(n_labels).beta(0.7, 1.5, size=(20, n_labels))
    for p, chosen in zip(P, ExpectedF1(empty).predict(P), strict=True):
        sets = np.unique(SIX[:, :n_labels], axis=0)
        best = max(expectation(s, p, empty) for s in sets)
        assert expectation(chosen, p, empty) == pytest.approx(best, abs=1e-12)


def test_values():
    p = np.sort(np.random.default_rng(0).random((3, 5)))[:, ::-1]
    for row, found in zip(p, expected_f1(p, np.zeros(3)), strict=True):
        by_hand = [expectation(np.arange(5) < k, row, 1) for k in range(1, 6)]
        np.testing.assert_allclose(found, by_hand, rtol=1e-12)


def test_labels_beyond_the_exact_ones_count_by_their_expected_number():
    p = np.r_[np.linspace(0.9, 0.1, 12), np.full(60, 0.004)]
    exact = expected_f1(p[None], np.zeros(1))[0, :12]
    near = expected_f1(p[None, :12], np.array([60 * 0.004]))[0]
    np.testing.assert_allclose(near, exact, rtol=1e-2)
    assert (near <= exact).all()  # 1 / (x + B) is convex in B
    assert near.argmax() == exact.argmax()


def test_many_labels():
    P = np.full((3, EXACT_LABELS + 50), 1e-3)
    P[0, -1], P[1, :20] = 0.99, 0.97
    assert ExpectedF1().predict(P).sum(1).tolist() == [1, 20, 0]
    assert ExpectedF1(0.0).predict(P).sum(1).min() >= 1
    assert ExpectedF1().predict(P)[0, -1]


def test_certain_rows_come_back_as_they_are():
    Y = np.random.default_rng(0).random((30, 8)) < 0.3
    np.testing.assert_array_equal(ExpectedF1().predict(Y.astype(np.float32)), Y)


def test_rows_of_a_block_do_not_meet():
    P = np.random.default_rng(0).random((400, EXACT_LABELS + 1)) ** 8
    rule = ExpectedF1()
    np.testing.assert_array_equal(rule.predict(P)[::-1], rule.predict(P[::-1]))


def test_what_is_no_probability_is_refused():
    with pytest.raises(ValueError, match=r"scores in \[0, 1\]"):
        ExpectedF1().predict(np.array([[2.0, 0.1]]))
    with pytest.raises(ValueError, match="`empty` to be a finite number of at least 0"):
        ExpectedF1(-1.0)
