"""Scores and sparse labels that are measured in more than one block, and every metric."""

import numpy as np
import scipy.sparse as sp

from manylabel import metrics

N, C = 1500, 3000
rng = np.random.default_rng(0)
S = np.round(rng.random((N, C)), 3).astype(np.float32)  # with ties
Y = sp.random(N, C, density=0.001, random_state=0, format="csr").astype(bool)

METRICS = {
    "average_precision": metrics.average_precision,
    "coverage_error": metrics.coverage_error,
    "ranking_loss": metrics.ranking_loss,
    "lrap": metrics.lrap,
    "ndcg_at_k": lambda S, Y: metrics.ndcg_at_k(S, Y, 5),
    "precision_at_k": lambda S, Y: metrics.precision_at_k(S, Y, 5),
    "recall_at_k": lambda S, Y: metrics.recall_at_k(S, Y, 5),
    "propensity_scored": lambda S, Y: metrics.propensity_scored_precision_at_k(S, Y, np.ones(C)),
    "brier_score": metrics.brier_score,
    "calibration_error": metrics.calibration_error,
    "of": lambda S, Y: metrics.Counts.of(S > 0.5, Y).micro_f1(),
    "sweep": lambda S, Y: metrics.Counts.sweep(S, Y, [0.1, 0.5]).micro_f1(),
    "top_k thresholds": lambda S, Y: [t.value for t in metrics.learn_thresholds(S, Y, rule="top_k").values()],
    "evaluate": lambda S, Y: list(metrics.evaluate(S, Y, "oracle").values.values()),
}
