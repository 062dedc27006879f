"""Log-odds of probabilities, finite also where a score is 0 or 1."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

from manylabel.metrics.inputs import Array

NEAREST = 1e-12
"""How near to 0 and 1 scores are told apart."""


def log_odds(p: Array) -> Array:
    """``log(p / (1 - p))`` in float64, of p clipped to [1e-12, 1 - 1e-12]."""
    return np.asarray(logit(np.clip(p, NEAREST, 1 - NEAREST, dtype=np.float64)))


def probability(x: Array) -> Array:
    """``1 / (1 + exp(-x))``."""
    return np.asarray(expit(x))
