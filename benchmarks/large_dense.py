"""One epoch over dense rows on disk beside its floor: ``python -m benchmarks.large_dense [rows features labels]``.

Writes rows into npy files once, a quarter each, and trains ``bce`` on them for one epoch in a child process while they
stay on disk (:func:`manylabel.data.open_parts`). The floor, timed in the same process right before, is reading the
files once and the bare matrix products of the same network on batches of the same size: forward, and backward for
weights and inputs. The epoch is what a fit of two epochs takes more than one of one. Told are the processor's seconds
of all, the ratio, and how far memory rose.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import numpy as np
import torch
from benchmarks.many_labels import Phases

WIDTHS, BATCH, FILES, VALIDATION = (256, 512, 256), 512, 4, 5_000


def write_set(folder: Path, n_rows: int, n_features: int, n_labels: int) -> None:
    """Rows of noise; label c stands for a large sum of ten features."""
    rng = np.random.default_rng(0)
    weights = np.zeros((n_features, n_labels), dtype=np.float32)
    for label in range(n_labels):
        weights[rng.integers(n_features, size=10), label] = 1
    folder.mkdir(parents=True)
    for part in range(FILES):
        n, step = n_rows // FILES, 50_000
        out = np.lib.format.open_memmap(
            folder / f"{part}.npy", mode="w+", dtype=np.float32, shape=(n, n_features)
        )
        labels = []
        for start in range(0, n, step):
            X = rng.standard_normal((min(step, n - start), n_features), dtype=np.float32)
            out[start : start + len(X)] = X
            rows, columns = np.nonzero(X @ weights > 4.5)
            labels.append(np.stack([rows + start, columns]).astype(np.int32))
        np.save(folder / f"labels-{part}.npy", np.concatenate(labels, axis=1))


def labels_of(folder: Path, n_rows: int, n_labels: int) -> Any:
    """The labels as a SciPy matrix."""
    import scipy.sparse as sp

    each = n_rows // FILES
    pairs = [np.load(folder / f"labels-{part}.npy") for part in range(FILES)]
    rows = np.concatenate([pair[0] + part * each for part, pair in enumerate(pairs)])
    columns, shape = np.concatenate([pair[1] for pair in pairs]), (each * FILES, n_labels)
    return sp.csr_matrix((np.ones(len(rows), dtype=np.uint8), (rows, columns)), shape=shape)


def floor(X: Any, n_labels: int) -> dict[str, float]:
    """Seconds of reading once, and of the bare products."""
    started = time.process_time()
    for block in X.blocks():
        block[0, 0].item()
    read = time.process_time() - started
    sizes = [X.shape[1], *WIDTHS, n_labels]
    layers = [(torch.randn(BATCH, i), torch.randn(o, i), torch.randn(BATCH, o)) for i, o in pairwise(sizes)]
    started = time.process_time()
    for _ in range(len(X) // BATCH):
        for number, (x, W, g) in enumerate(layers):
            torch.mm(x, W.T)
            torch.mm(g.T, x)
            if number:
                torch.mm(g, W)
    return {"read": read, "products": time.process_time() - started}


def run(folder: Path, n_rows: int, n_labels: int) -> dict[str, Any]:
    """Floor and epoch, in this process."""
    from manylabel import methods
    from manylabel.data import Rows, open_parts
    from manylabel.labels import as_labels

    phases = Phases()
    with phases.phase("open"):
        X = open_parts(*(folder / f"{part}.npy" for part in range(FILES)))
        every = Rows(X, as_labels(labels_of(folder, n_rows, n_labels)))
        held = np.arange(len(X)) % (len(X) // VALIDATION) == 0
        train, validation = every.take(~held), every.take(held)
    with phases.phase("floor"):
        bare = floor(train.X, n_labels)
    for epochs in (1, 2):
        settings = {"classify.stage.epochs": epochs, "classify.stage.batch": BATCH}
        with phases.phase(f"fit of {epochs}"):
            methods.get("bce", **settings).fit(train, validation, seed=0)
    one, two = (phases.found[f"fit of {epochs}"]["processor"] for epochs in (1, 2))
    return {"phases": phases.found, "floor": bare, "epoch": two - one}


def main() -> None:
    """Measure in a child process, and print."""
    given = [int(number) for number in sys.argv[1:4]] if len(sys.argv) > 3 else [1_000_000, 500, 100]
    n_rows, n_features, n_labels = given
    folder = Path(gettempdir()) / f"large-dense-{n_rows}-{n_features}-{n_labels}"
    if not folder.exists():
        write_set(folder, n_rows, n_features, n_labels)
    command = [sys.executable, "-m", "benchmarks.large_dense", "--child", str(folder), *map(str, given)]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = json.loads(told.splitlines()[-1])
    bare = sum(found["floor"].values())
    print(f"{n_rows} rows x {n_features} features x {n_labels} labels, batch {BATCH}")
    print(
        f"floor {bare:.1f} s: reading {found['floor']['read']:.1f}, products {found['floor']['products']:.1f}"
    )
    print(f"epoch {found['epoch']:.1f} s, {found['epoch'] / bare:.2f} of it")
    for name, phase in found["phases"].items():
        print(f"{name:<10}{phase['processor']:8.1f} s, memory up to {phase['peak_mib']:.0f} MiB")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        print(json.dumps(run(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[5]))))
    else:
        main()
