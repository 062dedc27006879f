"""What ``predict`` takes beside the bare forward pass of the same network, timed in turn in one process.

Run with ``python -m benchmarks.predict``: 100 000 rows of 500 numbers and 100 labels. The forward pass is that of the
trained network in one call a block, on standardised rows that are already there; ``predict`` reads and checks the
array, standardises it, scores it and decides. Seconds are CPU seconds of one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from manylabel import methods
from manylabel.data import Rows
from manylabel.labels import as_labels

BLOCK = 1024


def trained(n_features: int, n_labels: int) -> methods.Predictor:
    """A model of the recipe ``bce`` after one epoch."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2048, n_features)).astype(np.float32)
    Y = as_labels(rng.random((2048, n_labels)) < 0.1)
    one = {"classify.stage.epochs": 1}
    train, validation = Rows(X[:1536], Y.take(slice(0, 1536))), Rows(X[1536:], Y.take(slice(1536, 2048)))
    return methods.get("bce", **one).fit(train, validation)


@torch.no_grad()
def forward(model: methods.Predictor, rows: torch.Tensor) -> torch.Tensor:
    """Probabilities of standardised rows, (n, D) -> (n, C)."""
    scorer = model.scorer
    parts = [torch.sigmoid(scorer.classifier(scorer.encoder(x))) for x in rows.split(BLOCK)]  # type: ignore[attr-defined]
    return torch.cat(parts)


def seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--features", type=int, default=500)
    parser.add_argument("--labels", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=7)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    model = trained(asked.features, asked.labels)
    X = np.random.default_rng(1).normal(size=(asked.rows, asked.features)).astype(np.float32)
    ready = model.scorer.inputs(torch.from_numpy(X))  # type: ignore[attr-defined]
    bare, whole = [], []
    for _ in range(asked.repeats):
        bare.append(seconds(lambda: forward(model, ready)))
        whole.append(seconds(lambda: model.predict(X)))
    ratio = float(np.median(np.array(whole) / np.array(bare)))
    print(
        f"bare forward pass {min(bare):.2f} s, predict {min(whole):.2f} s, median ratio {ratio:.2f} (goal 1.3)"
    )


if __name__ == "__main__":
    main()
