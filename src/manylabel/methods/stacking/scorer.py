"""Stack scorer: learners trained on all rows or on their folds, and the weights that combine them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
import torch

from manylabel.data.rows import EncodedRows, Features, raw_rows
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix
from manylabel.methods.knn_interpolation import NeighbourScorer
from manylabel.methods.part import Opened, Part, Scorer
from manylabel.methods.stacking.common_scale import Frequency, Spread
from manylabel.methods.stacking.evidence import StackEvidence
from manylabel.methods.stacking.weights import Stack

Array: TypeAlias = "np.ndarray[Any, Any]"


class StackScorer:
    """Probabilities of several learners, combined by a stack.

    Parameters
    ----------
    learners : mapping of name to Scorer
        In the order of the weights.
    rests_on : mapping of name to float or None
        As :meth:`Frequency.logits` takes it.
    stack : Stack
    frequency : Frequency
        Of the training rows.
    evidence : StackEvidence
    represents : str
        The learner whose representation :meth:`embed` gives.
    encoded : collection of str
        The learners that take the vectors of rows, which then come beside them.
    """

    part_type: ClassVar[str] = "stack"

    def __init__(
        self,
        learners: Mapping[str, Scorer],
        rests_on: Mapping[str, float | None],
        stack: Stack,
        frequency: Frequency,
        evidence: StackEvidence,
        represents: str,
        encoded: Collection[str] = (),
    ) -> None:
        self.learners, self.rests_on, self.stack = dict(learners), dict(rests_on), stack
        self.frequency, self.evidence, self.represents = frequency, evidence, represents
        self.encoded = frozenset(encoded)

    @property
    def n_labels(self) -> int:
        return max(learner.n_labels for learner in self.learners.values())

    @property
    def embeds_features(self) -> bool:
        return self.learners[self.represents].embeds_features

    def scores(self, X: Features) -> Array:
        """Probabilities, (n, n_labels) float32; of labels that joined later the votes of the neighbours."""
        found = {name: learner.scores(self._seen(name, X)) for name, learner in self.learners.items()}
        n_learnt = len(self.frequency.share)
        logits = [self.frequency.logits(p[:, :n_learnt], self.rests_on[name]) for name, p in found.items()]
        learnt = self.stack.probabilities(logits, self.frequency)
        joined = [p[:, n_learnt:].clip(0, 1) for p in found.values() if p.shape[1] > n_learnt]
        return np.concatenate([learnt, *joined], axis=1)

    def embed(self, X: Features) -> Array:
        """The representation of the network, (n, H) float32: of several networks side by side.

        Without a network, what the first learner sees of the rows.
        """
        return self.learners[self.represents].embed(self._seen(self.represents, X))

    def _seen(self, name: str, X: Features) -> Features:
        """What a learner takes of rows."""
        return X.vectors if name in self.encoded and isinstance(X, EncodedRows) else raw_rows(X)

    def joined(self, X: Features, Y: LabelMatrix) -> StackScorer:
        """The same with further rows among the neighbours, without training; see :meth:`NeighbourScorer.joined`.

        Raises
        ------
        ManyLabelError
            If the stack kept no neighbours.
        """
        grown = {
            name: learner.joined(self._seen(name, X), Y)
            for name, learner in self.learners.items()
            if isinstance(learner, NeighbourScorer)
        }
        if not grown:
            hint = 'Train with `method="mulsupcon_knn"`.'
            raise ManyLabelError(
                "add", "a model with neighbours", "one that held-out rows found none for", hint
            )
        facts = self.rests_on, self.stack, self.frequency, self.evidence, self.represents, self.encoded
        return StackScorer(self.learners | grown, *facts)

    def part(self) -> Part:
        """Learners as parts, the stack as tensors, the evidence as JSON."""
        parts = {f"learner-{m}": learner.part() for m, learner in enumerate(self.learners.values())}
        meta = {
            "learners": list(self.learners),
            "rests_on": [self.rests_on[name] for name in self.learners],
            "represents": self.represents,
            "encoded": sorted(self.encoded),
            "evidence": self.evidence.model_dump(mode="json"),
        }
        arrays = {
            "coefficients": self.stack.coefficients,
            "positives": self.frequency.positives,
            "known": self.frequency.known,
        }
        if self.stack.spreads:
            arrays["means"] = np.stack([spread.mean for spread in self.stack.spreads])
            arrays["deviations"] = np.stack([spread.deviation for spread in self.stack.spreads])
        return Part(
            self.part_type, meta, {name: torch.tensor(array) for name, array in arrays.items()}, parts
        )

    @classmethod
    def restore(cls, opened: Opened) -> Self:
        """The scorer of a part."""
        meta, tensors = opened.meta, opened.tensors
        names = list(meta["learners"])
        learners = {name: opened.scorers[f"learner-{m}"] for m, name in enumerate(names)}
        frequency = Frequency(tensors["positives"].numpy(), tensors["known"].numpy())
        n_labels = len(frequency.share)
        stack = Stack(tensors["coefficients"].numpy(), _spreads(tensors, (len(names), n_labels)))
        if stack.coefficients.shape != (2, len(names) + 2) or len(learners) != len(names):
            raise ValueError(f"a stack of {len(names)} learners with other weights")
        if any(learner.n_labels < n_labels for learner in learners.values()) or not names:
            raise ValueError(f"learners of other labels than {n_labels}")
        evidence = StackEvidence.model_validate(meta["evidence"])
        rests_on = dict(zip(names, meta["rests_on"], strict=True))
        if meta["represents"] not in learners:
            raise ValueError("no learner to represent rows")
        return cls(
            learners, rests_on, stack, frequency, evidence, meta["represents"], meta.get("encoded", ())
        )


def _spreads(tensors: Mapping[str, torch.Tensor], shape: tuple[int, int]) -> tuple[Spread, ...]:
    """The spread of each learner; none in a model of before margins were standardised."""
    if "means" not in tensors:
        return ()
    means, deviations = tensors["means"].numpy(), tensors["deviations"].numpy()
    fine = np.isfinite(means).all() and (np.isfinite(deviations) & (deviations > 0)).all()
    if means.shape != shape or deviations.shape != shape or not fine:
        raise ValueError("spreads of other learners or labels, or none")
    return tuple(Spread(mean, deviation) for mean, deviation in zip(means, deviations, strict=True))
