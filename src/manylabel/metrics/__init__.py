"""Metrics of multi-label predictions, protocols of thresholds, and decisions and probabilities learnt from scores.

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
from manylabel.metrics.decided import Quality, measure_decisions
from manylabel.metrics.decisions import Decision, decision_from, learn_decision
from manylabel.metrics.expected_f1 import ExpectedF1
from manylabel.metrics.f1_curve import F1Curve, f1_curves
from manylabel.metrics.learnt_calibration import Calibration
from manylabel.metrics.learnt_thresholds import LearntThresholds
from manylabel.metrics.ranking import (
    average_precision,
    coverage_error,
    lrap,
    mean_average_precision,
    ndcg_at_k,
    ranking_loss,
)
from manylabel.metrics.reliability import Reliability, reliability
from manylabel.metrics.report import DEFAULT_METRICS, DISPLAY_NAMES, Evaluation, evaluate, evaluate_protocols
from manylabel.metrics.retrieval import Retrieval, retrieval
from manylabel.metrics.scores import KEPT, WHOLE_UP_TO, StreamedScores, TopScores
from manylabel.metrics.seen_sets import SeenSets
from manylabel.metrics.sets import Counts, Tally
from manylabel.metrics.slices import Slice, TrainingLabels, slices
from manylabel.metrics.thresholds import GRID, LAMP_GRID, Threshold, learn_thresholds

__all__ = [
    "DEFAULT_METRICS",
    "DISPLAY_NAMES",
    "GRID",
    "KEPT",
    "LAMP_GRID",
    "WHOLE_UP_TO",
    "Calibration",
    "Counts",
    "Decision",
    "Evaluation",
    "ExpectedF1",
    "F1Curve",
    "LearntThresholds",
    "Quality",
    "Reliability",
    "Retrieval",
    "SeenSets",
    "Slice",
    "StreamedScores",
    "Tally",
    "Threshold",
    "TopScores",
    "TrainingLabels",
    "average_precision",
    "brier_score",
    "calibration_error",
    "coverage_error",
    "decision_from",
    "evaluate",
    "evaluate_protocols",
    "f1_curves",
    "learn_decision",
    "learn_thresholds",
    "lrap",
    "mean_average_precision",
    "measure_decisions",
    "ndcg_at_k",
    "precision_at_k",
    "propensities",
    "propensity_scored_precision_at_k",
    "ranking_loss",
    "recall_at_k",
    "reliability",
    "retrieval",
    "slices",
    "top_k",
]
