"""Small data and short trainings for estimators."""

from __future__ import annotations

from typing import Any

import numpy as np

SHORT: dict[str, Any] = {
    "encoder.widths": [16],
    "classify.stage.epochs": 6,
    "classify.stage.batch": 8,
    "classify.stage.lr": 0.03,
    "classify.stage.ema": None,
    "classify.views.mask": 0.0,
}
"""Settings of bce with which small data are learnt in tenths of a second."""


def small(n: int = 200, n_labels: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Vectors (n, 6) and labels (n, n_labels) that half-planes decide, the later ones rarer."""
    weights = np.random.default_rng(0).normal(size=(6, n_labels))
    X = np.random.default_rng(seed).normal(size=(n, 6))
    return X, np.linspace(0.3, 2.5, n_labels) < X @ weights
