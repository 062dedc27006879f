"""Wrong labels: how many move, that labels stay as frequent, and that smaller shares lie inside larger ones."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from manylabel import LabelMatrix
from manylabel.data import DataSet, Rows, with_wrong_labels
from manylabel.errors import ManyLabelError

SHARES = (0.5, 0.3, 0.1, 0.02)


def labels(n: int = 2000, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n, len(SHARES))) < np.array(SHARES)


def dataset(Y: object) -> DataSet:
    Y = LabelMatrix.of(Y)
    rows = Rows(torch.arange(float(len(Y)))[:, None], Y)
    return DataSet("rows", rows, rows, tuple("abcd"), digest="of all")


def dense(data: DataSet) -> np.ndarray:
    return data.train.Y.dense(torch.bool).numpy()


@pytest.mark.parametrize("layout", [np.array, sp.csr_matrix])
def test_every_label_loses_its_share_and_stays_as_frequent(layout):
    Y = labels()
    whole = dataset(layout(Y.astype(np.float32)))
    wrong = with_wrong_labels(whole, 0.3, seed=1)
    found = dense(wrong)
    assert type(wrong.train.Y) is type(whole.train.Y)
    assert (found.sum(0) == Y.sum(0)).all()
    lost = (Y & ~found).sum(0)
    assert (np.abs(lost - 0.3 * Y.sum(0)) <= 1).all()
    assert (wrong.test.Y.dense(torch.bool).numpy() == Y).all()
    assert wrong.digest not in (whole.digest, with_wrong_labels(whole, 0.3, seed=2).digest)


def test_both_layouts_lose_the_same_entries():
    Y = labels(300)
    one, other = (
        with_wrong_labels(dataset(of(Y.astype(np.float32))), 0.2, 5) for of in (np.array, sp.csr_matrix)
    )
    assert (dense(one) == dense(other)).all()


def test_the_wrong_entries_of_a_smaller_share_are_among_those_of_a_larger_one():
    Y, before = labels(), np.zeros((2000, 4), dtype=bool)
    for share in (0.05, 0.1, 0.3, 0.6):
        wrong = dense(with_wrong_labels(dataset(Y), share, seed=0)) != Y
        assert (wrong | before).sum() == wrong.sum() > before.sum()
        before = wrong


def test_the_share_holds_on_average_for_a_label_of_one_row():
    Y = np.zeros((50, 4), dtype=bool)
    Y[7, 0] = Y[:, 1] = True  # the second has no row to move to
    moved = [dense(with_wrong_labels(dataset(Y), 0.3, seed)) for seed in range(400)]
    assert 0.22 < np.mean([not found[7, 0] for found in moved]) < 0.38
    assert all(found[:, 1].all() for found in moved)


def test_unknown_entries_stay_unknown_and_gain_nothing():
    values = labels(200).astype(np.float32)
    values[:120, 2] = np.nan
    whole = dataset(values)
    wrong = with_wrong_labels(whole, 0.5, seed=0)
    assert (wrong.train.Y.unknown.dense(torch.bool) == whole.train.Y.unknown.dense(torch.bool)).all()
    assert not dense(wrong)[:120, 2].any()
    assert dense(wrong)[120:, 2].sum() == (values[120:, 2] == 1).sum()


def test_shares_that_cannot_be_are_refused_and_none_changes_nothing():
    whole = dataset(labels(20))
    assert with_wrong_labels(whole, 0, 0) is whole
    for share in (-0.1, 1.0, float("nan")):
        with pytest.raises(ManyLabelError, match="`wrong_labels`: expected a share of the labels from 0"):
            with_wrong_labels(whole, share, 0)
