"""Debiased contrastive loss: the other view of a row is its only positive, and labels weigh the negatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from manylabel.errors import ManyLabelError
from manylabel.kernels.transforms import transformed
from manylabel.labels import match_groups
from manylabel.losses.base import Batch, read_batch
from manylabel.losses.contrastive import ContrastiveLoss
from manylabel.losses.softmax import PairWeights
from manylabel.losses.supcon import in_groups, label_weights

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


@dataclass
class Views(Batch):
    """Anchors and candidates of which each pair of views has a number, (B,) and (N,) int64; B stands for none."""

    numbers: tuple[Tensor, Tensor] | None = None


class Debiased(ContrastiveLoss):
    """The other view of an anchor against all candidates, which weigh the more, the fewer labels they share with it.

    ::

        L_i  = - s_ii' / tau + log sum_a v_ia exp(s_ia / tau)
        v_ia = 2 - |y_i and y_a| / max(|y_i|, |y_a|)
        L    = sum_i L_i / B

    Key i is the other view of anchor i; of B keys or more, those from B on are further candidates. Without keys the
    second half of the batch holds the other views of the first. ``v_ii' = 1``.

    Parameters
    ----------
    negatives : "label_aware" or "alike", default "label_aware"
        "alike" is the loss without labels of SimCLR and MoCo.
    temperature, reduction, normalize, engine, group, unknown, frequency_power
        As in :class:`~manylabel.losses.MulSupCon`.

    Notes
    -----
    Divisor: the number of anchors. An anchor without labels counts: its other view weighs 1, all others 2.

    Raises
    ------
    ManyLabelError
        If there are fewer keys than anchors or rows without a second view, or the two views of a row have not equally
        many labels.

    References
    ----------
    P. Cheng et al., "Multi-label text classification with debiased neighbours", arXiv 2408.03202, 2024.
    """

    who = "Debiased"

    def __init__(
        self,
        temperature: float | Tensor = 0.1,
        reduction: str = "mean",
        normalize: bool = True,
        engine: str = "auto",
        group: ProcessGroup | None = None,
        unknown: str = "keep",
        negatives: str = "label_aware",
        frequency_power: float = 0.0,
    ) -> None:
        super().__init__(
            temperature, reduction, normalize, engine, group, unknown, negatives, frequency_power
        )

    def read(self, *arguments: Any) -> Batch:
        batch = read_batch(self.who, *arguments, binary=self.binary, group=self.group)
        n, device, shard = len(batch.z), batch.z.device, batch.shard
        self._check_views(batch)
        numbers = torch.arange(n, device=device) + (0 if shard is None else shard.first(n))
        if batch.keys is None:
            of_keys = numbers = numbers[: n // 2].repeat(2)
        else:
            of_keys = numbers.new_full((len(batch.keys),), -1)
            of_keys[:n] = numbers
        if shard is not None:
            batch, of_keys = batch.gather(), shard.rows(of_keys)
        pairs = match_groups(numbers, of_keys)
        return Views(batch.z, batch.Y, batch.keys, batch.T, batch.self_offset, shard, numbers=pairs)

    def _check_views(self, batch: Batch) -> None:
        """Refuse rows of which the other view is not where it should be."""
        n = len(batch.z)
        if batch.keys is None:
            if n % 2:
                hint = "Pass the first views of all rows, then their second views."
                raise ManyLabelError(
                    self.who, "two views of each row in a batch without keys", f"{n} rows", hint
                )
            first, second = batch.Y.take(slice(0, n // 2)), batch.Y.take(slice(n // 2, n))
        else:
            if len(batch.keys) < n:
                expected, got = (
                    f"the other views of {n} anchors first among the keys",
                    f"{len(batch.keys)} keys",
                )
                raise ManyLabelError(self.who, expected, got, "Pass a second view of every anchor as a key.")
            first, second = batch.Y, batch.T.take(slice(0, n))
        if torch.compiler.is_compiling() or transformed():
            return
        differ = int((first.row_counts() != second.row_counts()).sum())
        if differ:
            hint = "Key i is the other view of anchor i, without keys row n/2 + i that of row i."
            raise ManyLabelError(
                self.who, "as many labels on both views of a row", f"{differ} rows with others", hint
            )

    def weights(self, batch: Batch) -> PairWeights:
        assert isinstance(batch, Views)
        assert batch.numbers is not None
        return label_weights(in_groups(batch, *batch.numbers))

    def vary(self, batch: Batch, weights: PairWeights) -> Tensor | None:
        factors = super().vary(batch, weights)
        if weights.negatives is not None:
            weights.negatives.ones = weights
        return factors
