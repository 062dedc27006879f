"""The example with MAPIE on the page of decisions keeps its promise, where MAPIE is installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from tests.docs.pages import DOCS, blocks

from manylabel import MultiLabelClassifier


@pytest.mark.skipif(find_spec("mapie") is None, reason="MAPIE is not installed: it is no dependency")
@pytest.mark.filterwarnings("ignore")  # of another package, which may change with every version
def test_the_promised_recall_is_kept_on_new_rows() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 12)).astype(np.float32)
    Y = X @ rng.normal(size=(12, 5)) + rng.normal(size=(1500, 5)) > 2
    X, Y = X[Y.any(axis=1)], Y[Y.any(axis=1)]
    names: dict[str, Any] = {
        "model": MultiLabelClassifier("logistic_regression", random_state=0).fit(X[:400], Y[:400]),
        "X_held_out": X[400:600],
        "Y_held_out": Y[400:600],
        "X_new": X[600:],
    }
    (block,) = [block for block in blocks(DOCS / "decisions.md") if "mapie" in block.source]
    exec(compile(block.source, "decisions.md", "exec"), names)
    labels, true = names["labels"], Y[600:]
    assert labels.shape == true.shape
    assert ((labels & true).sum(axis=1) / true.sum(axis=1)).mean() > 0.87  # 0.9 promised
    assert labels.mean() < 0.9  # not by predicting everything
