"""Scoring a model: every metric under one threshold protocol, in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix, Labels
from manylabel.metrics import at_k, ranking
from manylabel.metrics.inputs import (
    as_grid,
    check_choice,
    check_metrics,
    known_labels,
    known_rows,
    label_totals,
    labels_of,
    scores_and_labels,
)
from manylabel.metrics.ranking import Absent
from manylabel.metrics.scores import (
    Array,
    Made,
    Scores,
    StreamedScores,
    TopScores,
    check_probabilities,
)
from manylabel.metrics.thresholds import SET_METRICS, Rule, Threshold, count_predicted, learn_thresholds

Protocol: TypeAlias = Literal["fixed", "tuned", "oracle"]

DEFAULT_METRICS = ("map", "precision_at_1", "macro_f1", "micro_f1", "example_f1", "hamming_accuracy")

RANKING_METRICS: dict[str, Callable[[Made | TopScores, LabelMatrix], float]] = {
    "precision_at_1": lambda S, T: at_k.precision_at_k(S, T, 1),
    "precision_at_3": lambda S, T: at_k.precision_at_k(S, T, 3),
    "precision_at_5": lambda S, T: at_k.precision_at_k(S, T, 5),
    "ndcg_at_1": lambda S, T: ranking.ndcg_at_k(S, T, 1),
    "ndcg_at_3": lambda S, T: ranking.ndcg_at_k(S, T, 3),
    "ndcg_at_5": lambda S, T: ranking.ndcg_at_k(S, T, 5),
    "coverage_error": ranking.coverage_error,
    "ranking_loss": ranking.ranking_loss,
    "lrap": ranking.lrap,
}

OF_TOP = tuple(name for name in RANKING_METRICS if "_at_" in name)
"""Metrics of rankings for which the highest scores of each row are enough."""

LOWER_IS_BETTER = ("coverage_error", "ranking_loss")
DISPLAY_NAMES = {
    "map": "mAP",
    "macro_f1": "macro-F1",
    "micro_f1": "micro-F1",
    "example_f1": "example-F1",
    "hamming_accuracy": "Hamming accuracy",
    "subset_accuracy": "subset accuracy",
    "overall_precision": "OP",
    "overall_recall": "OR",
    "overall_f1": "OF1",
    "class_precision": "CP",
    "class_recall": "CR",
    "class_f1": "CF1",
    "precision_at_1": "precision@1",
    "precision_at_3": "precision@3",
    "precision_at_5": "precision@5",
    "ndcg_at_1": "nDCG@1",
    "ndcg_at_3": "nDCG@3",
    "ndcg_at_5": "nDCG@5",
    "coverage_error": "coverage error",
    "ranking_loss": "ranking loss",
    "lrap": "LRAP",
}


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What :func:`evaluate` found.

    Attributes
    ----------
    protocol : "fixed", "tuned" or "oracle"
        Under "oracle" each threshold was chosen on the scored rows themselves.
    rule : "shared", "per_label", "top_k" or "per_metric"
        What kind of threshold ``thresholds`` holds.
    absent : "leave_out" or "zero"
        What labels without positives count in the mAP.
    values : dict of metric to float
    thresholds : dict of metric to float, tuple of C floats, int, or None
        None for a metric that needs no threshold.
    left_out : tuple of int
        Labels without positives in the scored rows: they have no average precision, the F1 metrics count
        them.
    not_known : tuple of int
        Labels known of no scored row: no metric counts them.
    rows_not_known : int
        Rows of which no label is known: metrics that are means over rows leave them out.
    per_label : dict of str to (C,) array
        ``ap`` and ``f1`` (at the macro-F1's threshold), NaN where undefined, and ``ap`` of TopScores; ``positives``
        and ``known``, the rows on which the label is known, int.
    """

    protocol: Protocol
    rule: Rule
    absent: Absent
    values: dict[str, float]
    thresholds: dict[str, float | tuple[float, ...] | None]
    left_out: tuple[int, ...]
    not_known: tuple[int, ...]
    rows_not_known: int
    per_label: dict[str, Array]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, lists and strings for JSON; undefined values become None."""
        return {
            "protocol": self.protocol,
            "rule": self.rule,
            "absent": self.absent,
            "values": {m: _plain(v) for m, v in self.values.items()},
            "thresholds": {m: list(t) if isinstance(t, tuple) else t for m, t in self.thresholds.items()},
            "left_out": list(self.left_out),
            "not_known": list(self.not_known),
            "rows_not_known": self.rows_not_known,
            "per_label": {
                name: [_plain(v) for v in array.tolist()] for name, array in self.per_label.items()
            },
        }

    def __str__(self) -> str:
        chosen = {
            "fixed": "at 0.5",
            "tuned": "learnt on validation rows",
            "oracle": "chosen on the scored rows",
        }
        lines = [f"{self.protocol} protocol: thresholds {chosen[self.protocol]}"]
        lines += [f"{DISPLAY_NAMES[m]:<17} {v:.4f}" for m, v in self.values.items()]
        n_labels, numbers = len(self.per_label["positives"]), ", ".join(map(str, self.not_known))
        if self.left_out:
            lines.append(f"labels without positives: {len(self.left_out)} of {n_labels}")
        if self.not_known:
            lines.append(
                f"labels known of no row, left out: {len(self.not_known)} of {n_labels}, numbers {numbers}"
            )
        if self.rows_not_known:
            lines.append(f"rows of which no label is known, left out: {self.rows_not_known}")
        return "\n".join(lines)


def evaluate(
    scores: Scores,
    Y: Labels,
    protocol: Protocol = "tuned",
    validation: tuple[Scores, Labels] | None = None,
    *,
    metrics: Sequence[str] = DEFAULT_METRICS,
    rule: Rule = "shared",
    grid: Sequence[float] | None = None,
    absent: Absent = "leave_out",
) -> Evaluation:
    """Score a model on held-out rows.

    Parameters
    ----------
    scores : (n, C) array or tensor in [0, 1], StreamedScores or TopScores
        Any real scores if none of the metrics needs a threshold. The highest scores of each row, TopScores, are enough
        for metrics at k and, where a threshold lies above all that was left out, for those of label sets.
    Y : (n, C) labels, dense or sparse
    protocol : "tuned", "fixed" or "oracle", default "tuned"
        Where thresholds come from: learnt on ``validation``; 0.5; or, to compare with published tables, the
        best of ``grid`` for each metric on the scored rows themselves, which no model in use can know.
    validation : (scores, Y) of validation rows, needed by "tuned" alone
    metrics : sequence of str, default mAP, precision@1, macro-, micro-, example-F1 and Hamming accuracy
        Keys of ``DISPLAY_NAMES``.
    rule : "shared", "per_label", "top_k" or "per_metric", default "shared"
        What is learnt, see :func:`learn_thresholds`.
    grid : ascending thresholds, by default those of :func:`learn_thresholds`
    absent : "leave_out" or "zero", default "leave_out"
        What a label without positives counts in the mAP. Macro-F1 counts one that is never predicted as 0, example-F1
        leaves out a row without labels and predictions; :class:`Counts` has their other rules.

    Returns
    -------
    Evaluation

    Raises
    ------
    ManyLabelError
        If shapes differ, scores are not finite or (where a metric needs a threshold) leave [0, 1], labels are not
        0/1, "tuned" comes without validation rows, or a name is unknown.
    """
    check_choice(protocol, get_args(Protocol), "evaluate", 'protocol to be "tuned", "fixed" or "oracle"')
    asked: dict[str, tuple[Protocol, Rule]] = {protocol: (protocol, rule)}
    found = evaluate_protocols(scores, Y, asked, validation, metrics=metrics, grid=grid, absent=absent)
    return found[protocol]


def evaluate_protocols(
    scores: Scores,
    Y: Labels,
    protocols: Mapping[str, tuple[Protocol, Rule]],
    validation: tuple[Scores, Labels] | None = None,
    *,
    metrics: Sequence[str] = DEFAULT_METRICS,
    grid: Sequence[float] | None = None,
    absent: Absent = "leave_out",
) -> dict[str, Evaluation]:
    """Score a model under several protocols at once: what needs no threshold is measured once; see :func:`evaluate`.

    Parameters
    ----------
    scores, Y, validation, metrics, grid, absent
        As in :func:`evaluate`.
    protocols : mapping of any name to (protocol, rule)

    Returns
    -------
    dict of name to Evaluation
    """
    metrics = check_metrics(metrics, tuple(DISPLAY_NAMES), "evaluate", "metrics of {}")
    for protocol, rule in protocols.values():
        _check_choices(protocol, rule, absent)
    grid = None if grid is None else tuple(as_grid(grid, "evaluate, grid").tolist())
    S, T = _scores_and_labels(scores, Y, metrics, "evaluate")
    _check_finite(S, "evaluate")
    learnt = {
        name: _thresholds(S, T, protocol, validation, metrics, rule, grid)
        for name, (protocol, rule) in protocols.items()
    }
    counts = count_predicted({t for each in learnt.values() for t in each.values()}, S, T)
    ap = np.full(T.n_labels, np.nan) if isinstance(S, TopScores) else ranking.average_precision(S, T)
    positives, known = label_totals(T), known_rows(T)
    same = {m: RANKING_METRICS[m](S, T) for m in metrics if m in RANKING_METRICS}
    same["map"] = ranking.mean_over_present(ap[known > 0], absent, "evaluate")

    def under(name: str) -> Evaluation:
        (protocol, rule), at = protocols[name], learnt[name]
        f1 = counts[at["macro_f1"]].labels.f1() if at else np.full(len(positives), np.nan)
        return Evaluation(
            protocol=protocol,
            rule=rule,
            absent=absent,
            values={m: same[m] if m in same else float(SET_METRICS[m](counts[at[m]])) for m in metrics},
            thresholds={m: at[m].value if m in SET_METRICS else None for m in metrics},
            left_out=tuple(np.flatnonzero((positives == 0) & (known > 0)).tolist()),
            not_known=tuple(np.flatnonzero(known == 0).tolist()),
            rows_not_known=int((known_labels(T) == 0).sum()),
            per_label={"f1": f1, "ap": ap, "positives": positives, "known": known},
        )

    return {name: under(name) for name in protocols}


def _scores_and_labels(
    scores: Scores, Y: Labels, metrics: Sequence[str], who: str
) -> tuple[Made | TopScores, LabelMatrix]:
    """Scores and labels that the metrics can be measured on."""
    if not isinstance(scores, TopScores):
        return scores_and_labels(scores, Y, who)
    lacking = [m for m in metrics if m not in (*SET_METRICS, *OF_TOP)]
    if lacking:
        hint = "Name metrics at k and of label sets, or pass an array or StreamedScores."
        got = f"the {scores.k} highest of each row"
        raise ManyLabelError(who, f"scores of every label for {lacking[0]}", got, hint)
    return scores, labels_of(scores.shape, Y, who)


def _thresholds(
    S: Made | TopScores,
    T: LabelMatrix,
    protocol: Protocol,
    validation: tuple[Scores, Labels] | None,
    metrics: Sequence[str],
    rule: Rule,
    grid: Sequence[float] | None,
) -> dict[str, Threshold]:
    """The threshold of each metric that needs one and of the F1 per label; empty if no metric needs any."""
    wanted = dict.fromkeys(m for m in metrics if m in SET_METRICS)
    if not wanted:
        return {}
    names = (*wanted, "macro_f1")
    check_probabilities(S, "evaluate")
    if protocol == "fixed":
        return dict.fromkeys(names, Threshold("shared", 0.5))
    if protocol == "oracle":
        return learn_thresholds(S, T, names, rule=rule, grid=grid)
    return learn_thresholds(*_validation_rows(validation, S.shape[1]), names, rule=rule, grid=grid)


def _validation_rows(
    validation: tuple[Scores, Labels] | None, n_labels: int
) -> tuple[Made | TopScores, LabelMatrix]:
    if not isinstance(validation, tuple) or len(validation) != 2:
        raise ManyLabelError(
            "evaluate",
            'validation=(scores, Y) of validation rows for protocol="tuned"',
            "none" if validation is None else type(validation).__name__,
            'Score rows kept out of training and pass them, or ask for protocol="fixed", the threshold 0.5.',
        )
    S, T = _scores_and_labels(*validation, (), "evaluate: validation")
    check_probabilities(S, "evaluate: validation")
    if S.shape[1] != n_labels:
        raise ManyLabelError(
            "evaluate",
            f"validation rows of {n_labels} labels",
            f"{S.shape[1]} labels",
            "Score both with one model.",
        )
    return S, T


def _check_choices(protocol: str, rule: str, absent: str) -> None:
    who = "evaluate"
    check_choice(protocol, get_args(Protocol), who, 'protocol to be "tuned", "fixed" or "oracle"')
    check_choice(rule, get_args(Rule), who, f"a rule of {', '.join(get_args(Rule))}")
    check_choice(absent, get_args(Absent), who, 'absent to be "leave_out" or "zero"')
    if protocol == "fixed" and rule != "shared":
        raise ManyLabelError(
            "evaluate", 'rule="shared" for protocol="fixed"', repr(rule), 'Learn thresholds with "tuned".'
        )


def _check_finite(scores: Made | TopScores, who: str) -> None:
    """Refuse infinite scores, which a trained model does not give; blocks refuse them themselves."""
    S = scores.values if isinstance(scores, TopScores) else scores
    if not isinstance(S, StreamedScores) and (np.isinf(S.max()) or np.isinf(S.min())):
        row, label = np.argwhere(np.isinf(S))[0]
        got = f"{S[row, label]}, first at row {row}, label {label}"
        raise ManyLabelError(who, "finite scores", got, "Clip them, or pass logits through a sigmoid.")


def _plain(value: float) -> float | None:
    return None if value != value else value
