"""Data sets of which some label entries are unknown: read, counted, told, split and digested."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from manylabel.data.build import About, Part, assemble
from manylabel.data.description import describe
from manylabel.data.quality import checked_labels
from manylabel.data.splits import split_validation, stratified
from manylabel.labels import as_labels


def arrays(n: int = 80, c: int = 4, share: float = 0.3):
    rng = np.random.default_rng(0)
    Y = (rng.random((n, c)) < 0.4).astype(float)
    Y[rng.random((n, c)) < share] = np.nan
    return rng.normal(size=(n, 3)), Y


@pytest.mark.parametrize("n_labels", [4, 200])
def test_nan_in_the_labels_of_a_file_is_an_unknown_entry(n_labels):
    _, Y = arrays(c=n_labels)
    labels = checked_labels(Y, "file")
    assert torch.equal(labels.unknown.dense(torch.bool), torch.from_numpy(np.isnan(Y)))
    assert np.array_equal(labels.dense().numpy(), np.nan_to_num(Y))
    assert not checked_labels(np.nan_to_num(Y), "file").has_unknown


def test_unknown_entries_are_told_and_part_of_the_digest():
    X, Y = arrays()
    Y[:, 3] = np.nan
    Y[:, 2] = np.where(np.isnan(Y[:, 2]), np.nan, 1.0)
    data = assemble(About("some"), Part(X, Y, "train"), Part(X[:20], Y[:20], "test"))
    n = int(np.isnan(Y).sum())
    assert f"{n} of 320 label entries of training rows ({n / 320:.1%}) are unknown." in data.remarks
    assert "Label 'label 3' is not known of any training row: nothing can be learnt there." in data.remarks
    assert "Label 'label 2' is given to every training row: nothing can be learnt there." in data.remarks
    assert not any("label 3' is never given in training" in remark for remark in data.remarks)
    shares = 1 - np.isnan(Y).mean(0)
    assert list(describe(data)["known"].values()) == pytest.approx(shares.tolist(), abs=1e-4)
    absent = assemble(
        About("some"), Part(X, np.nan_to_num(Y), "train"), Part(X[:20], np.nan_to_num(Y[:20]), "test")
    )
    assert data.digest != absent.digest
    assert "known" not in describe(absent)
    assert not any("unknown" in remark for remark in absent.remarks)


def test_splits_are_stratified_on_known_positives_and_keep_what_is_unknown():
    X, Y = arrays(400)
    labels = as_labels(Y)
    drawn = stratified(labels, 0.25, seed=1)
    assert np.array_equal(drawn, stratified(as_labels(np.nan_to_num(Y)), 0.25, seed=1))
    counts = np.nansum(Y, 0)
    assert np.abs(np.nansum(Y[drawn], 0) - 0.25 * counts).max() <= 3
    data = assemble(About("some"), Part(X, Y, "train"), Part(X[:20], Y[:20], "test"))
    train, validation = split_validation(data, seed=0)
    found = sum(part.Y.n_unknown for part in (train, validation))
    assert found == data.train.Y.n_unknown == int(np.isnan(Y).sum())
