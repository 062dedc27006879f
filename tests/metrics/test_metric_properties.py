"""What holds for every metric: order of rows and labels, layout of the labels, awkward sizes."""

import sys

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from manylabel import metrics
from manylabel.labels import as_labels
from manylabel.metrics import Counts
from manylabel.metrics.thresholds import SET_METRICS

GRID = [0.2, 0.5, 0.8]


def of_sets(metric):
    return lambda S, Y: metric(Counts.sweep(S, Y, GRID))


SCALARS = {
    "map": metrics.mean_average_precision,
    "map_zero": lambda S, Y: metrics.mean_average_precision(S, Y, absent="zero"),
    "coverage_error": metrics.coverage_error,
    "ranking_loss": metrics.ranking_loss,
    "lrap": metrics.lrap,
    "ndcg_at_2": lambda S, Y: metrics.ndcg_at_k(S, Y, 2),
    **{name: of_sets(metric) for name, metric in SET_METRICS.items()},
}
CUT_IN_TIES = {
    "precision_at_2": lambda S, Y: metrics.precision_at_k(S, Y, 2),
    "recall_at_2": lambda S, Y: metrics.recall_at_k(S, Y, 2),
    "psp_at_2": lambda S, Y: metrics.propensity_scored_precision_at_k(
        S, Y, np.linspace(0.2, 0.9, S.shape[1]), 2
    ),
}
PER_LABEL = {
    "average_precision": metrics.average_precision,
    "brier_score": metrics.brier_score,
    "calibration_error": metrics.calibration_error,
}
ALL = {**SCALARS, **CUT_IN_TIES, **PER_LABEL}


def draw(n=41, n_labels=7, seed=0, decimals=1):
    """Tied scores; rows 0 and 1 without labels, row 2 with all, label 3 absent, label 4 everywhere."""
    rng = np.random.default_rng(seed)
    Y = rng.random((n, n_labels)) < 0.3
    Y[:, 3], Y[:, 4] = False, True
    Y[:2], Y[2] = False, True
    return np.round(np.clip(rng.normal(0.4 + 0.2 * Y, 0.25), 0, 1), decimals), Y


@pytest.mark.parametrize("name", ALL)
def test_row_order(name):
    S, Y = draw()
    rows = np.random.default_rng(1).permutation(len(S))
    np.testing.assert_allclose(ALL[name](S[rows], Y[rows]), ALL[name](S, Y), rtol=1e-12)


@pytest.mark.parametrize("name", SCALARS)
def test_label_order(name):
    S, Y = draw()
    labels = np.random.default_rng(1).permutation(S.shape[1])
    np.testing.assert_allclose(SCALARS[name](S[:, labels], Y[:, labels]), SCALARS[name](S, Y), rtol=1e-12)


@pytest.mark.parametrize("name", PER_LABEL)
def test_label_order_per_label(name):
    S, Y = draw()
    labels = np.random.default_rng(1).permutation(S.shape[1])
    np.testing.assert_allclose(PER_LABEL[name](S[:, labels], Y[:, labels]), PER_LABEL[name](S, Y)[labels])


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    "layout",
    [
        sp.csr_matrix,
        sp.coo_array,
        torch.from_numpy,
        as_labels,
        lambda Y: torch.from_numpy(Y.astype(np.float32)).to_sparse_csr(),
        lambda Y: Y.astype(np.int8),
    ],
    ids=["csr", "coo", "tensor", "LabelMatrix", "sparse tensor", "int8"],
)
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")
def test_label_layout(name, layout):
    S, Y = draw()
    np.testing.assert_array_equal(ALL[name](S, layout(Y)), ALL[name](S, Y))


@pytest.mark.parametrize("name", ALL)
def test_tensor_scores(name):
    S, Y = draw()
    scores = torch.tensor(S, requires_grad=True)
    np.testing.assert_array_equal(ALL[name](scores, Y), ALL[name](S, Y))


@pytest.mark.parametrize("name", ALL)
def test_rows_and_labels_may_come_in_pieces(name, monkeypatch):
    S, Y = draw()
    whole = ALL[name](S, Y)
    monkeypatch.setattr("manylabel.metrics.scores.ENTRIES_AT_ONCE", 30)
    np.testing.assert_allclose(ALL[name](S, Y), whole, rtol=1e-12)


@pytest.mark.parametrize("name", SCALARS | CUT_IN_TIES)
@pytest.mark.parametrize("seed", range(4))
def test_one_row(name, seed):
    """A row's value does not depend on the others: one row alone equals the same row repeated."""
    S, Y = draw(n=8, seed=seed)
    row = slice(5, 6)
    alone = (SCALARS | CUT_IN_TIES)[name](S[row], Y[row])
    np.testing.assert_allclose(alone, (SCALARS | CUT_IN_TIES)[name](S[[5, 5, 5]], Y[[5, 5, 5]]), rtol=1e-12)


@pytest.mark.parametrize("name", SCALARS | CUT_IN_TIES)
def test_perfect_scores(name):
    _, Y = draw()
    Y[:, 3] = ~Y[:, 3]  # every label occurs
    Y = Y[Y.any(1)]
    value = (SCALARS | CUT_IN_TIES)[name](Y.astype(float), Y)
    best = {
        "coverage_error": Y.sum(1).mean(),
        "ranking_loss": 0.0,
        "precision_at_2": np.minimum(Y.sum(1), 2).mean() / 2,
        "recall_at_2": (np.minimum(Y.sum(1), 2) / Y.sum(1)).mean(),
    }
    np.testing.assert_allclose(value, best.get(name, 1.0))


@pytest.mark.parametrize("name", ["map", "map_zero", "lrap", "ranking_loss", "coverage_error", "ndcg_at_2"])
def test_only_the_order_of_scores_matters(name):
    S, Y = draw()
    np.testing.assert_allclose(SCALARS[name](np.exp(3 * S) - 5, Y), SCALARS[name](S, Y), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("name", ALL)
def test_coarser_scores_of_one_decimal_give_the_same(name, dtype):
    S, Y = draw()
    tolerance = 2e-3 if name in ("brier_score", "calibration_error") else 1e-12
    if name == "calibration_error":
        S = np.round(4 * S) / 4  # no score moves to another bin
    np.testing.assert_allclose(ALL[name](S.astype(dtype), Y), ALL[name](S, Y), atol=tolerance)


def test_half_precision_tensors():
    S, Y = draw()
    S = torch.from_numpy(np.round(4 * S) / 4)  # exact in bfloat16
    for metric in ALL.values():
        np.testing.assert_array_equal(metric(S.bfloat16(), Y), metric(S.float(), Y))


def python_calls(metric, S, Y):
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        metric(S, Y)
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("name", ALL)
def test_no_python_step_is_taken_per_row_or_label(name):
    small, large = draw(20, 6), draw(400, 60)
    ALL[name](*small)  # whatever is imported at the first call is here now
    assert python_calls(ALL[name], *large) <= python_calls(ALL[name], *small) + 5


def test_constant_scores():
    n, n_labels = 70_000, 2  # n^2 does not fit 32 bits
    Y = np.zeros((n, n_labels), dtype=bool)
    Y[:60_000, 0] = True
    Y[: n // 2, 1] = True
    S = np.full((n, n_labels), 0.5)
    np.testing.assert_allclose(metrics.average_precision(S, Y), [6 / 7, 1 / 2])
    assert metrics.precision_at_k(S, Y, 1) == pytest.approx(6 / 7)  # ties: the first label
    assert metrics.ranking_loss(S, Y) == pytest.approx(25_000 / n)  # rows with exactly one label


def test_infinite_scores_can_be_ranked():
    S = np.array([[np.inf, 1.0, -np.inf]])
    assert metrics.lrap(S, np.array([[1, 0, 0]])) == 1
    assert metrics.coverage_error(S, np.array([[0, 0, 1]])) == 3


BAD = {
    "rows": (np.full((3, 2), 0.5), np.zeros((4, 2)), r"labels of shape \(3, 2\).*got shape \(4, 2\)"),
    "columns": (np.full((3, 2), 0.5), np.zeros((3, 3)), r"labels of shape \(3, 2\)"),
    "one axis": (np.full(3, 0.5), np.zeros((3, 1)), r"scores of shape \(n_rows, n_labels\)"),
    "no rows": (np.zeros((0, 2)), np.zeros((0, 2)), "at least one row"),
    "nan": (np.array([[0.1, 0.2], [0.3, np.nan]]), np.zeros((2, 2)), "NaN, first at row 1, label 1"),
    "text": (np.array([["a", "b"]]), np.zeros((1, 2)), "numeric scores"),
    "soft labels": (np.full((1, 2), 0.5), np.array([[0.5, 1.0]]), "0 or 1"),
    "label nan": (np.full((1, 2), 0.5), np.full((1, 2), np.nan), "labels some of which are known"),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("name", ["map", "lrap", "macro_f1", "precision_at_2", "brier_score"])
def test_unusable_input_is_refused(name, bad):
    S, Y, message = BAD[bad]
    with pytest.raises(ValueError, match=message):
        ALL[name](S, Y)


@pytest.mark.parametrize("name", [name for name in PER_LABEL if name != "average_precision"])
def test_calibration_needs_probabilities(name):
    with pytest.raises(ValueError, match="sigmoid"):
        PER_LABEL[name](np.array([[3.0, -2.0]]), np.array([[1, 0]]))
