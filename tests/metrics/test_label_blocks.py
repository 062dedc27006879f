"""Labels stay a label matrix: every metric makes dense no more of them than a block."""

import numpy as np
import pytest
import torch
from tests.metrics.block_cases import METRICS, C, N, S, Y

from manylabel.labels import LabelMatrix, SparseLabels, as_labels
from manylabel.metrics.scores import ENTRIES_AT_ONCE


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
