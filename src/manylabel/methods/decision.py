"""The decision and the calibration of a model: learnt on validation rows, kept in a model folder as parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from manylabel import metrics
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix
from manylabel.methods.part import Part
from manylabel.metrics import Calibration, Decision, LearntThresholds, Threshold

METRIC = "macro_f1"
NOTHING_HELD_OUT = Threshold("shared", 0.5), "too few rows or groups: nothing was held out, 0.5 stands in"
"""Decision and note where no row was held out."""


def tuned(
    scores: np.ndarray[Any, Any] | metrics.StreamedScores,
    Y: LabelMatrix,
    weights: np.ndarray[Any, Any] | None = None,
) -> tuple[Decision, str]:
    """The threshold of the "tuned" protocol for macro-F1, learnt on validation rows; 0.5 where they cannot tell.

    Parameters
    ----------
    scores : (n, n_labels) array, or made by the block, in [0, 1]
    Y : LabelMatrix (n, n_labels)
    weights : (n,) or (n, n_labels) array, optional

    Returns
    -------
    decision : Decision
    note : str
        Why nothing could be learnt, or "".
    """
    note = cannot_tell(Y)
    if note:
        return Threshold("shared", 0.5), note
    if isinstance(scores, metrics.StreamedScores) and weights is None:
        top = metrics.TopScores.of(scores, metrics.KEPT)
        if top.bound < metrics.GRID[0]:  # no score that was left out reaches a threshold
            return metrics.learn_thresholds(top, Y, (METRIC,))[METRIC], ""
    return metrics.learn_thresholds(scores, Y, (METRIC,), weights=weights)[METRIC], ""


def cannot_tell(Y: LabelMatrix) -> str:
    """Why no decision can be learnt from rows with these labels; "" where one can."""
    why = ""
    if not Y.binary:
        why = "the labels of the validation rows are soft"
    elif not Y.row_counts().any():
        why = "no validation row carries a label"
    return why and f"{why}: no threshold could be learnt, 0.5 stands in"


def part_of(learnt: Decision | Calibration) -> Part:
    """A decision or a calibration taken to pieces, for a model folder."""
    plain, arrays = learnt.state()
    kind = "calibration" if isinstance(learnt, Calibration) else "decision"
    return Part(kind, plain, {name: torch.from_numpy(array.copy()) for name, array in arrays.items()})


def decision_of(part: Part, n_labels: int) -> Decision:
    """The decision that a part was taken from, tried on a row of zeros.

    Raises
    ------
    ManyLabelError
        If it is none of this version, or one of another number of labels.
    """
    try:
        decision = metrics.decision_from(part.meta, _arrays(part))
        if isinstance(decision, LearntThresholds):
            decision.report()
        predicted = decision.predict(_row(n_labels))
    except (IndexError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise _another("decision", n_labels, error) from error
    if predicted.shape != (1, n_labels):
        raise _another("decision", n_labels, ValueError(f"predictions of shape {predicted.shape}"))
    return decision


def calibration_of(part: Part, n_labels: int) -> Calibration:
    """The calibration that a part was taken from, tried on a row of zeros.

    Raises
    ------
    ManyLabelError
        If it is none of this version, or one of another number of labels.
    """
    try:
        calibration = Calibration.from_state(part.meta, _arrays(part))
        calibration.report()
        probabilities = calibration(_row(n_labels))
        if len(calibration.kinds) != len(calibration.maps) or not np.isfinite(probabilities).all():
            raise ValueError("maps that give no probabilities")
    except (IndexError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise _another("calibration", n_labels, error) from error
    return calibration


def _arrays(part: Part) -> dict[str, np.ndarray[Any, Any]]:
    return {name: tensor.numpy() for name, tensor in part.tensors.items()}


def _row(n_labels: int) -> np.ndarray[Any, Any]:
    return np.zeros((1, n_labels), dtype=np.float32)


def _another(what: str, n_labels: int, error: Exception) -> ManyLabelError:
    got = f"another ({type(error).__name__}: {str(error)[:200]})"
    hint = "Read it with the version that wrote it, or train again."
    return ManyLabelError(what, f"a {what} of {n_labels} labels, of this version", got, hint)
