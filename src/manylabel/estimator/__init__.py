"""Estimators for scikit-learn: fit, predict and embed for people with data of their own."""

from manylabel.estimator.classifier import MultiLabelClassifier
from manylabel.estimator.embedder import MultiLabelEmbedder
from manylabel.estimator.explanation import LabelExplanation

__all__ = ["LabelExplanation", "MultiLabelClassifier", "MultiLabelEmbedder"]
