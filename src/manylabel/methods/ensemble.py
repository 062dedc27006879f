"""Several members of one method, trained from different seeds, whose probabilities are averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np

from manylabel import files
from manylabel.data import Rows
from manylabel.data.rows import Features
from manylabel.methods.base import MOST_SEED, Order, Trainer, check_seed
from manylabel.methods.part import Opened, Part, Scorer
from manylabel.training import Listener, Progress


def fit_members(trainer: Trainer, train: Rows, validation: Rows, order: Order) -> EnsembleScorer:
    """Train ``settings.members`` members; member k of seed s has the seed ``1000 s + k``."""
    check_seed(f"method {trainer.name}", order.seed, MOST_SEED // 1000 - 1)
    n = trainer.settings.members
    place = None if order.folder is None else files.as_path(order.folder, f"method {trainer.name}, folder")
    members = []
    for k in range(n):
        own = replace(
            order,
            seed=1000 * order.seed + k,
            folder=None if place is None else place / f"member-{k}",
            progress=None if order.progress is None else _numbered(order.progress, k, n),
        )
        members.append(trainer.fit(train, validation, own))
    return EnsembleScorer(members)


def _numbered(progress: Listener, k: int, members: int) -> Listener:
    """Tells of the stages of one member as some of those of all."""

    def tell(told: Progress) -> None:
        stages = tuple(f"{stage} {i + 1}/{members}" for i in range(members) for stage in told.stages)
        progress(replace(told, stage=f"{told.stage} {k + 1}/{members}", stages=stages))

    return tell


class EnsembleScorer:
    """Scorers whose probabilities are averaged; see :class:`manylabel.methods.Scorer`.

    Parameters
    ----------
    members : sequence of Scorer
    """

    part_type: ClassVar[str] = "ensemble"

    def __init__(self, members: Sequence[Scorer]) -> None:
        self.members = tuple(members)

    @property
    def n_labels(self) -> int:
        return self.members[0].n_labels

    @property
    def embeds_features(self) -> bool:
        return all(member.embeds_features for member in self.members)

    def scores(self, X: Features) -> np.ndarray[Any, Any]:
        """The mean of the members' probabilities, (n, n_labels) float32."""
        mean: np.ndarray[Any, Any] = np.mean([member.scores(X) for member in self.members], axis=0)
        return mean.astype(np.float32)

    def embed(self, X: Features) -> np.ndarray[Any, Any]:
        """The members' representations side by side, (n, sum of H) float32."""
        return np.concatenate([member.embed(X) for member in self.members], axis=1)

    def part(self) -> Part:
        """The parts of the members, in their order."""
        members = {f"member-{k}": member.part() for k, member in enumerate(self.members)}
        return Part(self.part_type, {"members": len(members)}, parts=members)

    @classmethod
    def restore(cls, opened: Opened) -> Self:
        """The scorer of a part."""
        made = cls([opened.scorers[f"member-{k}"] for k in range(opened.meta["members"])])
        if {member.n_labels for member in made.members} != {made.n_labels}:
            raise ValueError("members of different numbers of labels")
        return made
