"""Reliability against the calibration error and loops."""

import numpy as np
import pytest

from manylabel.labels import as_labels
from manylabel.metrics import calibration_error, f1_curves, reliability


def draw(n=300, n_labels=3):
    rng = np.random.default_rng(0)
    S = rng.random((n, n_labels))
    S[:2] = [[0.0] * n_labels, [1.0] * n_labels]
    return S, rng.random(S.shape) < S**2


@pytest.mark.parametrize("bins", [1, 7, 15])
def test_bins_by_loops(bins):
    S, Y = draw()
    found = reliability(S, Y, bins)
    np.testing.assert_allclose(found.edges, [i / bins for i in range(bins + 1)])
    for c in range(3):
        for b in range(bins):
            inside = (S[:, c] >= found.edges[b]) & ((S[:, c] < found.edges[b + 1]) | (b == bins - 1))
            assert found.counts[c, b] == inside.sum()
            assert found.score[c, b] == pytest.approx(S[inside, c].mean())
            assert found.share[c, b] == pytest.approx(Y[inside, c].mean())


def test_error_is_the_calibration_error():
    S, Y = draw()
    np.testing.assert_allclose(reliability(S, Y).error(), calibration_error(S, Y))
    flat = calibration_error(S.reshape(-1, 1), Y.reshape(-1, 1))
    np.testing.assert_allclose(reliability(S, Y).pooled().error(), flat)


def test_empty_bins():
    found = reliability(np.array([[0.1], [0.15]]), np.array([[1], [0]]), 4)
    assert found.counts.tolist() == [[2, 0, 0, 0]]
    assert np.isnan(found.share[0, 1:]).all()
    assert found.pooled().share[0, 0] == 0.5
    assert found.error() == pytest.approx(0.375)


def test_unknown_entries_are_left_out():
    S, Y = draw()
    known = np.random.default_rng(1).random(Y.shape) < 0.5
    known[:, 2] = False
    found = reliability(S, as_labels(Y).sparse(), known=known)
    rows = known[:, 0]
    alone = reliability(S[rows, :1], Y[rows, :1])
    np.testing.assert_allclose(found.share[0], alone.share[0])
    assert found.counts[2].sum() == 0
    assert np.isnan(found.error()[2])


@pytest.mark.parametrize("bins", [0, 1.5, True, 10**9, "many"])
def test_bins_that_are_no_number(bins):
    with pytest.raises(ValueError, match="`bins` as an integer from 1 to 10000"):
        reliability(*draw(), bins)


def test_curves_of_known_entries():
    S, Y = draw()
    known = np.random.default_rng(1).random(Y.shape) < 0.5
    rows = known[:, 1]
    one, other = f1_curves(S, Y, known=known)[1], f1_curves(S[rows, 1:2], Y[rows, 1:2])[0]
    np.testing.assert_array_equal(one.f1, other.f1)
    with pytest.raises(ValueError, match="labels that are known somewhere, but got unknown ones: 0"):
        f1_curves(S, Y, known=known & (np.arange(3) > 0))
