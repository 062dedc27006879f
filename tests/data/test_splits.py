"""Label-stratified splits."""

import time

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from manylabel.data import DataSet, Rows, split_validation, take_fraction
from manylabel.data.build import About, Part, assemble
from manylabel.data.splits import stratified
from manylabel.errors import ManyLabelError
from manylabel.labels import as_labels


def long_tail(n_rows, n_labels, seed=0):
    """Labels of falling frequency; a fifth of the rows carry none."""
    random = np.random.default_rng(seed)
    Y = random.random((n_rows, n_labels)) < 0.5 / np.arange(1, n_labels + 1) ** 0.7
    Y[random.random(n_rows) < 0.2] = False
    return Y


def dataset(Y, validation_rows=None):
    rows = Rows(torch.arange(len(Y), dtype=torch.float32)[:, None], as_labels(Y))
    names = tuple(map(str, range(Y.shape[1])))
    return DataSet("small", rows, rows, names, validation_rows=validation_rows)


@pytest.mark.parametrize("fraction", [0.05, 0.2, 0.5, 0.8])
@pytest.mark.parametrize("seed", range(3))
def test_every_label_keeps_its_share(seed, fraction):
    Y = long_tail(1000, 20, seed)
    drawn = stratified(as_labels(Y), fraction, seed)
    wanted = fraction * Y.sum(0)
    off = np.abs(Y[drawn].sum(0) - wanted)
    assert off.mean() < 1
    assert off.max() < 6
    assert abs(drawn.sum() - fraction * 1000) <= 10
    empty = ~Y.any(1)
    assert abs(drawn[empty].sum() - fraction * empty.sum()) <= 15


def test_shares_are_kept_better_than_by_chance():
    Y = long_tail(1000, 20)
    error = {"drawn": [], "chance": []}
    for seed in range(10):
        chance = np.random.default_rng(seed).permutation(1000) < 200
        error["drawn"].append(np.abs(Y[stratified(as_labels(Y), 0.2, seed)].sum(0) - 0.2 * Y.sum(0)).mean())
        error["chance"].append(np.abs(Y[chance].sum(0) - 0.2 * Y.sum(0)).mean())
    assert np.mean(error["drawn"]) < 0.25 * np.mean(error["chance"])


@pytest.mark.parametrize("fraction", [0.2, 0.9])
def test_no_label_loses_its_last_training_row(fraction):
    for seed in range(20):
        Y = np.random.default_rng(seed).random((60, 40)) < 0.04
        Y[0] = True  # one row carries every label, so it is the only carrier of some
        Y[1:, :5] = False
        drawn = stratified(as_labels(Y), fraction, seed)
        assert Y[~drawn].any(0).all()


def test_label_of_one_row_stays_in_training():
    Y = np.eye(10, dtype=bool)
    Y = np.vstack([Y, np.zeros((30, 10), dtype=bool)])
    drawn = stratified(as_labels(Y), 0.2, 0)
    assert not drawn[:10].any()
    assert drawn.sum() == 8


def test_rows_without_labels_are_drawn_by_the_same_share():
    Y = np.zeros((100, 2), dtype=bool)
    Y[:50, 0] = True
    drawn = stratified(as_labels(Y), 0.2, 0)
    assert (drawn[:50].sum(), drawn[50:].sum()) == (10, 10)


def test_seed_decides_and_layout_does_not():
    Y = long_tail(300, 8)
    first = stratified(as_labels(Y), 0.2, 7)
    np.testing.assert_array_equal(first, stratified(as_labels(Y), 0.2, 7))
    np.testing.assert_array_equal(first, stratified(as_labels(sp.csr_matrix(Y.astype(float))), 0.2, 7))
    assert (first != stratified(as_labels(Y), 0.2, 8)).any()


def test_split_validation_partitions_the_training_rows():
    Y = long_tail(200, 6)
    train, validation = split_validation(dataset(Y), seed=1)
    rows = torch.cat([train.X.values, validation.X.values])[:, 0].long()
    assert sorted(rows.tolist()) == list(range(200))
    np.testing.assert_array_equal(torch.cat([train.Y.dense(), validation.Y.dense()]), Y[rows])
    assert abs(len(validation) - 20) <= 4


def test_published_rows_are_taken_whatever_the_seed():
    published = np.array([3, 10, 11])
    for seed in range(2):
        train, validation = split_validation(dataset(long_tail(50, 3), published), seed)
        assert validation.X.values[:, 0].tolist() == [3, 10, 11]
        assert len(train) == 47


@pytest.mark.parametrize(("fraction", "rows"), [(0, 10), (1, 10), (-0.1, 10), (0.2, 2), (0.01, 10)])
def test_splits_that_leave_a_part_empty_are_refused(fraction, rows):
    with pytest.raises(ManyLabelError, match="split: expected"):
        stratified(as_labels(np.ones((rows, 1))), fraction, 0)


def test_large_label_matrix_takes_seconds():
    random = np.random.default_rng(0)
    n, n_labels, per_row = 80_000, 1000, 20
    columns = (n_labels * random.random((n, per_row)) ** 3).astype(np.int64)
    Y = sp.csr_matrix(
        (np.ones(n * per_row), columns.ravel(), np.arange(n + 1) * per_row), shape=(n, n_labels)
    )
    Y.sum_duplicates()
    Y.data[:] = 1
    labels = as_labels(Y)
    start = time.process_time()
    drawn = stratified(labels, 0.2, 0)
    assert time.process_time() - start < 10
    np.testing.assert_allclose(drawn.mean(), 0.2, atol=0.01)
    np.testing.assert_allclose(Y[drawn].sum(0) / Y.sum(0), np.full((1, n_labels), 0.2), atol=0.05)


def test_few_rows_of_many_labels_still_spare_some():
    Y = as_labels(torch.eye(6).repeat(2, 1))  # two rows a label: none is owed a tenth of a row
    drawn = stratified(Y, 0.1, seed=0)
    assert drawn.sum() == 1
    assert stratified(Y, 0.25, seed=0).sum() == 3
    assert (Y.take(~drawn).dense().sum(0) > 0).all()


def test_rows_that_are_the_last_of_a_label_are_not_spared():
    assert not stratified(as_labels(torch.eye(6)), 0.2, seed=0).any()


def test_split_without_a_row_to_spare_is_refused():
    rows = Part(np.eye(20), np.eye(20), "whole.npz")
    told = r"20 rows that each carry the only row of a label\. Leave out labels"
    with pytest.raises(ManyLabelError, match=rf"whole\.npz, test part: .*{told}"):
        assemble(About("own"), rows)
    dataset = assemble(About("own"), rows, rows)
    with pytest.raises(ManyLabelError, match=rf"split: .*{told}"):
        split_validation(dataset, seed=0)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 12])
@pytest.mark.parametrize("labels", ["own", "shared", "none", "own and shared"])
@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5, 0.99])
def test_both_parts_of_a_split_have_rows_or_it_is_refused(n, labels, fraction):
    own, shared = np.eye(n, dtype=np.uint8), np.ones((n, 2), dtype=np.uint8)
    Y = {"own": own, "shared": shared, "none": shared * 0, "own and shared": np.hstack([own, shared])}[labels]
    rows = Part(np.arange(2.0 * n).reshape(n, 2), Y, "a")
    dataset = assemble(About("few"), rows, rows)
    try:
        train, validation = split_validation(dataset, 0, fraction)
    except ManyLabelError:
        assert n < 4 or "own" in labels or round(fraction * n) in (0, n)
    else:
        assert min(len(train), len(validation)) > 0
        assert len(train) + len(validation) == n
    kept = take_fraction(dataset, fraction, seed=0)
    assert 0 < len(kept.train) <= n
    if n < 4:
        with pytest.raises(ManyLabelError, match="at least 4 rows"):
            assemble(About("few"), rows)
