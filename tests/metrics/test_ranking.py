"""Ranking metrics against scikit-learn, and the rules that scikit-learn does not have."""

import warnings

import numpy as np
import pytest
from sklearn import metrics as sk

from manylabel import metrics


def draw(n, n_labels, decimals, seed=0, density=0.25):
    rng = np.random.default_rng(seed)
    Y = rng.random((n, n_labels)) < density
    return np.round(rng.normal(0.7 * Y, 1.0), decimals), Y


SIZES = [(1, 2), (2, 1), (7, 5), (60, 3), (33, 40)]


@pytest.mark.parametrize("decimals", [0, 1, 6])
@pytest.mark.parametrize("size", SIZES)
def test_average_precision(size, decimals):
    S, Y = draw(*size, decimals)
    for c, ours in enumerate(metrics.average_precision(S, Y)):
        if Y[:, c].any():
            assert ours == pytest.approx(sk.average_precision_score(Y[:, c], S[:, c]), abs=1e-12)
        else:
            assert np.isnan(ours)


def test_map_leaves_absent_labels_out_or_counts_them_as_zero():
    S, Y = draw(50, 4, 1)
    Y[:, 2] = False
    present = sk.average_precision_score(Y[:, [0, 1, 3]], S[:, [0, 1, 3]], average="macro")
    assert metrics.mean_average_precision(S, Y) == pytest.approx(present)
    assert metrics.mean_average_precision(S, Y, absent="zero") == pytest.approx(present * 3 / 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert metrics.mean_average_precision(S, Y, absent="zero") == pytest.approx(
            sk.average_precision_score(Y, S)
        )


def test_map_without_any_positive():
    S, Y = draw(5, 3, 1, density=0)
    assert np.isnan(metrics.mean_average_precision(S, Y))
    assert metrics.mean_average_precision(S, Y, absent="zero") == 0


def test_entries_that_do_not_count_leave_the_ranking():
    S, Y = draw(60, 5, 1)
    counted = np.random.default_rng(1).random(S.shape) < 0.7
    ours = metrics.average_precision(S, Y, counted=counted)
    for c in range(5):
        rows = counted[:, c]
        assert ours[c] == pytest.approx(sk.average_precision_score(Y[rows, c], S[rows, c]))
    np.testing.assert_array_equal(
        metrics.average_precision(S, Y, counted=np.ones_like(Y)), metrics.average_precision(S, Y)
    )


@pytest.mark.parametrize("counted", [np.ones((3, 5), bool), np.ones((60, 5), int)])
def test_a_mask_of_another_shape_or_type_is_refused(counted):
    with pytest.raises(ValueError, match="counted as bool"):
        metrics.average_precision(*draw(60, 5, 1), counted=counted)


@pytest.mark.parametrize("decimals", [0, 1, 6])
@pytest.mark.parametrize("size", [(1, 2), (7, 5), (60, 3), (33, 40)])
def test_ranking_of_rows(size, decimals):
    S, Y = draw(*size, decimals)
    assert metrics.coverage_error(S, Y) == pytest.approx(sk.coverage_error(Y, S))
    assert metrics.ranking_loss(S, Y) == pytest.approx(sk.label_ranking_loss(Y, S))
    assert metrics.lrap(S, Y) == pytest.approx(sk.label_ranking_average_precision_score(Y, S))
    for k in range(1, min(size[1], 6) + 1):
        assert metrics.ndcg_at_k(S, Y, k, empty="zero") == pytest.approx(sk.ndcg_score(Y, S, k=k))


def test_rows_without_labels_are_left_out_of_ndcg():
    S, Y = draw(30, 4, 1)
    Y[:7] = False
    Y[7:, 0] = True
    assert metrics.ndcg_at_k(S, Y, 3) == pytest.approx(metrics.ndcg_at_k(S[7:], Y[7:], 3))
    assert metrics.ndcg_at_k(S, Y, 3, empty="zero") == pytest.approx(metrics.ndcg_at_k(S, Y, 3) * 23 / 30)
    assert np.isnan(metrics.ndcg_at_k(S[:7], Y[:7], 3))


def test_rows_with_no_label_or_all():
    S = np.array([[0.3, 0.1, 0.2], [0.3, 0.1, 0.2]])
    Y = np.array([[0, 0, 0], [1, 1, 1]])
    assert metrics.lrap(S, Y) == 1
    assert metrics.ranking_loss(S, Y) == 0
    assert metrics.coverage_error(S, Y) == 1.5


@pytest.mark.parametrize("absent", ["drop", None])
def test_an_unknown_rule_for_absent_labels_is_refused(absent):
    with pytest.raises(ValueError, match='absent to be "leave_out" or "zero"'):
        metrics.mean_average_precision(*draw(5, 3, 1), absent=absent)
