"""What hurts where two tools meet does not hurt here: thresholds, ties, absent labels, empty rows and columns."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import sklearn.metrics as sk
import torch

from manylabel import data, losses, metrics
from manylabel.errors import ManyLabelError
from manylabel.metrics import Threshold

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("value", [0.1, 0.3, 0.6, 0.7, 0.9])
def test_a_score_equal_to_its_threshold_is_predicted_in_every_precision(value):
    assert float(np.float32(0.7)) < 0.7  # the trap: as float64, a float32 score of 0.7 misses its threshold
    for dtype in (np.float16, np.float32, np.float64):
        scores = np.full((2, 3), value, dtype)
        assert Threshold("shared", value).predict(scores).all()
        assert Threshold("per_label", (value,) * 3).predict(torch.from_numpy(scores)).all()


def test_a_threshold_of_the_precision_recall_curve_keeps_its_f1():
    truth, scores = np.array([0, 0, 1, 0]), np.array([0.2, 0.4, 0.9, 0.1])
    precision, recall, thresholds = sk.precision_recall_curve(truth, scores)
    best = thresholds[np.argmax((precision * recall)[:-1])]
    predicted = Threshold("shared", float(best)).predict(scores[:, None])[:, 0]
    assert sk.f1_score(truth, predicted) == 1.0


def test_ties_do_not_depend_on_the_number_of_a_label():
    for label in range(4):
        truth = np.eye(4, dtype=int)[[label]]
        assert metrics.ranking_loss(np.full((1, 4), 0.5), truth) == 1.0
    S, Y = RNG.integers(0, 3, (50, 6)) / 2, RNG.random((50, 6)) < 0.3
    order = RNG.permutation(6)
    assert metrics.ranking_loss(S, Y) == pytest.approx(
        metrics.ranking_loss(S[:, order], Y[:, order]), abs=1e-12
    )
    assert metrics.ranking_loss(S, Y) == pytest.approx(sk.label_ranking_loss(Y, S), abs=1e-12)


@pytest.mark.parametrize("metric", ["mean_average_precision", "lrap", "ranking_loss", "coverage_error"])
def test_scores_are_never_taken_for_something_else(metric):
    S, Y = RNG.random((40, 5)), RNG.random((40, 5)) < 0.4
    measure = getattr(metrics, metric)
    for other in (S / 1000, 10 * S - 20, 10 * S):  # small, negative, beyond 1
        assert measure(other, Y) == pytest.approx(measure(S, Y), abs=1e-12)


def test_absent_labels_leave_the_macro_mean():
    S, Y = RNG.random((40, 5)), RNG.random((40, 5)) < 0.4
    Y[:, 3] = False
    kept = [0, 1, 2, 4]
    expected = sk.average_precision_score(Y[:, kept], S[:, kept], average="macro")
    assert metrics.mean_average_precision(S, Y) == pytest.approx(expected)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.int64, np.float32])
@pytest.mark.parametrize("layout", ["csr", "csc", "coo"])
def test_sparse_labels_of_every_type_are_labels(dtype, layout):
    Y = (RNG.random((8, 5)) < 0.4).astype(dtype)
    z = torch.from_numpy(RNG.normal(size=(8, 4)))
    loss = losses.get("mulsupcon")
    torch.testing.assert_close(loss(z, sp.coo_matrix(Y).asformat(layout)), loss(z, torch.from_numpy(Y)))


def test_empty_rows_and_last_columns_of_a_sparse_table_are_kept(tmp_path):
    names = "".join(f"@attribute {name} numeric\n" for name in "abc")
    rows = "{0 1,3 1}\n{}\n{1 2,3 0,4 1}\n{0 3}\n{}\n"
    path = tmp_path / "t.arff"
    path.write_text(f"@relation 't: -C -2'\n{names}@attribute l {{1,0}}\n@attribute m {{0,1}}\n@data\n{rows}")
    with pytest.raises(
        ManyLabelError, match="'l' to list 0 first"
    ):  # a sparse row leaves out the first value: 1
        data.load(path)
    path.write_text(path.read_text().replace("{1,0}", "{0,1}"))
    dataset = data.load(path)
    assert len(dataset.train) + len(dataset.test) == 5
    assert dataset.train.X.shape[1] == 3
    assert dataset.label_names == ("l", "m")
    assert int(dataset.train.Y.label_counts().sum() + dataset.test.Y.label_counts().sum()) == 2


def test_labels_of_a_dense_table_are_not_inverted(tmp_path):
    path = tmp_path / "t.arff"
    rows = "1,1\n2,1\n3,0\n4,1\n"
    path.write_text(f"@relation 't: -C -1'\n@attribute a numeric\n@attribute l {{1,0}}\n@data\n{rows}")
    dataset = data.load(path)
    assert int(dataset.train.Y.label_counts() + dataset.test.Y.label_counts()) == 3
