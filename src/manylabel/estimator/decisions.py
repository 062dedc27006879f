"""Decisions of an estimator: held-out scores by cross-fitting, and the thresholds and calibration learnt from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from manylabel import metrics
from manylabel.data import Rows
from manylabel.data.splits import folds_of
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix
from manylabel.methods import Predictor
from manylabel.methods.decision import cannot_tell
from manylabel.methods.held_out import FEWEST_ROWS, HeldOut, most_rows
from manylabel.metrics import Calibration, Decision, Threshold
from manylabel.metrics.decisions import DecisionName

Array: TypeAlias = "np.ndarray[Any, Any]"
Rule: TypeAlias = Literal["tuned", "shared", "fixed", "top_k", "expected_f1", "seen_sets"]

RULES: dict[str, DecisionName] = {
    "tuned": "per_label",
    **{name: name for name in ("shared", "fixed", "top_k", "expected_f1", "seen_sets")},
}
FOLDS = ((10_000, 5), (50_000, 3))
"""Up to so many rows, so many folds; more rows have held-out rows enough without cross-fitting."""
PARTS = 5
"""Parts into which held-out rows of one model are dealt, to see how thresholds vary."""


@dataclass(frozen=True)
class Learnt:
    """What held-out rows taught.

    Attributes
    ----------
    decision : Decision
    calibration : Calibration or None
    note : str
        Why nothing could be learnt, or "".
    """

    decision: Decision
    calibration: Calibration | None = None
    note: str = ""


def fixed_threshold(thresholds: Any) -> float | None:
    """The threshold that needs no learning, None for a rule.

    Raises
    ------
    ManyLabelError
        For what is neither a rule nor a number from 0 to 1.
    """
    if isinstance(thresholds, str) and thresholds in RULES:
        return 0.5 if thresholds == "fixed" else None
    number = isinstance(thresholds, float | int | np.floating | np.integer) and not isinstance(
        thresholds, bool
    )
    if not number or not 0 <= thresholds <= 1:
        expected = f"one of {', '.join(get_args(Rule))}, or a number from 0 to 1"
        raise ManyLabelError("`thresholds`", expected, f"{thresholds!r:.60}")
    return float(thresholds)


def fold_count(n_rows: int, groups: Array | None) -> int:
    """Folds of a cross-fitting on so many rows; 0 for none."""
    if n_rows < FEWEST_ROWS:
        return 0
    wanted = next((folds for most, folds in FOLDS if n_rows < most), 0)
    n_groups = n_rows if groups is None else len(np.unique(groups))
    return min(wanted, n_groups) if n_groups > 1 else 0


def cross_fitted(
    fit: Callable[[Rows, Array | None, int], Predictor], rows: Rows, groups: Array | None, folds: Array
) -> HeldOut:
    """Scores of every row by a model trained on the other folds.

    Parameters
    ----------
    fit : callable (training rows, their groups, fold) -> Predictor
    rows : Rows
    groups : (n,) int64 array or None
    folds : (n,) int64 array
        As :func:`manylabel.data.splits.folds_of` deals them.
    """
    kept, scores = most_rows(np.arange(len(rows)), rows.Y.n_labels), None
    for fold in range(int(folds.max()) + 1):
        others, own = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        model = fit(rows.take(others), None if groups is None else groups[others], fold)
        own = own[np.isin(own, kept)]
        if scores is None:
            scores = np.zeros((len(rows), rows.Y.n_labels), dtype=np.float32)
        scores[own] = model.scores(rows.X.take(own))
    assert scores is not None
    how = f"cross-fitting over {int(folds.max()) + 1} folds"
    return HeldOut(scores[kept], rows.Y.take(kept), folds[kept], how)


def scored(model: Predictor, rows: Rows, seed: int, how: str) -> HeldOut:
    """Held-out rows scored by the model, dealt into parts that tell how thresholds vary."""
    kept = most_rows(np.arange(len(rows)), rows.Y.n_labels)
    rows = rows.take(kept)
    n_parts = min(PARTS, len(rows))
    folds = folds_of(rows.Y, n_parts, seed) if n_parts > 1 else np.zeros(len(rows), dtype=np.int64)
    return HeldOut(model.scores(rows.X), rows.Y, folds, how)


def learn(
    held_out: HeldOut | None, thresholds: Rule | float, calibrate: bool, Y_train: LabelMatrix
) -> Learnt:
    """Learn the decision, and a calibration where it is wanted, from held-out rows.

    Parameters
    ----------
    held_out : HeldOut or None
        None where nothing could be, or had to be, held out.
    thresholds : str or float
    calibrate : bool
    Y_train : LabelMatrix
        Where "seen_sets" has its sets from.
    """
    given = fixed_threshold(thresholds)
    half = Threshold("shared", 0.5 if given is None else given)
    wanted = given is None or calibrate
    if held_out is None:
        few = f"fewer than {FEWEST_ROWS} rows" if len(Y_train) < FEWEST_ROWS else "one group alone"
        why = f"{few}: nothing was held out, 0.5 stands in"
        return Learnt(half, note=why if wanted else "")
    note = cannot_tell(held_out.Y)
    if not note and len(np.unique(held_out.folds)) < 2:
        note = "a single held-out row: no threshold could be learnt, 0.5 stands in"
    if note:
        return Learnt(half, note=note)
    parts = held_out.scores, held_out.Y, held_out.folds
    calibration = Calibration.fit(*parts) if calibrate else None
    if given is not None:
        return Learnt(half, calibration)
    rule = RULES[str(thresholds)]
    return Learnt(
        metrics.learn_decision(rule, *parts, Y_train=Y_train, weights=held_out.weights), calibration
    )


def measured(
    held_out: HeldOut | None, thresholds: Rule | float, calibrate: bool, Y_train: LabelMatrix
) -> dict[str, float]:
    """Quality on held-out rows, each decided by what the other folds taught; empty where nothing was held out.

    Parameters
    ----------
    held_out, thresholds, calibrate, Y_train
        As :func:`learn` takes them.
    """
    if held_out is None or cannot_tell(held_out.Y):
        return {}
    predicted = np.zeros(held_out.scores.shape, dtype=bool)
    calibrate = calibrate and thresholds in ("expected_f1", "seen_sets")  # else decisions do without
    for fold in np.unique(held_out.folds).tolist():
        own, others = (np.flatnonzero(held_out.folds == fold), np.flatnonzero(held_out.folds != fold))
        learnt = learn(held_out.take(others), thresholds, calibrate, Y_train)
        S = held_out.scores[own]
        predicted[own] = learnt.decision.predict(S if learnt.calibration is None else learnt.calibration(S))
    return metrics.measure_decisions(held_out.scores, predicted, held_out.Y).values
