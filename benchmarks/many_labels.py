"""Peak memory of a run with very many labels, by phase: ``python -m benchmarks.many_labels [rows labels]``.

Makes a seeded set of sparse features and labels (5 a row), trains ``bce`` on it for one epoch in a child process as
``manylabel run`` does, and prints for each phase how far memory rose, the bytes of the label matrices alive at its end,
and the largest block of labels that was made dense. Beside labels a run of L labels holds the classifier, its gradient
and two moments of Adam (16 L H bytes for a width of H), the logits of a batch of B rows, their gradient and what the
loss makes of them (each 4 B L bytes), and, while it is measured, what a metric makes of a million scores.
"""

from __future__ import annotations

import gc
import json
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

FEATURES, PER_ROW, ENTRIES, BATCH, WIDTH = 2_000, 5, 40, 256, 64
SETTINGS = {
    "vectors.encoder.widths": [WIDTH],
    "classify.stage.epochs": 1,
    "classify.stage.batch": BATCH,
    "classify.stage.monitor_every": 1,
}
PAGE = resource.getpagesize()


def write_set(path: Path, n_rows: int, n_labels: int) -> None:
    """A data set whose labels are drawn at random, a fifth of the rows for the test."""
    rng = np.random.default_rng(0)
    parts: dict[str, Any] = {}
    for part, n in (("train", n_rows - n_rows // 5), ("test", n_rows // 5)):
        for name, each, width in (("X", ENTRIES, FEATURES), ("y", PER_ROW, n_labels)):
            columns = rng.integers(width, size=(n, each)).ravel()
            ones = np.ones(len(columns), dtype=np.float32)
            made = sp.csr_matrix((ones, columns, np.arange(0, n * each + 1, each)), shape=(n, width))
            made.sum_duplicates()
            made.data[:] = 1
            for key in ("data", "indices", "indptr", "shape"):
                parts[f"{name}_{part}_{key}"] = getattr(made, key)
    np.savez_compressed(path, **parts)


def resident() -> int:
    """Bytes of this process that lie in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def of_labels() -> int:
    """Bytes of the label matrices that are alive."""
    from manylabel.labels import LabelMatrix

    tensors = {}
    for found in gc.get_objects():
        if issubclass(type(found), LabelMatrix):  # isinstance asks __class__, at which deprecated names warn
            for name in ("Y", "bits", "offsets", "columns", "weights"):
                held = getattr(found, name, None)
                if held is not None:
                    storage = held.untyped_storage()
                    tensors[storage.data_ptr()] = storage.nbytes()
    return sum(tensors.values())


class Phases:
    """The highest memory of each phase, looked at every few milliseconds."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, float]] = {}
        self._highest, self._block = 0, 0
        self._watch_dense()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch_dense(self) -> None:
        """Remember the largest block of labels that was made dense."""
        from manylabel.labels import SparseLabels

        made_by = SparseLabels.dense

        def dense(labels: Any, dtype: Any = torch.float32) -> Any:
            self._block = max(self._block, labels.n_rows * labels.n_labels * dtype.itemsize)
            return made_by(labels, dtype)

        SparseLabels.dense = dense  # type: ignore[method-assign]

    def _watch(self) -> None:
        while True:
            self._highest = max(self._highest, resident())
            time.sleep(0.005)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        gc.collect()
        before, started, computed = resident(), time.perf_counter(), time.process_time()
        self._highest, self._block = before, 0
        yield
        self.found[name] = {
            "seconds": round(time.perf_counter() - started, 1),
            "processor": round(time.process_time() - computed, 1),
            "before_mib": before / 2**20,
            "peak_mib": max(self._highest, resident()) / 2**20,
            "labels_mib": of_labels() / 2**20,
            "dense_mib": self._block / 2**20,
        }
        print(f"{name}: {self.found[name]['processor']} s of the processor", file=sys.stderr, flush=True)


def run(path: Path, out: Path) -> dict[str, dict[str, float]]:
    """Every phase of a run of one seed, in this process."""
    from manylabel import data, methods, metrics
    from manylabel.methods.scorer import scores_of
    from manylabel.study.run_cell import PROTOCOLS

    phases = Phases()
    with phases.phase("load"):
        dataset = data.load(str(path))
    with phases.phase("split"):
        train, validation = data.split_validation(dataset, 0)
    with phases.phase("fit"):
        model = methods.get("bce", **SETTINGS).fit(train, validation, seed=0, folder=out)
    with phases.phase("score"):
        parts = (validation, dataset.test)
        scores = [scores_of(model.scores, part.X, part.Y.n_labels) for part in parts]
        for each in scores:
            if isinstance(each, metrics.StreamedScores):
                metrics.TopScores.of(each, metrics.KEPT)
    with phases.phase("evaluate"):
        metrics.evaluate_protocols(scores[1], dataset.test.Y, PROTOCOLS, (scores[0], validation.Y))
    return phases.found


def measured(n_rows: int, n_labels: int, folder: Path) -> dict[str, dict[str, float]]:
    """The phases of a run in a child process."""
    path = folder / "made.npz"
    write_set(path, n_rows, n_labels)
    command = [sys.executable, "-m", "benchmarks.many_labels", "--child", str(path), str(folder / "out")]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    phases: dict[str, dict[str, float]] = json.loads(told.splitlines()[-1])
    return phases


def show(n_rows: int, n_labels: int, phases: dict[str, dict[str, float]]) -> None:
    """The table of a run."""
    print(f"{n_rows} rows x {n_labels} labels, {PER_ROW} a row, {FEATURES} sparse features, batch {BATCH}")
    print(f"classifier of width {WIDTH} with Adam: {16 * n_labels * WIDTH / 2**20:.0f} MiB")
    print(f"logits of a batch: {4 * BATCH * n_labels / 2**20:.0f} MiB")
    print(f"{'phase':<10}{'seconds':>9}{'before':>9}{'peak':>9}{'rise':>9}{'labels':>9}{'dense':>9}   MiB")
    for name, phase in phases.items():
        before, peak = phase["before_mib"], phase["peak_mib"]
        numbers = "".join(
            f"{v:9.1f}"
            for v in (phase["seconds"], before, peak, peak - before, phase["labels_mib"], phase["dense_mib"])
        )
        print(f"{name:<10}{numbers}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(run(*map(Path, sys.argv[2:]))))
    else:
        n_rows, n_labels = (
            int(given) for given in (sys.argv[1:3] if len(sys.argv) > 2 else ("60000", "60000"))
        )
        with TemporaryDirectory() as made:
            show(n_rows, n_labels, measured(n_rows, n_labels, Path(made)))
