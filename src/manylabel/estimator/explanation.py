"""What is known of one label: its support, threshold, quality on held-out rows, and the rows that are most like it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch

from manylabel.data import Rows
from manylabel.labels import LabelMatrix
from manylabel.methods import HeldOut, Predictor
from manylabel.metrics import LearntThresholds, Threshold, TrainingLabels
from manylabel.printable import printable

Array: TypeAlias = "np.ndarray[Any, Any]"

NEAREST = 5
_MOST_NUMBERS = 1 << 26  # of representations held at once


@dataclass(frozen=True)
class LabelExplanation:
    """One label of a model; ``print`` it.

    Attributes
    ----------
    name : str
    support : int
        Training rows known to carry the label.
    threshold : float or None
        None where the model does not decide by thresholds.
    spread : float or None
        Standard deviation of the thresholds learnt without one fold each; None where none was learnt.
    source : str
        What the threshold rests on: "own", "shrunk", "shared", or "given".
    f1 : float or None
        On held-out rows, at this threshold; None where nothing was held out or no held-out row tells.
    nearest : tuple of int
        Numbers of the rows of the fit that carry the label and whose representation lies nearest to the mean of all
        that do, the nearest first.
    how : str
        Where held-out scores come from.
    """

    name: str
    support: int
    threshold: float | None
    spread: float | None
    source: str
    f1: float | None
    nearest: tuple[int, ...]
    how: str

    def __str__(self) -> str:
        if self.threshold is None:
            decides = f"none: the model decides by {self.source}"
        else:
            spread = "" if self.spread is None else f" ± {self.spread:.3f} over folds"
            decides = f"{self.threshold:.3f}{spread} ({self.source})"
        lines = {
            "carried by": f"{self.support} training rows",
            "threshold": decides,
            "F1": "not known" if self.f1 is None else f"{self.f1:.3f} on held-out rows ({self.how})",
            "most typical rows": ", ".join(map(str, self.nearest)) or "none",
        }
        told = (f"  {what:<18}{value}" for what, value in lines.items())
        return "\n".join([printable(self.name), *told])


@dataclass(frozen=True, eq=False)
class Evidence:
    """What explanations of all labels rest on.

    Attributes
    ----------
    labels : TrainingLabels
        How many training rows carry each label, and which label sets they carry.
    f1 : (n_labels,) float64 array
        NaN where it is not known.
    nearest : (n_labels, 5) int64 array
        Filled up with -1.
    """

    labels: TrainingLabels
    f1: Array
    nearest: Array

    @classmethod
    def of(cls, model: Predictor, rows: Rows, source: Array, held_out: HeldOut | None) -> Evidence:
        """Of a model, its training rows, their numbers among the caller's, and held-out rows."""
        labels = TrainingLabels.of(rows.Y)
        f1 = np.full(rows.Y.n_labels, np.nan) if held_out is None else _f1(model, held_out)
        return cls(labels, f1, _typical(model, rows, source))

    def joined(self, Y: LabelMatrix) -> Evidence:
        """With further rows of the labels that are there and of others."""
        new = Y.n_labels - len(self.f1)
        nearest = np.concatenate([self.nearest, np.full((new, NEAREST), -1, dtype=np.int64)])
        return Evidence(self.labels.joined(Y), np.concatenate([self.f1, np.full(new, np.nan)]), nearest)

    def arrays(self) -> dict[str, Array]:
        """What :meth:`of_arrays` makes the same of."""
        own = {"support": self.labels.counts, "label_sets": self.labels.sets}
        return {**own, "f1": self.f1, "nearest": self.nearest}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, Array]) -> Evidence:
        labels = TrainingLabels(arrays["support"], arrays["label_sets"])
        return cls(labels, arrays["f1"], arrays["nearest"])

    def explain(self, model: Predictor, label: int, how: str) -> LabelExplanation:
        """What is known of one label, by number."""
        threshold, spread, source = _threshold(model, label)
        f1 = float(self.f1[label])
        return LabelExplanation(
            name=model.label_names[label],
            support=int(self.labels.counts[label]),
            threshold=threshold,
            spread=spread,
            source=source,
            f1=None if np.isnan(f1) else f1,
            nearest=tuple(row for row in self.nearest[label].tolist() if row >= 0),
            how=how,
        )


def _threshold(model: Predictor, label: int) -> tuple[float | None, float | None, str]:
    decision = model.decision
    if isinstance(decision, LearntThresholds):
        own = decision.report()[label]
        return own.value, own.spread, own.source
    if isinstance(decision, Threshold) and decision.rule == "shared":
        return float(np.asarray(decision.value)), None, "given"
    return (
        None,
        None,
        "the highest scores of a row" if isinstance(decision, Threshold) else "whole label sets",
    )


def _f1(model: Predictor, held_out: HeldOut) -> Array:
    """F1 of each label on the held-out rows on which it is known, (n_labels,); NaN without a positive or predicted."""
    predicted = model.decided(held_out.scores)
    true = held_out.Y.dense(torch.bool).numpy()
    known = held_out.Y.known()
    if known is not None:
        predicted = predicted & known.numpy()
    hits, n = (predicted & true).sum(0), predicted.sum(0) + true.sum(0)
    return np.where(n > 0, 2 * hits / np.maximum(n, 1), np.nan)


def _typical(model: Predictor, rows: Rows, source: Array) -> Array:
    """For each label the rows that carry it nearest, by cosine, to the mean of all that do."""
    carriers = rows.Y.transposed.sparse()
    by_label = np.split(carriers.columns.cpu().numpy(), carriers.offsets.cpu().numpy()[1:-1])
    width = model.embed(rows.X.take(slice(0, 1))).shape[1]
    most = max(NEAREST, _MOST_NUMBERS // max(width, 1))
    kept = np.arange(len(rows))[:: -(-len(rows) // most)]
    Z = model.embed(rows.X.take(kept))
    Z = Z / np.maximum(np.linalg.norm(Z, axis=1, keepdims=True), 1e-12)
    place = np.full(len(rows), -1)
    place[kept] = np.arange(len(kept))
    nearest = np.full((len(by_label), NEAREST), -1, dtype=np.int64)
    for label, members in enumerate(by_label):
        own = place[members][place[members] >= 0]
        if len(own):
            order = np.argsort(-(Z[own] @ Z[own].mean(0)), kind="stable")
            found = list(dict.fromkeys(source[kept[own[order]]].tolist()))[:NEAREST]  # copies count once
            nearest[label, : len(found)] = found
    return nearest
