"""The embedded data set `digits`."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from manylabel import data
from manylabel.data.digits import _compose, _split_sources, compose_digits


@pytest.fixture(scope="module")
def scenes():
    return compose_digits()


def test_default_scenes(scenes):
    assert scenes.train.X.shape == (3000, 1, 32, 32)
    assert scenes.test.X.shape == (1500, 1, 32, 32)
    assert scenes.train.X.dtype == torch.uint8
    assert scenes.label_names == tuple("0123456789")
    counts = torch.cat([scenes.train.Y.row_counts(), scenes.test.Y.row_counts()])
    assert counts.min() == 1
    assert counts.max() == 4
    assert scenes.train.Y.label_counts().min() > 400
    assert scenes.remarks == ()


def test_digest_is_the_same_every_time_and_with_any_number_of_threads(scenes):
    assert data.load("digits").digest == scenes.digest
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert compose_digits().digest == scenes.digest
    finally:
        torch.set_num_threads(threads)


def test_callers_random_state_is_left_alone():
    before = torch.random.get_rng_state()
    first = compose_digits(20, 10, seed=1)
    assert torch.equal(before, torch.random.get_rng_state())
    assert first.digest != compose_digits(20, 10, seed=2).digest


def test_no_digit_serves_both_parts():
    train, test = _split_sources()
    everything = {image.tobytes() for image in (load_digits().images / 16).astype(np.float32)}
    parts = [{image.numpy().tobytes() for image in sources.images} for sources in (train, test)]
    assert parts[0] | parts[1] == everything
    assert not parts[0] & parts[1]
    shares = torch.bincount(test.classes) / (torch.bincount(test.classes) + torch.bincount(train.classes))
    torch.testing.assert_close(shares, torch.full((10,), 1 / 3), rtol=0, atol=0.01)


def test_scenes_show_their_digits():
    """Where digits of one class alone are drawn, that is the label, and something bright is to be seen."""
    train, _ = _split_sources()
    ones = type(train)(train.images[train.classes == 1], train.classes[train.classes == 1])
    pictures, labels = _compose(ones, 50, torch.Generator().manual_seed(0))
    assert labels[:, 1].all()
    assert labels.sum() == 50
    assert (pictures.reshape(50, -1).max(1) > 80).all()
