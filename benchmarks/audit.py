"""How well an audit of labels finds planted errors, beside the ranking by a model's own probabilities.

Run with ``python -m benchmarks.audit --data FOLDER``, the folder of the data sets. Of the training rows, 5 % of the
label entries are flipped at random with a seed; test rows are not looked at. "own" ranks entries by the probability of
the other value that a model of the same method gives its own training rows, "cross-fitted" by that of models which did
not see the row, "audit" by the suspicion of the audit: areas under the precision-recall curve.
"""

from __future__ import annotations

import argparse
import time
import warnings
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score

from manylabel import data, methods
from manylabel.data import Rows
from manylabel.data.splits import held_out_rows
from manylabel.estimator import audit
from manylabel.labels import as_labels

SHARE = 0.05
EPOCHS = {"scene": 60, "yeast": 60, "reuters21578": 10}
METHODS = ("sklearn.tree.DecisionTreeClassifier", "logistic_regression", "extra_trees", "bce", "best")


def areas(rows: Rows, method: str, settings: dict[str, Any], seed: int) -> tuple[float, float, float]:
    """The three areas for one method."""
    true = rows.Y.dense().numpy() > 0
    flipped = np.random.default_rng(seed).random(true.shape) < SHARE
    labelled = true ^ flipped
    noisy = Rows(rows.X, as_labels(labelled.astype(np.uint8)))
    held = held_out_rows(noisy.Y, 0.1, seed)
    own = methods.get(method, **settings).fit(noisy.take(~held), noisy.take(held), seed=seed)
    found = audit(noisy, method=method, settings=settings, random_state=seed)
    rankings = np.abs(labelled - own.scores(noisy.X)), np.abs(labelled - found.model), found.suspicion
    first, second, third = (float(average_precision_score(flipped.ravel(), r.ravel())) for r in rankings)
    return first, second, third


def main() -> None:
    """Print a line for each data set and method."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder of the data sets")
    parser.add_argument("--sets", nargs="+", default=list(EPOCHS))
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print("| data | method | own | cross-fitted | audit | audit / own | CPU s |")
    print("|---|---|---|---|---|---|---|")
    for name in options.sets:
        rows = data.load(name, options.data).train
        for method in options.methods:
            settings = {"classify.stage.epochs": EPOCHS[name]} if method == "bce" else {}
            began = time.process_time()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                own, crossed, ours = areas(rows, method, settings, options.seed)
            told = f"{own:.3f} | {crossed:.3f} | {ours:.3f} | {ours / own:.2f}"
            print(
                f"| {name} | {method.rpartition('.')[2]} | {told} | {time.process_time() - began:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
