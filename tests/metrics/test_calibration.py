"""Calibration by loops and by hand."""

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from manylabel.metrics import brier_score, calibration_error


def draw(n=200, n_labels=4):
    rng = np.random.default_rng(0)
    S = rng.random((n, n_labels))
    S[:2] = [[0.0] * n_labels, [1.0] * n_labels]
    return S, rng.random((n, n_labels)) < S**2


def test_brier_score():
    S, Y = draw()
    np.testing.assert_allclose(brier_score(S, Y), [brier_score_loss(Y[:, c], S[:, c]) for c in range(4)])


@pytest.mark.parametrize("bins", [1, 5, 15])
def test_calibration_error_by_loops(bins):
    S, Y = draw()
    expected = []
    for s, y in zip(S.T, Y.T, strict=True):
        b = np.minimum((s * bins).astype(int), bins - 1)
        groups = [np.flatnonzero(b == i) for i in range(bins)]
        expected.append(sum(len(g) / len(s) * abs(y[g].mean() - s[g].mean()) for g in groups if len(g)))
    np.testing.assert_allclose(calibration_error(S, Y, bins=bins), expected)


def test_calibrated_and_certain():
    S, Y = np.array([[0.5], [0.5]]), np.array([[1], [0]])
    assert calibration_error(S, Y) == 0
    assert calibration_error(Y.astype(float), Y) == 0
    assert calibration_error(1.0 - Y, Y) == 1


def test_no_bins():
    with pytest.raises(ValueError, match="at least one bin"):
        calibration_error(*draw(), bins=0)
