"""Precision at 1 with very many labels beside a tree of linear models: ``python -m benchmarks.large_beside SET.npz``.

Takes a set that :mod:`benchmarks.large_sparse` wrote. Trains the tree of linear models of LibMultiLabel (the package
``libmultilabel``, installed by hand) and ``bce`` with drawn labels on the same training rows, and prints precision at
1, 3 and 5 of the same test rows and the processor's seconds of each, from matrices to scores.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from benchmarks.large_sparse import BATCH


def tree(dataset: Any, beam: int = 10) -> Any:
    """The 5 highest scores of the test rows by a tree of linear models, at its defaults."""
    import numpy as np
    from libmultilabel.linear.tree import train_tree

    from manylabel import metrics

    train, test = dataset.train, dataset.test
    model = train_tree(_scipy(train.Y), train.X.values.astype(np.float64), verbose=False)
    X, shape = test.X.values.astype(np.float64), test.Y.shape
    scores = metrics.StreamedScores(lambda rows: _ranked(model.predict_values(X[rows], beam)), shape)
    return metrics.TopScores.of(scores, 5)


def _ranked(values: Any) -> Any:
    """Decision values of any size as scores in [0, 1] in the same order; -inf for what the beam did not reach."""
    import numpy as np

    values = values.toarray() if hasattr(values, "toarray") else np.asarray(values)
    return 1 / (1 + np.exp(-np.clip(values, -500, 500)))


def _scipy(Y: Any) -> Any:
    import numpy as np
    import scipy.sparse as sp

    lists = Y.sparse()
    ones = np.ones(len(lists.columns))
    return sp.csr_matrix((ones, lists.columns.numpy(), lists.offsets.numpy()), shape=Y.shape)


def ours(dataset: Any, settings: dict[str, Any]) -> Any:
    """The 5 highest scores of the test rows by ``bce``."""
    from manylabel import data, methods

    train, validation = data.split_validation(dataset, 0)
    model = methods.get("bce", **settings).fit(train, validation, seed=0)
    return model.scores(dataset.test.X, top=5)


def main() -> None:
    """Both, one after the other."""
    from manylabel import data, metrics

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", type=Path)
    parser.add_argument("--only", choices=["tree", "bce"])
    parser.add_argument("--set", dest="given", action="append", default=[], help="a setting as name=JSON")
    asked = parser.parse_args()
    dataset = data.load(str(asked.set))
    settings: dict[str, Any] = {
        "classify.negatives": 4096,
        "classify.stage.batch": BATCH,
        "inputs.most_features": dataset.train.X.shape[1],
    }
    settings |= {name: json.loads(value) for name, _, value in (each.partition("=") for each in asked.given)}
    for name, top_of in (("tree", tree), ("bce", lambda rows: ours(rows, settings))):
        if asked.only in (None, name):
            started = time.process_time()
            top = top_of(dataset)
            seconds = time.process_time() - started
            found = [metrics.precision_at_k(top, dataset.test.Y, k) for k in (1, 3, 5)]
            values = ", ".join(
                f"precision@{k} {value:.4f}" for k, value in zip((1, 3, 5), found, strict=True)
            )
            print(f"{name:<6}{seconds:8.0f} s of the processor, {values}", flush=True)


if __name__ == "__main__":
    main()
