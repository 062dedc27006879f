"""Metrics of multi-label predictions, and the protocols by which thresholds are chosen.

Scores are arrays or tensors, labels anything that :class:`~manylabel.labels.LabelMatrix` takes.
"""

from manylabel.metrics.at_k import (
    precision_at_k,
    propensities,
    propensity_scored_precision_at_k,
    recall_at_k,
    top_k,
)
from manylabel.metrics.calibration import brier_score, calibration_error
from manylabel.metrics.ranking import (
    average_precision,
    coverage_error,
    lrap,
    mean_average_precision,
    ndcg_at_k,
    ranking_loss,
)
from manylabel.metrics.report import DEFAULT_METRICS, DISPLAY_NAMES, Evaluation, evaluate, evaluate_protocols
from manylabel.metrics.scores import WHOLE_UP_TO, StreamedScores, TopScores
from manylabel.metrics.sets import Counts, Tally
from manylabel.metrics.thresholds import GRID, LAMP_GRID, Threshold, learn_thresholds

__all__ = [
    "DEFAULT_METRICS",
    "DISPLAY_NAMES",
    "GRID",
    "LAMP_GRID",
    "WHOLE_UP_TO",
    "Counts",
    "Evaluation",
    "StreamedScores",
    "Tally",
    "Threshold",
    "TopScores",
    "average_precision",
    "brier_score",
    "calibration_error",
    "coverage_error",
    "evaluate",
    "evaluate_protocols",
    "learn_thresholds",
    "lrap",
    "mean_average_precision",
    "ndcg_at_k",
    "precision_at_k",
    "propensities",
    "propensity_scored_precision_at_k",
    "ranking_loss",
    "recall_at_k",
    "top_k",
]
