"""Decisions: rules that turn the scores of a row into its label set, learnt on held-out rows and kept in a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, get_args

from manylabel.errors import ManyLabelError
from manylabel.labels import Labels
from manylabel.metrics.expected_f1 import ExpectedF1
from manylabel.metrics.f1_curve import best_shared
from manylabel.metrics.held_out import HeldOut
from manylabel.metrics.inputs import check_choice
from manylabel.metrics.learnt_thresholds import LearntThresholds, thresholds_of
from manylabel.metrics.scores import Array, Scores
from manylabel.metrics.seen_sets import SeenSets
from manylabel.metrics.thresholds import Threshold, places

DecisionName: TypeAlias = Literal["fixed", "shared", "per_label", "top_k", "expected_f1", "seen_sets"]


class Decision(Protocol):
    """A rule from scores to label sets, which a model folder can hold.

    Attributes
    ----------
    wants_probabilities : bool
        Whether it decides by calibrated probabilities, and not by the scores that it was learnt from.
    """

    wants_probabilities: ClassVar[bool]

    def predict(self, scores: Scores) -> Array:
        """Predicted label sets, (n, C) scores in [0, 1] -> (n, C) bool."""
        ...

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Plain JSON and arrays, which :func:`decision_from` reads."""
        ...


def learn_decision(
    name: DecisionName,
    scores: Scores,
    Y: Labels,
    folds: Any,
    *,
    Y_train: Labels | None = None,
    weights: Any = None,
) -> Decision:
    """Learn a rule on held-out rows.

    Parameters
    ----------
    name : str
        "fixed", the threshold 0.5; "shared" or "per_label", see :func:`learn_label_thresholds`; "top_k", the number of
        labels per row with the highest macro-F1; "expected_f1", see :class:`ExpectedF1`; "seen_sets", see
        :class:`SeenSets`. The last two want calibrated probabilities as scores.
    scores : (n, C) array or tensor in [0, 1]
        Each row scored by a model that was not trained on it.
    Y : (n, C) labels, dense or sparse
    folds : (n,) integers
        The fold of each row.
    Y_train : (m, C) labels, default Y
        Where "seen_sets" has its sets from.
    weights : (n,) or (n, C) numbers of at least 0, optional
        How often each row, or each of its entries, counts for a rule with a threshold.

    Raises
    ------
    ManyLabelError
        If the rule is unknown, scores leave [0, 1] or hold NaN, or labels, folds or weights do not fit them.
    """
    who = "learn_decision"
    check_choice(name, get_args(DecisionName), who, f"a rule of {', '.join(get_args(DecisionName))}")
    held_out = HeldOut.of(scores, Y, folds, who, weights)
    if name == "fixed":
        return Threshold("shared", 0.5)
    if name == "top_k":
        return _top_k(held_out)
    if name == "expected_f1":
        return ExpectedF1()
    if name == "seen_sets":
        return SeenSets.of(held_out.labels if Y_train is None else Y_train)
    return thresholds_of(held_out, name)


READERS: dict[str, Callable[..., Decision]] = {
    "threshold": Threshold.from_state,
    "learnt_thresholds": LearntThresholds.from_state,
    "expected_f1": ExpectedF1.from_state,
    "seen_sets": SeenSets.from_state,
}


def decision_from(plain: Mapping[str, Any], arrays: Mapping[str, Array]) -> Decision:
    """The rule that its ``state()`` described.

    Raises
    ------
    ManyLabelError
        If this is no rule, or one of another version.
    """
    expected = f"a rule of {', '.join(READERS)}"
    check_choice(plain.get("decision"), tuple(READERS), "decision_from", expected)
    try:
        return READERS[plain["decision"]](plain, arrays)
    except (KeyError, TypeError, AttributeError) as error:
        got = f"one that lacks a part ({type(error).__name__}: {str(error)[:100]})"
        hint = "Read it with the version that wrote it, or learn it again."
        raise ManyLabelError("decision_from", expected, got, hint) from None


def _top_k(held_out: HeldOut) -> Threshold:
    """The k of the highest macro-F1: a threshold that all labels share, on places from the top."""
    ranked = replace(held_out, scores=-places(held_out.scores))  # 0 for the highest score of a row, then -1
    columns = [ranked.column(label) for label in range(ranked.n_labels)]
    return Threshold("top_k", max(1, math.floor(-best_shared(columns)) + 1))
