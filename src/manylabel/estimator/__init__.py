"""Estimators for scikit-learn: fit, predict and embed for people with data of their own."""

from manylabel.estimator.audit import Audit, Finding, LabelAudit, audit
from manylabel.estimator.classifier import MultiLabelClassifier
from manylabel.estimator.embedder import MultiLabelEmbedder
from manylabel.estimator.explanation import LabelExplanation

__all__ = [
    "Audit",
    "Finding",
    "LabelAudit",
    "LabelExplanation",
    "MultiLabelClassifier",
    "MultiLabelEmbedder",
    "audit",
]
