"""Common scale of learners: logits, of probabilities that rest on few rows drawn towards the share of the label.

Margins, which have no scale that labels share, are standardised label by label.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, TypeAlias

import numpy as np
import torch
from scipy.special import logit

from manylabel.labels import LabelMatrix

Array: TypeAlias = "np.ndarray[Any, Any]"

NEAREST = 1e-4
"""How near to 0 and 1 a probability may come before its logit is cut off."""
_NONE = 1e-6  # up to which a deviation is rounding


@dataclass(frozen=True, eq=False)
class Frequency:
    """How often each label is carried by the training rows on which it is known.

    Attributes
    ----------
    positives, known : (n_labels,) float64 arrays
        Of soft labels, positives are sums; of rows with weights both are.
    """

    positives: Array
    known: Array

    @classmethod
    def of(cls, Y: LabelMatrix, weights: Array | None = None) -> Self:
        """Of the labels of training rows, which may have weights, (n,) or (n, n_labels)."""
        if weights is not None:
            everywhere = np.broadcast_to(weights.sum(0), Y.n_labels)
            return cls(_sums(Y, weights), everywhere - _sums(Y.unknown, weights))
        counts = Y.label_counts(torch.float64).cpu().numpy()
        unknown = Y.unknown.label_counts(torch.float64).cpu().numpy() if Y.n_unknown else 0.0
        return cls(counts, np.full(Y.n_labels, float(len(Y))) - unknown)

    @cached_property
    def share(self) -> Array:
        """``(positives + 1/2) / (known + 1)``, never 0 or 1."""
        share: Array = (self.positives + 0.5) / (self.known + 1)
        return share

    def logits(self, p: Array, rests_on: float | None = None) -> Array:
        """Probabilities of a learner on the common scale, (n, n_labels) -> (n, n_labels) float32.

        ``logit((k p + share) / (k + 1))`` of probabilities that rest on k rows: the votes of neighbours and the leaves
        of trees say 0 and 1 where they mean rarely and often.
        """
        drawn = p if rests_on is None else (rests_on * p + self.share) / (rests_on + 1)
        clipped = np.clip(drawn, NEAREST, 1 - NEAREST, dtype=np.float64)
        return np.asarray(logit(clipped), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Spread:
    """Where the logits of each label lie.

    Attributes
    ----------
    mean, deviation : (n_labels,) float64 arrays
        A deviation of 0 is told as 1.
    """

    mean: Array
    deviation: Array

    @classmethod
    def of(cls, logits: Array) -> Self:
        """Of logits of held-out rows, (n, n_labels)."""
        deviation = logits.std(axis=0, dtype=np.float64)
        return cls(logits.mean(axis=0, dtype=np.float64), np.where(deviation > _NONE, deviation, 1.0))

    @classmethod
    def none(cls, n_labels: int) -> Self:
        """That of logits which stay as they are."""
        return cls(np.zeros(n_labels), np.ones(n_labels))

    def standardised(self, logits: Array) -> Array:
        """Logits brought to mean 0 and deviation 1, (n, n_labels) float32."""
        return np.asarray((logits - self.mean) / self.deviation, dtype=np.float32)


def _sums(Y: LabelMatrix, weights: Array) -> Array:
    """Labels times weights, summed over rows, (n_labels,) float64."""
    if weights.ndim == 2:
        return np.asarray((Y.dense(torch.float64).cpu().numpy() * weights).sum(0))
    return np.asarray(Y.to("cpu").label_sums(torch.from_numpy(weights)[:, None])[:, 0])
