"""Stack weights: one non-negative weight for each learner, shared by labels, learnt on out-of-fold logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from scipy.special import expit, logit

from manylabel.methods.stacking.common_scale import Frequency, Spread

Array: TypeAlias = "np.ndarray[Any, Any]"

RIDGE = 10.0
"""Of the pull of weights to 1 / M, and of those of a class of labels to the shared ones."""
FEW = 20
"""Labels with fewer positives have weights of their own."""
MOST_ENTRIES = 1_000_000
_STEPS = 100


@dataclass(frozen=True, eq=False)
class Entries:
    """Known label entries of rows that were held out.

    Attributes
    ----------
    Z : (E, M + 2) float64 array
        1, the logit of the label's share, and the logits of the M learners.
    y : (E,) float64 array
        What the entries are, in [0, 1].
    few : (E,) bool array
        Whether they are of a label with fewer than :data:`FEW` positives.
    w : (E,) float64 array or None, default None
        What they count; None where all count alike.
    """

    Z: Array
    y: Array
    few: Array
    w: Array | None = None

    @classmethod
    def of(
        cls,
        logits: Sequence[Array],
        truth: Array,
        known: Array | None,
        frequency: Frequency,
        seed: int,
        weights: Array | None = None,
    ) -> Entries:
        """The entries of all rows, or of as many drawn rows as have :data:`MOST_ENTRIES`.

        Parameters
        ----------
        logits : M arrays (n, n_labels)
        truth : (n, n_labels) array
        known : (n, n_labels) bool array or None
            None where all entries are.
        frequency : Frequency
        seed : int
            Draws the rows.
        weights : (n,) or (n, n_labels) array, optional
        """
        n, n_labels = truth.shape
        rows: Any = slice(None)
        if n * n_labels > MOST_ENTRIES:
            most = max(1, MOST_ENTRIES // n_labels)
            rows = np.sort(np.random.default_rng(seed).choice(n, most, replace=False))
        y = truth[rows]
        base = np.broadcast_to(logit(frequency.share), y.shape)
        few = np.broadcast_to(frequency.positives < FEW, y.shape)
        columns = [np.ones(y.shape), base, *(Z[rows] for Z in logits)]
        mask = np.ones(y.shape, dtype=bool) if known is None else known[rows]
        Z = np.stack([column[mask] for column in columns], axis=1).astype(np.float64)
        w = None
        if weights is not None:
            w = np.broadcast_to(weights[rows].reshape(len(y), -1), y.shape)[mask].astype(np.float64)
        return cls(Z, y[mask].astype(np.float64), few[mask], w)

    def take(self, which: Array) -> Entries:
        """Some of the entries."""
        return Entries(
            self.Z[which], self.y[which], self.few[which], None if self.w is None else self.w[which]
        )

    def learners(self, kept: Sequence[int]) -> Entries:
        """The entries with some of the learners."""
        return Entries(self.Z[:, [0, 1, *(2 + m for m in kept)]], self.y, self.few, self.w)


@dataclass(frozen=True, eq=False)
class Stack:
    """How logits of learners become one.

    Attributes
    ----------
    coefficients : (2, M + 2) float64 array
        Of 1, of the logit of the label's share and of each learner: of labels with many positives, and with few.
    spreads : tuple of M Spread, default ()
        By which the logits of each learner are standardised before; () where they come so.
    """

    coefficients: Array
    spreads: tuple[Spread, ...] = ()

    @classmethod
    def equal(cls, n_learners: int) -> Stack:
        """The mean of the logits."""
        return cls(np.tile(_equal(n_learners), (2, 1)))

    @property
    def weights(self) -> Array:
        """Of the learners, of labels with many positives and with few, (2, M)."""
        return self.coefficients[:, 2:]

    def of_labels(self, frequency: Frequency) -> Array:
        """The coefficients of each label, (M + 2, n_labels) float64."""
        of_label: Array = self.coefficients[(frequency.positives < FEW).astype(np.int64)].T
        if self.spreads:
            of_label = of_label.copy()
            of_label[2:] /= [spread.deviation for spread in self.spreads]
            of_label[0] -= sum(w * spread.mean for w, spread in zip(of_label[2:], self.spreads, strict=True))
        return of_label

    def probabilities(self, logits: Sequence[Array], frequency: Frequency) -> Array:
        """Probabilities of rows, (n, n_labels) float32, of M arrays of logits (n, n_labels)."""
        of_label = self.of_labels(frequency)  # (M + 2, n_labels)
        z = of_label[0] + of_label[1] * logit(frequency.share)
        for w, Z in zip(of_label[2:], logits, strict=True):
            z = z + w * Z
        return np.asarray(expit(z), dtype=np.float32)

    def loss(self, entries: Entries) -> float:
        """Mean log-loss of entries, by their weights."""
        z = (entries.Z * self.coefficients[entries.few.astype(np.int64)]).sum(axis=1)
        if not len(z) or (entries.w is not None and not entries.w.any()):
            return 0.0
        return float(np.average(np.logaddexp(0, z) - entries.y * z, weights=entries.w))

    def shares(self, entries: Entries) -> Array:
        """What each learner contributes: its weight times the spread of its logits, as parts of 1; (M,)."""
        n_few = entries.few.mean() if len(entries.few) else 0.0
        weights = (1 - n_few) * self.weights[0] + n_few * self.weights[1]
        spread = weights * entries.Z[:, 2:].std(axis=0) if len(entries.Z) else weights
        total = spread.sum()
        return np.asarray(spread / total if total > 0 else np.full(len(spread), 1 / len(spread)))


def learn(entries: Entries) -> Stack:
    """Learn the weights of a stack.

    Notes
    -----
    Of label j of row i, with pi_j its share of the training rows and z_im = logit p_im of learner m ::

        logit p_i = b + w_0 logit pi_j + sum_m w_m z_im     w_m >= 0

    minimises the sum of the log-losses over all out-of-fold entries, times their weights where they have some, ``+ 10/2
    sum_m (w_m - 1/M)^2``. Where labels with
    fewer than 20 positives stand beside others, each of both classes then has weights of its own: the same sum over its
    entries, pulled to the shared solution by ``1/2 [(b - b')^2 + (w_0 - w_0')^2 + 10 sum_m (w_m - w_m')^2]``. Micro
    log-loss by itself would not see rare labels.
    """
    n_learners = entries.Z.shape[1] - 2
    start = _equal(n_learners)
    pull = np.array([0.0, 0.0] + [RIDGE] * n_learners)
    shared = _minimised(entries, start, pull)
    if not entries.few.any() or entries.few.all():
        return Stack(np.tile(shared, (2, 1)))
    pull[:2] = 1.0
    classes = (~entries.few, entries.few)
    return Stack(np.stack([_minimised(entries.take(which), shared, pull) for which in classes]))


def _equal(n_learners: int) -> Array:
    return np.array([0.0, 0.0] + [1 / max(n_learners, 1)] * n_learners)


def _minimised(entries: Entries, start: Array, pull: Array) -> Array:
    """The minimum of the sum of log-losses and of the pull of coefficients to where they start."""
    from scipy.optimize import minimize

    n, w = max(len(entries.y), 1), 1.0 if entries.w is None else entries.w

    def objective(c: Array) -> tuple[float, Array]:
        z = entries.Z @ c
        loss = np.sum(w * (np.logaddexp(0, z) - entries.y * z)) + 0.5 * pull @ (c - start) ** 2
        slope = entries.Z.T @ (w * (expit(z) - entries.y)) + pull * (c - start)
        return loss / n, slope / n

    bounds = [(None, None)] * 2 + [(0.0, None)] * (len(start) - 2)
    options = {"maxiter": _STEPS, "ftol": 1e-12, "gtol": 1e-8}
    found = minimize(objective, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return np.asarray(found.x)
