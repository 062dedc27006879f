"""Small stacks and rows: trainings of tenths of a second."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from manylabel.data import Rows
from manylabel.labels import LabelMatrix, as_labels
from manylabel.methods import Predictor, get

NETWORK = {
    "learners.network.settings": {
        "vectors": {"encoder": {"widths": [16]}},
        "pretrain": {"stage": {"epochs": 2, "batch": 16}, "dim": 8},
        "classify": {"stage": {"epochs": 6, "batch": 16, "lr": 0.02}},
    },
    "learners.network.rivals": {},
}
CHEAP: dict[str, Any] = NETWORK | {
    "folds": 3,
    "learners.trees.bound.most": 20,
    "learners.boosted": None,
}
"""Network of a few epochs, linear model, neighbours and 20 trees on 3 folds."""
LINEAR: dict[str, Any] = {
    "folds": 3,
    "learners.network": None,
    "learners.shallow_network": None,
    "learners.trees": None,
    "learners.boosted": None,
}
"""Linear model and neighbours alone."""


def vectors(n: int, seed: int, n_labels: int = 4) -> Rows:
    """Rows of 10 numbers whose labels half-planes decide, with some noise."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 10)).astype(np.float32)
    W = np.random.default_rng(9).normal(size=(10, n_labels))
    return Rows(X, as_labels((X @ W + rng.normal(size=(n, n_labels)) > 1.5).astype(np.uint8)))


def labels(Y: np.ndarray) -> LabelMatrix:
    return LabelMatrix.of(torch.from_numpy(Y.astype(np.float32)))


def fit(train: Rows, validation: Rows | None = None, seed: int = 3, **asked: Any) -> Predictor:
    """Train best with other settings; ``folder``, ``progress`` and ``groups`` go to the fit."""
    given = {name: asked.pop(name) for name in ("folder", "progress", "groups") if name in asked}
    return get("best", **(asked.pop("settings", CHEAP))).fit(train, validation, seed=seed, **given)
