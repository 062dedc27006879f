"""Quality of decisions that a model has made: metrics of its label sets and scores, overall and label by label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from manylabel.labels import Labels
from manylabel.metrics.at_k import precision_at_k
from manylabel.metrics.inputs import scores_and_labels
from manylabel.metrics.ranking import average_precision, mean_over_present
from manylabel.metrics.scores import Array, Scores
from manylabel.metrics.sets import Counts

SET_METRICS = ("macro_f1", "micro_f1", "example_f1", "hamming_accuracy", "subset_accuracy")


@dataclass(frozen=True, eq=False)
class Quality:
    """What :func:`measure_decisions` found.

    Attributes
    ----------
    values : dict of metric to float
        mAP and precision@1 of the scores; macro-, micro- and example-F1, Hamming and subset accuracy of the decisions.
        NaN where undefined.
    per_label : dict of str to (C,) array
        ``positives``, ``known`` and ``predicted``, rows; ``precision``, ``recall``, ``f1`` and ``ap``, NaN where
        undefined.
    """

    values: dict[str, float]
    per_label: dict[str, Array]

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for JSON; undefined values become None."""
        return {
            "values": {name: _plain(value) for name, value in self.values.items()},
            "per_label": {
                name: [_plain(v) for v in array.tolist()] for name, array in self.per_label.items()
            },
        }


def measure_decisions(scores: Scores, predictions: Scores, Y: Labels) -> Quality:
    """Measure scores and the label sets that were decided from them; no threshold is chosen here.

    Parameters
    ----------
    scores : (n, C) array or tensor, or StreamedScores
    predictions : (n, C) bool or 0/1 array or tensor, or StreamedScores of 0 and 1
    Y : (n, C) labels, dense or sparse
        Unknown entries count for nothing: a set is right if it is in all known entries.

    Raises
    ------
    ManyLabelError
        If shapes differ, scores hold NaN, or predictions or labels are not 0/1.

    Notes
    -----
    Macro-F1 counts a label that is neither predicted nor carried as 0, mAP leaves out labels that no row carries, and
    example-F1 rows without labels and predictions, as :func:`manylabel.metrics.evaluate` does.
    """
    who = "measure_decisions"
    S, labels = scores_and_labels(scores, Y, who)
    counts, ap = Counts.of(predictions, labels), average_precision(S, labels)
    tally = counts.labels
    values = {
        "map": mean_over_present(ap, "leave_out", who),
        "precision_at_1": precision_at_k(S, labels, 1),
        **{metric: float(getattr(counts, metric)()) for metric in SET_METRICS},
    }
    per_label = {"positives": tally.true, "known": tally.known, "predicted": tally.predicted}
    rates = {"precision": tally.precision(), "recall": tally.recall(), "f1": tally.f1()}
    return Quality(values, per_label | rates | {"ap": ap})


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else value
