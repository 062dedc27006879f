"""Memory and time of metrics from the highest scores of each row: ``python -m benchmarks.large_metrics [rows labels]``.

Draws the 50 highest scores of each row and labels, 5 a row of which most are among the first, and tells for each metric
its seconds and how far memory rose above what the scores and labels take.
"""

from __future__ import annotations

import sys

import numpy as np
import scipy.sparse as sp
from benchmarks.many_labels import Phases

KEPT, PER_ROW = 50, 5


def made(n_rows: int, n_labels: int) -> tuple[np.ndarray, np.ndarray, sp.csr_matrix]:
    """Labels and values of the highest scores, and the labels that rows carry."""
    rng = np.random.default_rng(0)
    step = rng.integers(1, n_labels // KEPT, size=(n_rows, KEPT), dtype=np.int32)
    labels = rng.permuted(step.cumsum(1, dtype=np.int32) - 1, axis=1)
    values = np.sort(0.09 * rng.random((n_rows, KEPT), dtype=np.float32), axis=1)[:, ::-1].copy()
    values[:, :10] = np.sort(0.1 + 0.9 * rng.random((n_rows, 10), dtype=np.float32), axis=1)[:, ::-1]
    places = np.minimum(rng.geometric(0.2, size=(n_rows, PER_ROW)) - 1, KEPT - 1)
    carried = np.take_along_axis(labels, places, 1)
    ends = np.arange(0, n_rows * PER_ROW + 1, PER_ROW)
    Y = sp.csr_matrix((np.ones(carried.size, np.uint8), carried.ravel(), ends), shape=(n_rows, n_labels))
    Y.sum_duplicates()
    Y.data[:] = 1
    return labels, values, Y


def main() -> None:
    """Measure every metric after the other."""
    from manylabel import metrics
    from manylabel.labels import as_labels

    n_rows, n_labels = (int(n) for n in (sys.argv[1:3] if len(sys.argv) > 2 else ("100000", "10000")))
    labels, values, Y = made(n_rows, n_labels)
    top, T = metrics.TopScores(labels, values, n_labels), as_labels(Y)
    p = metrics.propensities(T)
    named = ("precision_at_1", "ndcg_at_5", "macro_f1", "micro_f1", "example_f1")
    measured = {
        "precision@5": lambda: metrics.precision_at_k(top, T, 5),
        "nDCG@5": lambda: metrics.ndcg_at_k(top, T, 5),
        "propensity-scored precision@5": lambda: metrics.propensity_scored_precision_at_k(top, T, p, 5),
        "evaluate": lambda: metrics.evaluate(top, T, "oracle", metrics=named).values["macro_f1"],
    }
    phases = Phases()
    print(f"{n_rows} rows x {n_labels} labels, the {KEPT} highest scores; all scores would be", end=" ")
    print(f"{4 * n_rows * n_labels / 2**20:.0f} MiB")
    for name, measure in measured.items():
        with phases.phase(name):
            value = measure()
        found = phases.found[name]
        rise = found["peak_mib"] - found["before_mib"]
        print(f"{name:<32}{value:8.4f}{found['seconds']:8.1f} s  {rise:6.0f} MiB more")


if __name__ == "__main__":
    main()
