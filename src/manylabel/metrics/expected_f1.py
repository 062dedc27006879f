"""The label set of each row with the highest expected F1, from its probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from manylabel.metrics.inputs import check_number
from manylabel.metrics.scores import ENTRIES_AT_ONCE, Array, Scores, as_scores, check_probabilities

EXACT_LABELS = 256
"""Most labels of a row for which the expectation is exact."""


@dataclass(frozen=True)
class ExpectedF1:
    """Predict the label set of each row whose F1 with the truth is highest in expectation.

    Attributes
    ----------
    empty : float, default 1.0
        What predicting nothing counts on a row without labels, from 0 to 1: 0 never predicts nothing.

    Notes
    -----
    Labels are taken as independent given the row, with the scores as their probabilities: calibrate first. The best set
    of k labels then is that of the k highest scores. With A of them and B of the others true,

        E F1(k) = sum_a P(A = a) 2a s(k, k + a),   s(k, x) = E[1 / (x + B)],
        s(k - 1, x) = p_k s(k, x + 1) + (1 - p_k) s(k, x),

    which takes O(C^2) a row. Beyond the 256 highest scores of a row the others stand in B by their expected number,
    and are never predicted.

    References
    ----------
    N. Ye, K. M. A. Chai, W. S. Lee and H. L. Chieu, Optimizing F-Measures: A Tale of Two Approaches, ICML 2012.
    """

    wants_probabilities: ClassVar[bool] = True

    empty: float = 1.0

    def __post_init__(self) -> None:
        check_number(self.empty, "ExpectedF1", "`empty`", least=0)

    def predict(self, scores: Scores) -> Array:
        """Predicted label sets, (n, C) probabilities -> (n, C) bool; of equal scores the lowest label goes first."""
        S = as_scores(scores, "ExpectedF1.predict")
        check_probabilities(S, "ExpectedF1.predict")
        width = min(EXACT_LABELS, S.shape[1])
        step = max(1, ENTRIES_AT_ONCE // (width * width))
        predicted = [self._block(S[start : start + step], width) for start in range(0, len(S), step)]
        return np.concatenate(predicted)

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Plain JSON and arrays, from which :meth:`from_state` makes the same rule."""
        return {"decision": "expected_f1", "empty": self.empty}, {}

    @classmethod
    def from_state(cls, plain: Mapping[str, Any], arrays: Mapping[str, Array]) -> ExpectedF1:
        """The rule that :meth:`state` described."""
        return cls(plain["empty"])

    def _block(self, S: Array, width: int) -> Array:
        order = np.argsort(-S, axis=1, kind="stable")[:, :width]
        p = np.clip(np.take_along_axis(S, order, axis=1), 0, 1, dtype=np.float64)  # (b, width), falling
        others = np.clip(S.sum(1, dtype=np.float64) - p.sum(1), 0, None)
        nothing = self.empty * (1 - p).prod(1) * np.exp(-others)
        expected = np.column_stack([nothing, expected_f1(p, others)])  # (b, 1 + width)
        chosen = np.zeros(S.shape, dtype=bool)
        np.put_along_axis(chosen, order, np.arange(width) < expected.argmax(1)[:, None], axis=1)
        return chosen


def expected_f1(p: Array, others: Array) -> Array:
    """Expected F1 of the first k labels, k = 1 ... m.

    Parameters
    ----------
    p : (b, m) float64 array
        Probabilities of independent labels.
    others : (b,) float64 array
        Expected number of true labels beyond these.

    Returns
    -------
    (b, m) float64 array
    """
    b, m = p.shape
    hits = np.zeros((m + 1, b, m + 1))  # hits[k, :, a] = P(a of the first k are true)
    hits[0, :, 0] = 1
    for k in range(1, m + 1):
        true = p[:, k - 1, None]
        hits[k] = (1 - true) * hits[k - 1]
        hits[k, :, 1:] += true * hits[k - 1, :, :-1]
    expected = np.empty((b, m))
    inverse = 1 / (np.arange(1, 2 * m + 1) + others[:, None])  # s(m, x), x = 1 ... 2m, (b, 2m)
    for k in range(m, 0, -1):
        gain = 2 * np.arange(k + 1) * inverse[:, k - 1 : 2 * k]  # 2a s(k, k + a), (b, k + 1)
        expected[:, k - 1] = (hits[k, :, : k + 1] * gain).sum(1)
        true = p[:, k - 1, None]
        inverse = (
            true * inverse[:, 1:] + (1 - true) * inverse[:, :-1]
        )  # s(k - 1, x), x = 1 ... 2m - 1 and so on
    return expected
