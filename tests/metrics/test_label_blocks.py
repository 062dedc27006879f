"""Labels stay a label matrix: every metric makes dense no more of them than a block."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from manylabel import metrics
from manylabel.labels import LabelMatrix, SparseLabels, as_labels
from manylabel.metrics.inputs import ENTRIES_AT_ONCE

N, C = 1500, 3000
rng = np.random.default_rng(0)
S = rng.random((N, C)).astype(np.float32)
Y = sp.random(N, C, density=0.001, random_state=0, format="csr").astype(bool)

METRICS = {
    "average_precision": metrics.average_precision,
    "coverage_error": metrics.coverage_error,
    "ranking_loss": metrics.ranking_loss,
    "lrap": metrics.lrap,
    "ndcg_at_k": lambda S, Y: metrics.ndcg_at_k(S, Y, 5),
    "precision_at_k": lambda S, Y: metrics.precision_at_k(S, Y, 5),
    "recall_at_k": lambda S, Y: metrics.recall_at_k(S, Y, 5),
    "propensity_scored": lambda S, Y: metrics.propensity_scored_precision_at_k(S, Y, np.ones(C)),
    "brier_score": metrics.brier_score,
    "calibration_error": metrics.calibration_error,
    "of": lambda S, Y: metrics.Counts.of(S > 0.5, Y).micro_f1(),
    "sweep": lambda S, Y: metrics.Counts.sweep(S, Y, [0.1, 0.5]).micro_f1(),
    "top_k thresholds": lambda S, Y: [t.value for t in metrics.learn_thresholds(S, Y, rule="top_k").values()],
    "evaluate": lambda S, Y: list(metrics.evaluate(S, Y, "oracle").values.values()),
}


@pytest.fixture
def made_dense(monkeypatch):
    """The entries of each call of dense()."""
    sizes = []

    def dense(self, dtype=torch.float32, of=SparseLabels.dense):
        sizes.append(self.n_rows * self.n_labels)
        return of(self, dtype)

    monkeypatch.setattr(SparseLabels, "dense", dense)
    return sizes


@pytest.mark.parametrize("name", METRICS)
def test_no_metric_makes_the_labels_dense_as_a_whole(name, made_dense):
    assert N * C > ENTRIES_AT_ONCE
    labels: LabelMatrix = as_labels(Y)
    found = METRICS[name](S, labels)
    assert made_dense
    assert max(made_dense) <= ENTRIES_AT_ONCE
    np.testing.assert_array_equal(found, METRICS[name](S, Y.toarray()))
