"""Evidence of a stack: what each learner contributes, and what held-out rows would lose without it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import Any, Self, TypeAlias

import numpy as np
from pydantic import Field

from manylabel import metrics
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix
from manylabel.methods.recipe import Config
from manylabel.methods.stacking.common_scale import Frequency
from manylabel.methods.stacking.weights import Entries, Stack, learn

Array: TypeAlias = "np.ndarray[Any, Any]"

MEASURED = ("map", "macro_f1", "micro_f1")
WITHOUT = {"map": "mAP", "macro_f1": "macro-F1", "micro_f1": "micro-F1", "log_loss": "log-loss"}
"""Metrics of which a table says what they change by without a learner, and their names there."""
HEADINGS = (
    "learner",
    "form",
    "share",
    *(f"{name} without" for name in WITHOUT.values()),
    "seconds",
    "left out",
)
MEANS = (
    "Share: part of the spread of the combined logit. Without: by how much the out-of-fold metric changes where the "
    "learner is taken out and the weights are learnt again, so that what is below 0 was its gain; log-loss is lower-is-"
    "better. Seconds: of all its trainings, choices included."
)
"""What the columns of a table say."""
_BRIEF = 90  # characters of a reason in a sentence
CONTRAST = "without_contrast"
"""The rival whose difference answers what contrast adds."""


class LearnerEvidence(Config):
    """What is known of one learner of a stack.

    Attributes
    ----------
    method : str
        Its recipe, as chosen.
    settings : dict of dotted name to value
        What was chosen for it on the first fold.
    share : float
        Its part of the spread of the combined logit; 0 of a learner that was left out.
    without : dict of metric to float
        What out-of-fold metrics of the stack are without it, less what they are with it; each F1 at its best threshold
        there. ``log_loss`` is lower-is-better.
    rivals : dict of rival to dict of metric to float
        On the first fold: what the learner has in the best form before, less what it has in that other one.
    seconds : float
        Of its trainings, choices included.
    left_out : str
        Why it was left out; "" where it was not.
    brief : str
        The same in a few words.
    """

    method: str
    settings: dict[str, Any] = Field(default_factory=dict)
    share: float = 0.0
    without: dict[str, float] = Field(default_factory=dict)
    rivals: dict[str, dict[str, float]] = Field(default_factory=dict)
    seconds: float = 0.0
    left_out: str = ""
    brief: str = ""

    @classmethod
    def refused(cls, method: str, error: ManyLabelError) -> Self:
        """Of a learner that cannot be trained on the rows."""
        brief = shorten(f"expected {error.expected}, but got {error.got}", _BRIEF, placeholder=" ...")
        return cls(method=method, left_out=str(error), brief=brief)

    @property
    def form(self) -> str:
        """Its recipe and what was chosen for it, in words."""
        return ", ".join([self.method, *(f"{name} = {value}" for name, value in self.settings.items())])


class StackEvidence(Config):
    """What held-out rows say of the learners of a stack.

    Attributes
    ----------
    name : str
        Of the method.
    folds : int
        0 where rows were too few for any.
    learners : dict of name to LearnerEvidence
    """

    name: str
    folds: int
    learners: dict[str, LearnerEvidence]

    def sentence(self) -> str:
        """What a person should know, in one line."""
        if not self.folds:
            return f"{self.name}: too few rows or groups to tell what each learner is worth, all count alike."
        kept = {name: found for name, found in self.learners.items() if not found.left_out}
        told = [", ".join(f"{name} {kept[name].share:.2f}" for name in self.by_share if name in kept)]
        told += [_loss_without(name, found) for name, found in kept.items() if "map" in found.without]
        told += [
            f"on the first fold contrast gave {_signed(found.rivals[CONTRAST]['map'])} mAP"
            for found in self.learners.values()
            if "map" in found.rivals.get(CONTRAST, {})
        ]
        left_out = [f"{name} ({found.brief})" for name, found in self.learners.items() if found.left_out]
        told += [f"left out: {', '.join(left_out)}"] if left_out else []
        return f"{self.name}: {'; '.join(told)}."

    @property
    def by_share(self) -> dict[str, LearnerEvidence]:
        """The learners, the highest share first, those that were left out last."""
        order = sorted(self.learners.items(), key=lambda pair: (bool(pair[1].left_out), -pair[1].share))
        return dict(order)

    def rows(self) -> Iterator[tuple[str, ...]]:
        """A line for each learner under :data:`HEADINGS`, in texts."""
        for name, found in self.by_share.items():
            share = "" if found.left_out else f"{found.share:.2f}"
            changes = [_signed(found.without[m]) if m in found.without else "" for m in WITHOUT]
            yield name, found.form, share, *changes, f"{found.seconds:.1f}", found.left_out


def _signed(change: float) -> str:
    return f"{round(change, 3) + 0.0:+.3f}"  # never -0.000


def _loss_without(name: str, found: LearnerEvidence) -> str:
    change = found.without["map"]
    return f"without {name} out-of-fold mAP would {'fall' if change <= 0 else 'rise'} by {abs(change):.3f}"


@dataclass(frozen=True, eq=False)
class Judge:
    """Measures scores of held-out rows.

    Attributes
    ----------
    Y : LabelMatrix (n, n_labels)
    frequency : Frequency
    seed : int
    weights : (n,) or (n, n_labels) array or None, default None
        What rows or entries count in the log-loss; metrics do not look at them.
    """

    Y: LabelMatrix
    frequency: Frequency
    seed: int
    weights: Array | None = None

    def entries(self, logits: Sequence[Array], rows: Array | None = None) -> Entries:
        """The known entries of all rows, or of those at some positions."""
        Y = self.Y if rows is None else self.Y.take(rows)
        truth = Y.dense().cpu().numpy()
        known = ~Y.unknown.dense().cpu().numpy().astype(bool) if Y.n_unknown else None
        weights = self.weights if self.weights is None or rows is None else self.weights[rows]
        return Entries.of(logits, truth, known, self.frequency, self.seed, weights)

    def alone(self, logits: Array, rows: Array) -> float:
        """Log-loss of a stack of one learner on rows of which ``logits`` are."""
        entries = self.entries([logits], rows)
        return learn(entries).loss(entries)

    def measured(self, scores: Array, rows: Array | None = None) -> dict[str, float]:
        """Metrics of scores; none where labels are soft or none is carried."""
        Y = self.Y if rows is None else self.Y.take(rows)
        if not Y.binary or not Y.row_counts().any():
            return {}
        found = metrics.evaluate(scores, Y, protocol="oracle", metrics=MEASURED).values
        return {name: value for name, value in found.items() if np.isfinite(value)}

    def without_each(self, logits: Mapping[str, Array], stack: Stack) -> dict[str, dict[str, float]]:
        """What metrics are without each learner, less what they are with all."""
        names, given = list(logits), list(logits.values())
        entries = self.entries(given)
        whole = self.measured(stack.probabilities(given, self.frequency))
        loss = stack.loss(entries)
        found = {}
        for m, name in enumerate(names):
            others = [k for k in range(len(names)) if k != m]
            if not others:
                continue
            part = entries.learners(others)
            smaller = learn(part)
            scores = smaller.probabilities([given[k] for k in others], self.frequency)
            change = less(self.measured(scores), whole)
            found[name] = change | {"log_loss": smaller.loss(part) - loss}
        return found


def less(these: Mapping[str, float], those: Mapping[str, float]) -> dict[str, float]:
    """Differences of the metrics that both have."""
    return {name: value - those[name] for name, value in these.items() if name in those}
