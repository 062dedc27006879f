"""Data sets and studies of seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from manylabel.study import Plan
from manylabel.study.executors.base import Failed, Finished

TINY = {
    "vectors.encoder.widths": [16],
    "classify.stage.epochs": 3,
    "classify.stage.batch": 16,
}
TINY_PRETRAINING = {
    "pretrain.stage.epochs": 2,
    "pretrain.stage.batch": 16,
    "pretrain.queue": 32,
    "pretrain.dim": 8,
}
TINY_STACK = {
    **{f"learners.network.settings.{name}": value for name, value in (TINY | TINY_PRETRAINING).items()},
    "folds": 2,
    "learners.network.rivals": {},
    "learners.shallow_network": None,
    "learners.trees.bound.most": 20,
    "learners.boosted": None,
}
"""Settings of best with which small data are learnt in seconds."""


def write_rows(path: Path, n_train: int = 120, n_test: int = 60, n_labels: int = 4, seed: int = 0) -> Path:
    """An npz data set whose labels depend on its features; no row carries the last label alone."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_train + n_test, 8)).astype(np.float32)
    Y = (X @ rng.normal(size=(8, n_labels)) > 0.8).astype(np.uint8)
    Y[:, -1] = Y[:, 0]
    np.savez(
        path,
        X_train=X[:n_train],
        y_train=Y[:n_train],
        X_test=X[n_train:],
        y_test=Y[n_train:],
        label_names=np.array([f"label {c}" for c in range(n_labels - 1)] + ["<b>last & least</b>"]),
    )
    return path


def plan(data: Path, out: Path, **changes: object) -> Plan:
    """A study of seconds."""
    asked = {
        "methods": ("bce", "mulsupcon"),
        "seeds": (0, 1),
        "settings": {"bce": TINY, "mulsupcon": TINY | TINY_PRETRAINING},
        "jobs": 1,
    }
    return Plan.grid(str(data), out=out, **(asked | changes))  # type: ignore[arg-type]


class Told(list):  # type: ignore[type-arg]
    """A listener that remembers."""

    def __call__(self, event: object) -> None:
        self.append(event)

    def outcomes(self) -> list[Finished | Failed]:
        return [event for event in self if isinstance(event, Finished | Failed)]
