"""Losses of anchors against candidates: labels in the denominator, temperature by the frequency of labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from manylabel.labels import Labels
from manylabel.losses.base import Batch, PairLoss, read_batch
from manylabel.losses.settings import choice, real
from manylabel.losses.softmax import LabelAware, PairWeights

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

NEGATIVES = ("alike", "label_aware")


class ContrastiveLoss(PairLoss):
    """A loss of anchors against candidates, or of a batch against itself.

    ::

        lse_i = log sum_a v_ia exp(s_ia / tau_i)
        v_ia  = 2 - |y_i and y_a| / max(|y_i|, |y_a|)
        tau_i = tau f_i^gamma
        f_i   = min_{j in y_i} n_j / N_j

    Parameters
    ----------
    temperature, reduction, normalize, engine, group, unknown
        As in :class:`~manylabel.losses.MulSupCon`.
    negatives : "alike" or "label_aware", default "alike"
        What candidates weigh in the denominator: all 1, or ``v_ia``, the more, the fewer labels they share.
    frequency_power : float, default 0
        ``gamma``, from -1 to 1: above 0 anchors with a rare label have a lower temperature, below 0 a higher one.

    Notes
    -----
    ``n_j`` counts the candidates with label j among the ``N_j`` on which it is known, in a batch the anchor too, soft
    labels as weights. Labels that no candidate carries are left out of the minimum; ``f_i = 1`` where none is left.
    """

    def __init__(
        self,
        temperature: float | Tensor = 0.1,
        reduction: str = "mean",
        normalize: bool = True,
        engine: str = "auto",
        group: ProcessGroup | None = None,
        unknown: str = "keep",
        negatives: str = "alike",
        frequency_power: float = 0.0,
    ) -> None:
        super().__init__(temperature, reduction, normalize, engine, group, unknown)
        choice(type(self).__name__, "negatives", negatives, NEGATIVES)
        self.negatives = negatives
        self.frequency_power = _power(type(self).__name__, frequency_power)

    def extra_repr(self) -> str:
        usual = {"negatives": "alike", "frequency_power": 0.0}
        changed = (f", {name}={getattr(self, name)}" for name, v in usual.items() if getattr(self, name) != v)
        return super().extra_repr() + "".join(changed)

    def forward(
        self,
        z: Tensor,
        Y: Labels,
        keys: Tensor | None = None,
        Y_keys: Labels | None = None,
        *,
        sample_weight: Tensor | None = None,
    ) -> Tensor:
        """The loss of anchors ``z`` (B, D) with labels ``Y``, against ``keys`` or against each other."""
        return self._computed(z, Y, keys, Y_keys, sample_weight=sample_weight)

    def read(self, *arguments: Any) -> Batch:
        batch = read_batch(self.who, *arguments, binary=self.binary, group=self.group)
        return batch if batch.shard is None else batch.gather()

    def vary(self, batch: Batch, weights: PairWeights) -> Tensor | None:
        if self.negatives != "alike":
            choice(self.who, "negatives", self.negatives, NEGATIVES)
            weights.negatives = LabelAware(batch.Y, batch.T, batch.dtype)
        return rarity(batch, -_power(self.who, self.frequency_power)) if self.frequency_power else None


def rarity(batch: Batch, power: float) -> Tensor:
    """``f_i^power``, ``f_i`` the share of candidates that carry the rarest label of anchor i, (B,)."""
    T, n = batch.T, batch.T.label_counts(batch.dtype).detach()  # (C,)
    of_known = len(T) - T.unknown.label_counts(batch.dtype) if T.has_unknown else torch.full_like(n, len(T))
    share = torch.where(n > 0, n / of_known.clamp(min=1), 1)
    if torch.compiler.is_compiling():  # lists would break the graph
        return torch.where(batch.Y.dense(torch.bool), share, 1).amin(1).pow(power)
    Y = batch.Y.sparse()
    rarest = share.new_ones(len(Y)).scatter_reduce(0, Y.rows.long(), share[Y.columns.long()], "amin")
    return rarest.pow(power)


def _power(who: str, power: Any) -> float:
    return real(who, "frequency_power", power, least=-1.0, most=1.0)
