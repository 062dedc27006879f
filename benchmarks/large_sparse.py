"""Time and memory of ``fit`` and ``predict`` with 100 000 labels: ``python -m benchmarks.large_sparse --rows 20000``.

Writes a seeded set of sparse rows and labels to disk once (5 labels a row by a power law, 60 of 50 000 features each),
trains ``bce`` or ``mulsupcon`` on it for one epoch a stage in a child process, takes the 5 highest scores of each test
row, and prints for each phase its seconds, by the clock and of the processor, and how far memory rose. Several
``--rows`` give the slope of the processor's time in rows. ``--method tree`` takes the linear models of
:mod:`benchmarks.omikuji_tree` on the same rows.

Each label has 16 features of its own, drawn evenly. A row has 8 draws from the features of each of its labels and 20 of
all features by a power law, so that a label can be told from the features, and a rare one only from few rows.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import numpy as np
import scipy.sparse as sp
from benchmarks.many_labels import Phases
from benchmarks.omikuji_tree import Tree

from manylabel import data, methods, metrics

PER_ROW, OWN, DRAWN, NOISE = 5, 16, 8, 20
POWER = 0.8  # the frequency of the r-th label is r ** -POWER
CHUNK = 50_000  # rows drawn at a time
MOST_TEST = 10_000
BATCH = 512
TREE = "tree"
Array = np.ndarray[Any, Any]


class Power:
    """Whole numbers below n, the r-th as often as ``r ** -POWER``."""

    def __init__(self, n: int) -> None:
        self.ends = np.cumsum(np.arange(1, n + 1, dtype=np.float64) ** -POWER)
        self.ends /= self.ends[-1]

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        return np.searchsorted(self.ends, rng.random(shape)).astype(np.int32)


def drawn(rng: np.random.Generator, n: int, of_labels: Power, of_features: Power, own: Array) -> Any:
    """Features and labels of n rows."""
    labels = of_labels.draw(rng, (n, PER_ROW))
    picks = rng.integers(OWN, size=(n, PER_ROW, DRAWN))
    told = own[labels[:, :, None], picks].reshape(n, -1)
    X = np.concatenate([told, of_features.draw(rng, (n, NOISE))], axis=1)
    return _csr(X, len(of_features.ends)), _csr(labels, len(of_labels.ends))


def _csr(columns: Array, width: int) -> Any:
    n, each = columns.shape
    ones = np.ones(n * each, dtype=np.float32)
    made = sp.csr_matrix((ones, columns.ravel(), np.arange(0, n * each + 1, each)), shape=(n, width))
    made.sum_duplicates()
    made.data[:] = 1
    return made


def write_set(path: Path, n_rows: int, n_labels: int, n_features: int) -> None:
    """A data set of ``n_rows`` training rows and a tenth as many test rows, 10 000 at most."""
    rng = np.random.default_rng(0)
    own = rng.integers(n_features, size=(n_labels, OWN), dtype=np.int32)
    of_labels, of_features = Power(n_labels), Power(n_features)
    parts: dict[str, Any] = {}
    for part, n in (("train", n_rows), ("test", min(n_rows // 10, MOST_TEST))):
        starts = range(0, n, CHUNK)
        chunks = [drawn(rng, min(CHUNK, n - start), of_labels, of_features, own) for start in starts]
        for name, blocks in zip(("X", "y"), zip(*chunks, strict=True), strict=True):
            made = sp.vstack(blocks, format="csr")
            for key in ("data", "indices", "indptr", "shape"):
                parts[f"{name}_{part}_{key}"] = getattr(made, key)
    np.savez(path, **parts)


def settings(method: str, given: list[str]) -> dict[str, Any]:
    """One epoch a stage, and what ``--set`` changes."""
    recipe = methods.get(method).recipe.resolve("vectors")
    stages = [name for name in ("pretrain", "classify") if getattr(recipe, name, None) is not None]
    changed: dict[str, Any] = {}
    for name in stages:
        changed |= {f"{name}.stage.epochs": 1, f"{name}.stage.batch": BATCH}
    for each in given:
        name, _, value = each.partition("=")
        changed[name] = json.loads(value)
    return changed


def run(path: Path, method: str, given: list[str]) -> dict[str, Any]:
    """Every phase, in this process."""
    phases = Phases()
    with phases.phase("load"):
        dataset = data.load(str(path))
    with phases.phase("split"):
        train, validation = data.split_validation(dataset, 0)
    with phases.phase("fit"):
        model = _fitted(method, given, train, validation)
    with phases.phase("predict"):
        top = model.scores(dataset.test.X if method != TREE else dataset.test.X.values, top=5)
    precision = {f"precision_at_{k}": metrics.precision_at_k(top, dataset.test.Y, k) for k in (1, 3, 5)}
    return {"phases": phases.found, "precision": precision}


def _fitted(method: str, given: list[str], train: Any, validation: Any) -> Any:
    if method == TREE:
        Y = train.Y.sparse()
        labels = np.ones(len(Y.columns), np.uint8), Y.columns.numpy(), Y.offsets.numpy()
        return Tree().fit(train.X.values, sp.csr_matrix(labels, shape=Y.shape))
    return methods.get(method, **settings(method, given)).fit(train, validation, seed=0)


def measured(path: Path, method: str, given: list[str]) -> dict[str, Any]:
    """The phases in a child process."""
    command = [sys.executable, "-m", "benchmarks.large_sparse", "--child", str(path), "--method", method]
    command += [part for each in given for part in ("--set", each)]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found: dict[str, Any] = json.loads(told.splitlines()[-1])
    return found


def show(found: dict[str, Any]) -> float:
    """The table of a run; its seconds of the processor, from file to scores."""
    phases = found["phases"]
    print(f"{'phase':<10}{'clock':>9}{'processor':>11}{'peak':>9}{'rise':>9}   s, MiB")
    for name, phase in phases.items():
        before, peak = phase["before_mib"], phase["peak_mib"]
        print(f"{name:<10}{phase['seconds']:9.1f}{phase['processor']:11.1f}{peak:9.0f}{peak - before:9.0f}")
    clock, seconds = (sum(phase[of] for phase in phases.values()) for of in ("seconds", "processor"))
    print(f"{'all':<10}{clock:9.1f}{seconds:11.1f}{max(phase['peak_mib'] for phase in phases.values()):9.0f}")
    print(", ".join(f"{name} {value:.4f}" for name, value in found["precision"].items()), flush=True)
    return float(seconds)


def main() -> None:
    """Runs of all numbers of rows, and the slope of time between neighbours."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[20_000])
    parser.add_argument("--labels", type=int, default=100_000)
    parser.add_argument("--features", type=int, default=50_000)
    parser.add_argument("--method", default="bce")
    parser.add_argument("--set", action="append", default=[], help="a setting as name=JSON")
    parser.add_argument("--folder", type=Path, default=Path(gettempdir()), help="where the sets are kept")
    parser.add_argument("--child", type=Path)
    asked = parser.parse_args()
    if asked.child is not None:
        print(json.dumps(run(asked.child, asked.method, asked.set)))
        return
    done: list[tuple[int, float]] = []
    for n_rows in asked.rows:
        path = asked.folder / f"large-{n_rows}-{asked.labels}-{asked.features}.npz"
        if not path.exists():
            write_set(path, n_rows, asked.labels, asked.features)
        print(f"{asked.method}: {n_rows} rows x {asked.labels} labels x {asked.features} features")
        done.append((n_rows, show(measured(path, asked.method, asked.set))))
        if len(done) > 1:
            (n, before), (m, after) = done[-2:]
            print(f"slope of time in rows: {math.log(after / before) / math.log(m / n):.2f}")


if __name__ == "__main__":
    main()
