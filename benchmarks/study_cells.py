"""A study of 200 cells of a second each on two workers, beside the 100 seconds that they take by themselves.

Run with ``python -m benchmarks.study_cells``, here; ``--cells`` and ``--workers`` ask for others. A cell trains a
classifier that waits for a second; the rest of its time is what a study adds: reading, scoring, recording, saving. Each
executor is timed from the call to the last record, the start of its processes included.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier

from manylabel.study import Plan, run
from manylabel.study.executors.base import Executor
from manylabel.study.executors.local import Local

SECONDS, LABELS = 1.0, 4
GOALS = {"local processes": 1.15, "Dask": 1.20}
ROWS = 200


class Waits(DummyClassifier):
    """Takes a second to fit all labels, one of which each copy learns."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        began = time.perf_counter()
        super().fit(X, y, sample_weight)
        time.sleep(max(0.0, SECONDS / LABELS - (time.perf_counter() - began)))
        return self


def write_rows(path: Path) -> Path:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, 8)).astype(np.float32)
    Y = (X[:, :LABELS] > 0.3).astype(np.uint8)
    half = ROWS // 2
    np.savez(path, X_train=X[:half], y_train=Y[:half], X_test=X[half:], y_test=Y[half:])
    return path


@contextmanager
def dask(workers: int) -> Iterator[Executor]:
    """Workers of one thread on this machine, which are there before the clock starts."""
    from distributed import LocalCluster

    from manylabel.study.executors.dask import Dask

    with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0") as cluster:
        yield Dask(cluster.scheduler_address)


def timed(executor: Executor, data: Path, out: Path, cells: int) -> tuple[float, float]:
    """Seconds of a study, and the mean seconds that its cells trained."""
    plan = Plan.grid(str(data), ["benchmarks.study_cells.Waits"], range(cells), out)
    began = time.perf_counter()
    failed = run(plan, lambda event: None, executor)
    took = time.perf_counter() - began
    if failed:
        raise SystemExit(f"{len(failed)} cells failed: {failed[0].message}")
    return took, float(np.mean([record.seconds for record in plan.folder.finished_runs()]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cells", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    bare = asked.cells * SECONDS / asked.workers
    print(
        "| executor | study | bare | ratio | goal | a cell's training |\n| --- | ---: | ---: | ---: | ---: | ---: |"
    )
    with tempfile.TemporaryDirectory() as made:
        data = write_rows(Path(made) / "rows.npz")
        for name, goal in GOALS.items():
            if name == "Dask":
                with dask(asked.workers) as executor:
                    took, each = timed(executor, data, Path(made) / name, asked.cells)
            else:
                took, each = timed(Local(asked.workers), data, Path(made) / name, asked.cells)
            print(
                f"| {name} | {took:.1f} s | {bare:.0f} s | {took / bare:.3f} | {goal} | {each:.3f} s |",
                flush=True,
            )


if __name__ == "__main__":
    main()
