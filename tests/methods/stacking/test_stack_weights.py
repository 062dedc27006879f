"""Weights of a stack: against a slow twin, and where they must be 0 or shared."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from tests.methods.stacking.small_stack import labels

from manylabel.methods.stacking import weights
from manylabel.methods.stacking.common_scale import Frequency, Spread
from manylabel.methods.stacking.weights import Entries, Stack, learn


def made(n=60, n_labels=5, seed=0, few=1):
    """Truth, its frequency, and the logits of three learners: good, noisy, and of another sign."""
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(n, n_labels)) - np.linspace(0, 2, n_labels)
    truth = (Z + rng.logistic(size=Z.shape) > 0).astype(np.float64)
    truth[few:, 0] = 0
    logits = [Z * 2 + rng.normal(size=Z.shape), Z + 3 * rng.normal(size=Z.shape), -Z]
    return truth, Frequency.of(labels(truth)), [z.astype(np.float32) for z in logits]


def literal_objective(c, Z, y, target, pull):
    """The sum of log-losses entry by entry, and the pull to where the coefficients start."""
    total = 0.0
    for row, truth in zip(Z, y, strict=True):
        z = np.dot(row, c)
        total += truth * np.logaddexp(0, -z) + (1 - truth) * np.logaddexp(0, z)
    return total + sum(0.5 * k * (a - b) ** 2 for a, b, k in zip(c, target, pull, strict=True))


def literal_minimum(Z, y, target, pull):
    bounds = [(None, None)] * 2 + [(0, None)] * (len(target) - 2)
    found = minimize(
        literal_objective, target, (Z, y, target, pull), method="SLSQP", bounds=bounds, tol=1e-12
    )
    return found.x


def test_weights_are_those_of_a_slow_twin_for_both_classes_of_labels():
    truth, frequency, logits = made()
    entries = Entries.of(logits, truth, None, frequency, 0)
    stack = learn(entries)
    third, ridge = [0, 0, 1 / 3, 1 / 3, 1 / 3], [0, 0, 10, 10, 10]
    shared = literal_minimum(entries.Z, entries.y, third, ridge)
    for row, which in enumerate((~entries.few, entries.few)):
        own = literal_minimum(entries.Z[which], entries.y[which], shared, [1, 1, 10, 10, 10])
        np.testing.assert_allclose(stack.coefficients[row], own, atol=2e-3)
    assert (stack.weights >= 0).all()
    assert stack.weights[:, 2].max() < 1e-6  # the learner that says the opposite


def test_labels_of_one_class_share_their_weights():
    truth, frequency, logits = made(n=400, few=400)
    entries = Entries.of(logits, truth, None, frequency, 0)
    assert not entries.few.any()
    stack = learn(entries)
    np.testing.assert_array_equal(*stack.coefficients)
    twin = literal_minimum(entries.Z, entries.y, [0, 0, 1 / 3, 1 / 3, 1 / 3], [0, 0, 10, 10, 10])
    np.testing.assert_allclose(stack.coefficients[0], twin, atol=2e-3)


def test_probabilities_are_the_sigmoid_of_the_weighted_logits():
    truth, frequency, logits = made()
    stack = learn(Entries.of(logits, truth, None, frequency, 0))
    p = stack.probabilities(logits, frequency)
    for i, j in ((0, 0), (3, 1), (59, 4)):
        b, base, *w = stack.coefficients[int(truth[:, j].sum() < 20)]
        share = (truth[:, j].sum() + 0.5) / (len(truth) + 1)
        z = b + base * np.log(share / (1 - share)) + sum(a * Z[i, j] for a, Z in zip(w, logits, strict=True))
        assert p[i, j] == pytest.approx(1 / (1 + np.exp(-z)), rel=1e-5)


def test_unknown_entries_are_no_entries_whatever_they_hold():
    truth, frequency, logits = made()
    known = np.random.default_rng(1).random(truth.shape) < 0.7
    whole = learn(Entries.of(logits, truth, known, frequency, 0))
    other = learn(Entries.of(logits, np.where(known, truth, 1 - truth), known, frequency, 0))
    np.testing.assert_array_equal(whole.coefficients, other.coefficients)
    assert (whole.coefficients != learn(Entries.of(logits, truth, None, frequency, 0)).coefficients).any()


def test_entries_count_by_their_weights():
    truth, frequency, logits = made()
    times = np.random.default_rng(1).integers(0, 3, truth.shape)
    weighted = Entries.of(logits, truth, None, frequency, 0, times)
    plain = Entries.of(logits, truth, None, frequency, 0)
    twice = plain.take(np.repeat(np.arange(truth.size), times.ravel()))
    np.testing.assert_allclose(learn(weighted).coefficients, learn(twice).coefficients, atol=2e-3)
    assert learn(weighted).loss(weighted) == pytest.approx(learn(twice).loss(twice), rel=1e-4)
    of_rows = Entries.of(logits, truth, None, frequency, 0, times[:, 0])
    of_entries = Entries.of(
        logits, truth, None, frequency, 0, np.repeat(times[:, :1], truth.shape[1], axis=1)
    )
    np.testing.assert_array_equal(of_rows.w, of_entries.w)
    assert np.abs(learn(weighted).coefficients - learn(plain).coefficients).max() > 0.02


@pytest.mark.parametrize("of_entries", [False, True])
def test_shares_of_labels_count_rows_by_their_weights(of_entries):
    Y = np.array([[1, 0], [0, np.nan], [1, 1]])
    w = np.array([[2.0, 0.5], [1.0, 3.0], [1.0, 1.0]]) if of_entries else np.array([2.0, 1.0, 1.0])
    found = Frequency.of(labels(Y), w)
    of_label = w if of_entries else np.repeat(w[:, None], 2, axis=1)
    np.testing.assert_allclose(found.positives, np.nansum(Y * of_label, axis=0))
    np.testing.assert_allclose(found.known, (of_label * ~np.isnan(Y)).sum(0))


def test_many_rows_are_drawn_by_the_seed(monkeypatch):
    monkeypatch.setattr(weights, "MOST_ENTRIES", 100)
    truth, frequency, logits = made()
    one, same, other = (Entries.of(logits, truth, None, frequency, seed) for seed in (0, 0, 1))
    assert len(one.y) == 100
    np.testing.assert_array_equal(one.Z, same.Z)
    assert (one.Z != other.Z).any()


def test_shares_are_the_spread_of_weighted_logits():
    truth, frequency, logits = made(n=400, few=400)
    entries = Entries.of([logits[0], logits[0] * 10], truth, None, frequency, 0)
    stack = Stack(np.array([[0.0, 0.0, 1.0, 0.1]] * 2))
    np.testing.assert_allclose(stack.shares(entries), [0.5, 0.5], rtol=1e-6)
    np.testing.assert_allclose(Stack(np.zeros((2, 4))).shares(entries), [0.5, 0.5])


def test_probabilities_that_rest_on_few_rows_are_drawn_to_the_share_of_the_label():
    frequency = Frequency.of(labels(np.array([[1, 0], [0, 0], [1, 0]])))
    np.testing.assert_allclose(frequency.share, [2.5 / 4, 0.5 / 4])
    found = 1 / (1 + np.exp(-frequency.logits(np.array([[0.0, 1.0]]), rests_on=15)))
    np.testing.assert_allclose(found, [[2.5 / 4 / 16, (15 + 0.5 / 4) / 16]], rtol=1e-5)
    assert np.isfinite(frequency.logits(np.array([[0.0, 1.0]]))).all()


def test_margins_of_labels_with_scales_of_their_own_are_standardised_before_they_are_weighed():
    truth, frequency, logits = made(n=400, few=400)
    own = np.array([0.1, 1.0, 3.0, 10.0, 0.5])
    margins = (logits[0] * own - own).astype(np.float32)
    spread = Spread.of(margins)
    np.testing.assert_allclose(spread.mean, margins.astype(np.float64).mean(axis=0), rtol=1e-6)
    even = spread.standardised(margins)
    np.testing.assert_allclose([even.mean(axis=0), even.std(axis=0)], [np.zeros(5), np.ones(5)], atol=1e-4)
    stack = learn(Entries.of([even, logits[1]], truth, None, frequency, 0))
    told = Stack(stack.coefficients, (spread, Spread.none(5)))
    expected = stack.probabilities([even, logits[1]], frequency)
    np.testing.assert_allclose(told.probabilities([margins, logits[1]], frequency), expected, atol=1e-6)
    losses = [
        learn(found).loss(found)
        for found in (Entries.of([z], truth, None, frequency, 0) for z in (margins, even))
    ]
    assert losses[1] < 0.95 * losses[0]


def test_logits_that_do_not_vary_are_only_centred():
    spread = Spread.of(np.full((4, 2), 3.0, dtype=np.float32))
    np.testing.assert_array_equal(spread.deviation, [1, 1])
    np.testing.assert_array_equal(spread.standardised(np.array([[3.0, 4.0]])), [[0, 1]])
