"""Rows, and labels never seen, that join the neighbours of a model without training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from manylabel.data.rows import Features
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix
from manylabel.methods import Predictor
from manylabel.methods.knn_interpolation import NeighbourScorer
from manylabel.methods.stacking.scorer import StackScorer
from manylabel.metrics import Calibration, Decision, LearntThresholds, SeenSets, Threshold
from manylabel.metrics.learnt_thresholds import Source

Array: TypeAlias = "np.ndarray[Any, Any]"


def neighbours_of(model: Predictor) -> NeighbourScorer | StackScorer:
    """The scorer of a model with neighbours.

    Raises
    ------
    ManyLabelError
        If it has none.
    """
    if isinstance(model.scorer, NeighbourScorer | StackScorer):
        return model.scorer
    hint = 'Train with `method="mulsupcon_knn"`, or with settings such as {"neighbours.k": 15}.'
    raise ManyLabelError("add", "a model with neighbours", "one without", hint)


def grown(model: Predictor, X: Features, Y: LabelMatrix, new_names: tuple[str, ...]) -> Predictor:
    """A predictor whose neighbours are more rows, and perhaps more labels.

    Parameters
    ----------
    model : Predictor
    X : Features of m rows
    Y : LabelMatrix (m, n_labels + len(new_names))
    new_names : tuple of str

    Raises
    ------
    ManyLabelError
        If the model has no neighbours, or its decision cannot take new labels.
    """
    scorer, new = neighbours_of(model), len(new_names)
    return Predictor(
        scorer.joined(model.read(X), Y),
        (*model.label_names, *new_names),
        _decision(model.decision, new),
        model.schema,
        model.recipe,
        None if model.calibration is None else _calibration(model.calibration, new),
        model.note,
        model.estimator,
        encoder=model.encoder,
    )


def _decision(decision: Decision, new: int) -> Decision:
    """New labels take the shared threshold."""
    if not new:
        return decision
    if isinstance(decision, LearntThresholds):
        shared: Source = "shared"
        more, zeros = np.full(new, decision.shared), np.zeros(new)
        return replace(
            decision,
            values=np.concatenate([decision.values, more]),
            spreads=np.concatenate([decision.spreads, zeros]),
            positives=np.concatenate([decision.positives, zeros.astype(np.int64)]),
            sources=decision.sources + (shared,) * new,
        )
    if isinstance(decision, SeenSets) or (isinstance(decision, Threshold) and decision.rule == "per_label"):
        hint = 'Train with another decision, such as `thresholds="tuned"`.'
        raise ManyLabelError(
            "add", "a decision that can take labels never seen", type(decision).__name__, hint
        )
    return decision


def _calibration(calibration: Calibration, new: int) -> Calibration:
    """New labels take the map of all labels together."""
    zeros = np.zeros(new, dtype=np.int64)
    return replace(
        calibration,
        map_of=np.concatenate([calibration.map_of, zeros]),
        positives=np.concatenate([calibration.positives, zeros]),
    )
