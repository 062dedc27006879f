"""Subsamples of the training rows: their size, that they lie inside each other, and that labels keep their share."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from manylabel import LabelMatrix
from manylabel.data import DataSet, Rows, split_validation, take_fraction
from manylabel.errors import ManyLabelError

FRACTIONS = (0.01, 0.05, 0.1, 0.3, 0.5, 0.77, 1.0)


def dataset(n: int = 1000, published: bool = False) -> DataSet:
    """Rows that carry their own position as the only feature."""
    rng = np.random.default_rng(0)
    Y = rng.random((n, 6)) < np.array([0.5, 0.3, 0.2, 0.1, 0.05, 0.02])
    train = Rows(torch.arange(float(n))[:, None], LabelMatrix.of(Y))
    rows = np.arange(0, n, 5) if published else None
    return DataSet("rows", train, train, tuple("abcdef"), validation_rows=rows, digest="of all")


def positions(rows: Rows) -> set[float]:
    assert isinstance(rows.X.values, torch.Tensor)
    return set(rows.X.values[:, 0].tolist())


@pytest.mark.parametrize("published", [False, True])
def test_smaller_fractions_lie_inside_larger_ones(published: bool) -> None:
    shares = [take_fraction(dataset(published=published), f, seed=3) for f in FRACTIONS]
    assert [len(share.train) for share in shares] == [10, 50, 100, 300, 500, 770, 1000]
    for smaller, larger in itertools.pairwise(shares):
        assert positions(smaller.train) < positions(larger.train)


@pytest.mark.parametrize("fraction", [0.05, 0.3, 0.62])
def test_labels_keep_their_share(fraction: float) -> None:
    whole = dataset()
    counts = whole.train.Y.label_counts()
    for seed in range(5):
        kept = take_fraction(whole, fraction, seed).train.Y.label_counts()
        assert (kept - fraction * counts).abs().max() <= 5


def test_a_label_of_a_single_row_is_drawn_by_the_share_of_the_rows() -> None:
    Y = np.zeros((64, 2), dtype=bool)
    Y[:, 0], Y[7, 1] = np.arange(64) % 2, True
    rows = Rows(torch.arange(64.0)[:, None], LabelMatrix.of(Y))
    whole = DataSet("rows", rows, rows, ("a", "b"))
    drawn = [7.0 in positions(take_fraction(whole, 0.25, seed).train) for seed in range(400)]
    assert 0.15 < np.mean(drawn) < 0.35


def test_published_validation_rows_are_cut_to_the_same_share() -> None:
    share = take_fraction(dataset(published=True), 0.1, seed=0)
    train, validation = split_validation(share, seed=0)
    assert (len(train), len(validation)) == (80, 20)
    assert all(position % 5 == 0 for position in positions(validation))
    assert all(position % 5 for position in positions(train))


def test_the_seed_draws_and_the_digest_tells_shares_apart() -> None:
    shares = [take_fraction(dataset(), 0.1, seed) for seed in (0, 0, 1)]
    assert positions(shares[0].train) == positions(shares[1].train) != positions(shares[2].train)
    assert shares[0].digest == shares[1].digest != shares[2].digest
    assert take_fraction(dataset(), 1.0, 0).digest == "of all"


def test_labels_that_cannot_be_parted_are_drawn_at_random() -> None:
    rows = Rows(torch.arange(20.0)[:, None], LabelMatrix.of(np.eye(20, dtype=bool)))
    whole = DataSet("rows", rows, rows, tuple(map(str, range(20))))
    assert len(take_fraction(whole, 0.3, 0).train) == 6


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.5])
def test_what_is_no_share_is_refused(fraction: float) -> None:
    with pytest.raises(ManyLabelError, match="`fraction`: expected a share"):
        take_fraction(dataset(), fraction, 0)
