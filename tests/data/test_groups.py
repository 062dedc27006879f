"""Splits and folds that keep groups of rows together, and the balance of labels over parts."""

from __future__ import annotations

import numpy as np
import pytest
from tests.data.test_splits import long_tail

from manylabel.data.groups import dealt, label_balance
from manylabel.data.splits import folds_of, held_out_rows
from manylabel.errors import ManyLabelError
from manylabel.labels import as_labels


def together(groups, parts):
    return all(len(set(parts[groups == group])) == 1 for group in np.unique(groups))


@pytest.mark.parametrize("seed", range(3))
def test_groups_stay_together_and_labels_keep_their_shares(seed):
    Y = long_tail(1000, 20, seed)
    groups = np.random.default_rng(seed).integers(0, 200, 1000)
    folds = folds_of(as_labels(Y), 5, seed, groups=groups)
    assert together(groups, folds)
    assert np.abs(np.bincount(folds) - 200).max() <= 10
    by_chance = np.random.default_rng(seed).integers(0, 5, 200)[groups]
    assert label_balance(as_labels(Y), folds) > 0.9
    assert 1 - label_balance(as_labels(Y), folds) < 0.7 * (1 - label_balance(as_labels(Y), by_chance))


def test_a_held_out_part_has_its_share_also_beside_a_group_that_is_larger():
    Y = long_tail(300, 6)
    groups = np.where(np.arange(300) < 150, 0, np.arange(300) // 3)
    drawn = held_out_rows(as_labels(Y), 0.1, 0, groups=groups)
    assert together(groups, drawn)
    assert 20 <= drawn.sum() <= 40
    assert not drawn[:150].any()


def test_no_part_is_empty_however_groups_lie():
    Y = as_labels(long_tail(50, 3))
    for groups in (np.r_[np.zeros(47), 1, 2, 3].astype(int), np.arange(50) % 4, np.arange(50)):
        for shares in ((0.25,) * 4, (0.02, 0.49, 0.49)):
            parts = dealt(Y, groups, shares, 0)
            assert set(parts) == set(range(len(shares)))
            assert together(groups, parts)


def test_a_seed_draws_the_same_groups_and_names_do_not_matter():
    Y, groups = as_labels(long_tail(200, 5)), np.arange(200) // 4
    first = dealt(Y, groups, (0.5, 0.5), 3)
    np.testing.assert_array_equal(first, dealt(Y, 1000 * groups - 5, (0.5, 0.5), 3))
    assert (first != dealt(Y, groups, (0.5, 0.5), 4)).any()


@pytest.mark.parametrize("n_folds", [2, 3, 5])
def test_folds_without_groups_keep_shares(n_folds):
    Y = long_tail(1000, 20)
    folds = folds_of(as_labels(Y), n_folds, 1)
    assert np.abs(np.bincount(folds, minlength=n_folds) - 1000 / n_folds).max() <= 12
    assert label_balance(as_labels(Y), folds) > 0.96


@pytest.mark.parametrize("n_folds", [2, 5])
def test_no_fold_is_empty_where_rows_carry_the_only_row_of_a_label(n_folds):
    by_itself = np.eye(23)
    for Y in (by_itself, np.c_[by_itself, np.ones(23)], np.c_[by_itself[:, 4:], np.arange(23) < 9]):
        sizes = np.bincount(folds_of(as_labels(Y), n_folds, 0), minlength=n_folds)
        assert len(sizes) == n_folds
        assert sizes.min() >= 1
    alone = np.bincount(folds_of(as_labels(by_itself), n_folds, 0))
    assert alone.max() - alone.min() <= 1


def test_balance_is_one_for_equal_shares_and_falls_to_what_separation_costs():
    Y = as_labels(np.tile(np.eye(2), (10, 1)))
    assert label_balance(Y, np.arange(20) // 2 % 2) == 1
    assert label_balance(Y, np.arange(20) % 2) == pytest.approx(0.5)  # each label is in one half alone
    assert np.isnan(label_balance(as_labels(np.zeros((4, 2))), np.arange(4) % 2))


def test_too_few_groups_or_rows_are_refused():
    Y = as_labels(long_tail(20, 3))
    with pytest.raises(ManyLabelError, match="fit: expected at least 2 groups of rows, but got 1"):
        held_out_rows(Y, 0.1, 0, "fit", np.zeros(20, dtype=int))
    with pytest.raises(ManyLabelError, match="at least 3 groups of rows, but got 2"):
        folds_of(Y, 3, 0, groups=np.arange(20) % 2)
    with pytest.raises(ManyLabelError, match="at least 21 rows for as many folds, but got 20"):
        folds_of(Y, 21, 0)
