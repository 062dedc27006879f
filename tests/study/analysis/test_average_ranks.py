"""Ranks over data sets, beside the values that Demsar (2006) prints for his example and in his tables."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from manylabel.study.analysis.ranks import Ranks, critical_difference, pairs

RANKS = np.array(
    [
        [4, 3, 2, 1],
        [1, 2, 3, 4],
        [4, 1, 2, 3],
        [4, 1, 3, 2],
        [4, 2, 3, 1],
        [1, 2.5, 4, 2.5],
        [3, 2, 4, 1],
        [2.5, 2.5, 4, 1],
        [4, 3, 2, 1],
        [2.5, 2.5, 2.5, 2.5],
        [4, 2.5, 1, 2.5],
        [3, 2, 4, 1],
        [4, 1, 2, 3],
        [3, 1, 4, 2],
    ]
)
"""Of C4.5, C4.5+m, C4.5+cf and C4.5+m+cf on 14 data sets, as his Table 6 prints them."""


def test_average_ranks_are_those_of_the_published_example() -> None:
    found = Ranks.of(-RANKS / 10)
    assert found.average == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=5e-4)
    assert found.n_sets == 14
    assert found.first() == 3


def test_the_friedman_test_is_that_of_the_published_example_once_its_ties_are_taken_out() -> None:
    found = Ranks.of(-RANKS / 10)
    ties = 1 - (3 * 6 + 60) / (14 * (4**3 - 4))  # three pairs (6 each), four that share a rank (60)
    assert found.chi_square * ties == pytest.approx(9.28, abs=5e-3)
    without = 13 * 9.28 / (14 * 3 - 9.28)
    assert without == pytest.approx(3.69, abs=5e-3)  # as printed
    assert found.f == pytest.approx(13 * found.chi_square / (14 * 3 - found.chi_square))
    assert found.f > without
    assert found.p_value == pytest.approx(stats.f.sf(found.f, 3, 39))
    assert found.p_value < 0.05


def test_critical_values_are_those_of_the_published_table() -> None:
    """Table 5(a), the studentized range divided by the square root of 2, for 2 to 10 methods."""
    printed = {
        0.05: [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164],
        0.10: [1.645, 2.052, 2.291, 2.459, 2.589, 2.693, 2.780, 2.855, 2.920],
    }
    for level, values in printed.items():
        for n_methods, q in enumerate(values, start=2):
            of_one = math.sqrt(n_methods * (n_methods + 1) / 6)
            assert critical_difference(n_methods, 1, level) / of_one == pytest.approx(q, abs=1.1e-3)


def test_the_critical_difference_is_that_of_the_published_example() -> None:
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=5e-3)
    assert critical_difference(4, 14, 0.10) == pytest.approx(1.12, abs=5e-3)
    assert Ranks.of(-RANKS / 10).critical_difference == critical_difference(4, 14)


def test_groups_are_the_largest_whose_members_are_not_told_apart() -> None:
    found = Ranks.of(-RANKS / 10)
    assert found.level_groups() == [pytest.approx((27.5 / 14, 44 / 14))]  # at 0.05 nothing is told apart
    far = Ranks.of(np.tile([0.9, 0.8, 0.5, 0.4], (6, 1)))
    assert far.average.tolist() == [1, 2, 3, 4]
    assert far.critical_difference == pytest.approx(1.915, abs=5e-3)
    assert far.level_groups() == [(1, 2), (2, 3), (3, 4)]
    assert far.is_level(0, 1)
    assert not far.is_level(0, 2)
    apart = Ranks.of(np.tile([0.9, 0.8], (40, 1)))
    assert apart.level_groups() == []


def test_what_three_decimals_do_not_show_shares_a_rank() -> None:
    assert Ranks.of(np.array([[0.50004, 0.50001, 0.4]])).average.tolist() == [1.5, 1.5, 3]


def test_the_friedman_test_at_its_ends() -> None:
    alike = Ranks.of(np.tile([0.9, 0.8, 0.7], (4, 1)))
    assert (alike.chi_square, alike.f, alike.p_value) == (pytest.approx(8.0), math.inf, pytest.approx(6**-3))
    two_tied = Ranks.of(np.tile([0.9, 0.7, 0.7], (4, 1)))
    assert two_tied.p_value == pytest.approx(3**-3)  # of three places for the best
    tied = Ranks.of(np.full((4, 3), 0.5))
    assert (tied.chi_square, tied.p_value) == (0.0, 1.0)
    for few in (np.tile([0.9, 0.8], (4, 1)), np.array([[0.9, 0.8, 0.7]])):
        assert math.isnan(Ranks.of(few).p_value)


def test_pairs_are_tested_by_signed_ranks_and_corrected_by_holm() -> None:
    values = np.random.default_rng(0).normal(size=(12, 3)) + np.array([0.0, 0.2, 1.5])
    found = pairs(values, ["a", "b", "c"])
    assert [(each.ours, each.theirs) for each in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    raw = [stats.wilcoxon(values[:, i], values[:, j]).pvalue for i, j in ((0, 1), (0, 2), (1, 2))]
    assert [each.found.p_value for each in found] == pytest.approx(raw)
    order = np.argsort(raw)
    corrected = np.maximum.accumulate(np.array(raw)[order] * [3, 2, 1]).clip(max=1)
    assert [found[i].p_value for i in order] == pytest.approx(corrected)
