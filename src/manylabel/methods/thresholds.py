"""Thresholds of a model: learnt on validation rows, one for each metric, and which of them predicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from manylabel import metrics
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix
from manylabel.metrics import Threshold

USED = "macro_f1"
FIXED = 0.5


@dataclass(frozen=True)
class Thresholds:
    """Where scores become predicted labels.

    Attributes
    ----------
    by_metric : mapping of metric to Threshold
        Each the best for its metric on the validation rows: those of the "tuned" protocol of
        :func:`manylabel.metrics.evaluate`.
    used : str, default "macro_f1"
        The metric whose threshold decides.
    note : str, default ""
        Why nothing could be learnt, where 0.5 stands in for thresholds.
    """

    by_metric: Mapping[str, Threshold]
    used: str = USED
    note: str = ""

    def __post_init__(self) -> None:
        if self.used not in self.by_metric:
            expected = f"one of the metrics with a threshold ({', '.join(self.by_metric) or 'none'})"
            raise ManyLabelError("Thresholds, `used`", expected, f"{self.used!r:.60}")

    @classmethod
    def learnt(cls, scores: np.ndarray[Any, Any], Y: LabelMatrix) -> Self:
        """Thresholds of validation rows; 0.5 where they cannot tell.

        Parameters
        ----------
        scores : (n, n_labels) array in [0, 1]
        Y : LabelMatrix (n, n_labels)
        """
        note = ""
        if not Y.binary:
            note = "the labels of the validation rows are soft: no threshold could be learnt, 0.5 stands in"
        elif not Y.row_counts().any():
            note = "no validation row carries a label: no threshold could be learnt, 0.5 stands in"
        if note:
            return cls({USED: Threshold("shared", FIXED)}, note=note)
        return cls(metrics.learn_thresholds(scores, Y))

    def predict(self, scores: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Predicted labels, (n, n_labels) scores -> (n, n_labels) bool."""
        if not len(scores):
            return np.zeros(scores.shape, dtype=bool)
        return self.by_metric[self.used].predict(scores)

    def to_json(self) -> dict[str, Any]:
        """What :meth:`of_json` reads."""
        values = {name: {"rule": t.rule, "value": t.value} for name, t in self.by_metric.items()}
        return {"used": self.used, "note": self.note, "values": values}

    @classmethod
    def of_json(cls, told: Mapping[str, Any], n_labels: int) -> Self:
        """The thresholds that a model folder tells, of a model of so many labels.

        Raises
        ------
        ManyLabelError
            For thresholds of another number of labels.
        """
        thresholds = {name: Threshold(**one) for name, one in told["values"].items()}
        for name, one in thresholds.items():
            if isinstance(one.value, tuple) and len(one.value) != n_labels:
                got = f"{len(one.value)} for {name}"
                raise ManyLabelError("thresholds", f"one, or one for each of {n_labels} labels", got)
        return cls(thresholds, told["used"], told["note"])
