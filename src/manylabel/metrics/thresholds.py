"""Thresholds: where a score becomes a predicted label, learnt on rows that are not scored afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, TypeAlias, get_args

import numpy as np

from manylabel.arrays import as_array
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix, Labels
from manylabel.metrics.at_k import top_k
from manylabel.metrics.expected_curve import FINE_GRID, shrunk_thresholds
from manylabel.metrics.inputs import (
    as_grid,
    check_choice,
    check_k,
    check_metrics,
    labels_of,
    read_weights,
    row_blocks,
    scores_and_labels,
)
from manylabel.metrics.scores import Array, Made, Scores, TopScores, as_scores, blocks, check_probabilities
from manylabel.metrics.sets import Counts, as_grid_of, count_kept, count_sets, count_sweep, joined

Form: TypeAlias = Literal["shared", "per_label", "top_k"]
Rule: TypeAlias = Literal["shared", "per_label", "top_k", "per_metric"]

GRID = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
LAMP_GRID = (
    *(0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.10, 0.15, 0.20, 0.25, 0.30),
    *(0.35, 0.40, 0.45, 0.50, 0.55, 0.60, 0.65, 0.70, 0.75, 0.80, 0.85, 0.90, 0.95),
)

SET_METRICS = {
    "macro_f1": Counts.macro_f1,
    "micro_f1": Counts.micro_f1,
    "example_f1": Counts.example_f1,
    "hamming_accuracy": Counts.hamming_accuracy,
    "subset_accuracy": Counts.subset_accuracy,
    "overall_precision": Counts.overall_precision,
    "overall_recall": Counts.overall_recall,
    "overall_f1": Counts.overall_f1,
    "class_precision": Counts.class_precision,
    "class_recall": Counts.class_recall,
    "class_f1": Counts.class_f1,
}


@dataclass(frozen=True)
class Threshold:
    """A rule that turns scores into label sets.

    Attributes
    ----------
    rule : "shared", "per_label" or "top_k"
    value : float, tuple of C floats, or int
        One threshold for all labels, one per label, or the number of labels each row gets.
    """

    wants_probabilities: ClassVar[bool] = False

    rule: Form
    value: float | tuple[float, ...]

    def __post_init__(self) -> None:
        check_choice(self.rule, get_args(Form), "Threshold", f"a rule of {', '.join(get_args(Form))}")
        many = isinstance(self.value, tuple | list | np.ndarray)
        values = as_array(self.value, "Threshold", "value").astype(np.float64)
        if values.ndim > int(many) or not values.size or np.isnan(values).any():
            raise ManyLabelError("Threshold", "one number, or one for each label", f"{self.value!r:.60}")
        if self.rule == "top_k":
            whole = not many and float(values) >= 1 and float(values).is_integer()
            if not whole:
                raise ManyLabelError("Threshold", "an integer of at least 1 for top_k", f"{self.value!r:.60}")
        if many:
            object.__setattr__(self, "value", tuple(values.tolist()))  # can be hashed

    def predict(self, scores: Scores) -> Array:
        """Predicted label sets, (n, C) scores -> (n, C) bool: ``score >= t``, or the k highest of each row.

        Thresholds are compared in the precision of the scores; of equal scores the lowest label index goes
        first.
        """
        S = as_scores(scores, "Threshold.predict")
        if self.rule == "top_k":
            return top_k(S, int(self.value))  # type: ignore[arg-type]
        t = np.asarray(self.value, dtype=S.dtype)
        if t.ndim and t.shape != S.shape[1:]:
            raise ManyLabelError(
                "Threshold.predict", f"scores of {len(t)} labels", f"scores of shape {S.shape}"
            )
        return np.asarray(t <= S)

    def predict_kept(self, top: TopScores) -> Array:
        """Which of the highest scores of each row are predicted, (n, k) bool; those left out are not.

        Raises
        ------
        ManyLabelError
            If a score that was left out may reach the threshold.
        """
        who = "Threshold.predict_kept"
        if self.rule == "top_k":
            check_k(int(self.value), top.k, who, "the number of scores kept of each row")  # type: ignore[arg-type]
            return np.broadcast_to(np.arange(top.k) < self.value, top.labels.shape)
        t = np.asarray(self.value, dtype=top.values.dtype)
        if t.ndim and t.shape != (top.n_labels,):
            raise ManyLabelError(who, f"scores of {len(t)} labels", f"scores of {top.n_labels}")
        if t.min() <= top.bound:
            expected = f"thresholds above {top.bound:g}, which scores that were left out may reach"
            hint = "Keep more scores of each row, or pass StreamedScores."
            raise ManyLabelError(who, expected, f"{t.min():g}", hint)
        return np.asarray((t[top.labels] if t.ndim else t) <= top.values)

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Plain JSON and arrays, from which :meth:`from_state` makes the same rule."""
        value = list(self.value) if isinstance(self.value, tuple) else self.value
        return {"decision": "threshold", "rule": self.rule, "value": value}, {}

    @classmethod
    def from_state(cls, plain: Mapping[str, Any], arrays: Mapping[str, Array]) -> Threshold:
        """The rule that :meth:`state` described."""
        return cls(plain["rule"], plain["value"])


def learn_thresholds(
    scores: Scores,
    Y: Labels,
    metrics: Sequence[str] = ("macro_f1", "micro_f1", "example_f1", "hamming_accuracy"),
    *,
    rule: Rule = "shared",
    grid: Sequence[float] | None = None,
    weights: Any = None,
) -> dict[str, Threshold]:
    """The threshold of each metric that is best on the given rows.

    Parameters
    ----------
    scores : (n, C) array or tensor in [0, 1], StreamedScores or TopScores
        Scores of validation rows; a threshold learnt on the rows that are scored afterwards is an oracle. Of the
        highest scores alone thresholds are learnt that none that was left out reaches, without weights.
    Y : (n, C) labels, dense or sparse
    metrics : sequence of str
        Keys of metrics of label sets.
    rule : "shared", "per_label", "top_k" or "per_metric", default "shared"
        One threshold per metric for all labels; one per label that maximises the label's own F1, the same for
        all metrics; one number of labels per row for each metric, from 1 to the most that a given row has; or for each
        metric what suits it: for the macro-F1 a threshold per label, drawn towards what the scores expect of rare ones
        (:func:`manylabel.metrics.expected_curve.shrunk_thresholds`), for all others one for all labels.
    grid : ascending thresholds in [0, 1], default 0.1 ... 0.9; of "per_metric" 109 from 0.005 to 0.99
        Not used by "top_k". ``LAMP_GRID`` has LaMP's 27 values.
    weights : (n,) or (n, C) numbers of at least 0, optional
        How often each row, or each of its entries, counts; in means over rows a row counts the mean of its entries.

    Notes
    -----
    Of equally good thresholds (or numbers of labels) the lowest is taken. A label without positives has no
    best threshold of its own and gets the one that is best for the micro-F1 of all labels. Unknown entries take part
    in nothing.

    Raises
    ------
    ManyLabelError
        If scores leave [0, 1] or hold NaN, shapes differ, or a metric, the rule or the grid is unknown.
    """
    who = "learn_thresholds"
    metrics = check_metrics(
        metrics, tuple(SET_METRICS), who, "metrics of label sets ({})", "Others need no threshold."
    )
    check_choice(rule, get_args(Rule), who, f"a rule of {', '.join(get_args(Rule))}")
    given = (FINE_GRID if rule == "per_metric" else GRID) if grid is None else grid
    thresholds = as_grid(given, f"{who}, grid")
    if isinstance(scores, TopScores):
        return _learn_of_top(scores, labels_of(scores.shape, Y, who), metrics, rule, thresholds, weights)
    S, T = scores_and_labels(scores, Y, who)
    check_probabilities(S, who)
    w = read_weights(weights, S.shape, who)
    if rule == "top_k":
        return _on_sizes(S, T, metrics, w)
    counts = count_sweep(S, T, as_grid_of(thresholds, S.dtype, who), weights=w)
    return _on_grid(counts, metrics, rule, thresholds)


def _learn_of_top(
    top: TopScores, T: LabelMatrix, metrics: Sequence[str], rule: Rule, thresholds: Array, weights: Any
) -> dict[str, Threshold]:
    """What :func:`learn_thresholds` learns of the highest scores of each row."""
    who = "learn_thresholds"
    check_probabilities(top, who)
    if weights is not None:
        raise ManyLabelError(
            who, "scores of every label beside `weights`", f"the {top.k} highest of each row"
        )
    if rule == "top_k":
        sizes = np.arange(max(_most_labels(T), 1), 0, -1)
        places = np.broadcast_to(-np.arange(top.k, dtype=np.float64), top.labels.shape)
        counts = Counts.sweep(replace(top, values=places), T, 1.0 - sizes)  # place <= k - 1
        return {m: Threshold(rule, int(_best(counts, m, sizes))) for m in metrics}
    reachable = thresholds[as_grid_of(thresholds, top.values.dtype, who) > top.bound]
    counts = Counts.sweep(top, T, reachable if len(reachable) else thresholds)
    return _on_grid(counts, metrics, rule, reachable)


def _on_sizes(S: Made, T: LabelMatrix, metrics: Sequence[str], weights: Array | None) -> dict[str, Threshold]:
    """The best numbers of labels a row."""
    sizes = np.arange(max(_most_labels(T), 1), 0, -1)
    # among the k highest: place <= k - 1
    counts = count_sweep(S, T, 1.0 - sizes, lambda s: -places(s), weights)
    return {m: Threshold("top_k", int(_best(counts, m, sizes))) for m in metrics}


def _on_grid(counts: Counts, metrics: Sequence[str], rule: Rule, thresholds: Array) -> dict[str, Threshold]:
    """The best thresholds of a grid, from the counts at each."""
    if rule == "per_label":
        return dict.fromkeys(metrics, Threshold(rule, _best_per_label(counts, thresholds)))
    learnt = {m: Threshold("shared", float(_best(counts, m, thresholds))) for m in metrics}
    if rule == "per_metric" and "macro_f1" in learnt:
        values = shrunk_thresholds(counts.labels, thresholds).tolist()
        learnt["macro_f1"] = Threshold("per_label", tuple(values))
    return learnt


def _best(counts: Counts, metric: str, candidates: Array) -> Array:
    """The candidate with the highest value of a metric, the lowest of several; undefined values lose."""
    values = np.nan_to_num(SET_METRICS[metric](counts), nan=-1.0)
    return np.asarray(candidates[values == values.max()].min())


def _best_per_label(counts: Counts, thresholds: Array) -> tuple[float, ...]:
    own = thresholds[np.nan_to_num(counts.labels.f1()).argmax(1)]  # (C,)
    present = counts.labels.true[:, 0] > 0
    return tuple(np.where(present, own, _best(counts, "micro_f1", thresholds)).tolist())


def count_predicted(
    thresholds: Iterable[Threshold], S: Made | TopScores, T: LabelMatrix
) -> dict[Threshold, Counts]:
    """Counts of the label sets at each of some thresholds, in one pass over the scores."""
    wanted = tuple(thresholds)
    counts: dict[Threshold, Counts] = {}
    for block in row_blocks(S, T) if wanted else ():
        for threshold in wanted:
            if isinstance(S, TopScores):
                top = S.take(block.part)
                part = count_kept(top.labels, threshold.predict_kept(top), block, T.take(block.part))
            else:
                part = count_sets(threshold.predict(block.scores), block.true, block.known)
            counts[threshold] = joined((counts[threshold], part)) if threshold in counts else part
    return counts


def _most_labels(T: LabelMatrix) -> int:
    """The most labels that a row has."""
    return max(int(T.take(rows).row_counts().max()) for rows in blocks(*T.shape))


def places(S: Array) -> Array:
    """The place of each score in its row, 0 for the highest, equal scores by label index, (n, C) float64."""
    order = np.argsort(-S, axis=1, kind="stable")
    places = np.empty(S.shape)
    np.put_along_axis(places, order, np.arange(S.shape[1], dtype=np.float64)[None], axis=1)
    return places
