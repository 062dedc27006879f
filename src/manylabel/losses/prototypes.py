"""Losses with a learnable prototype per label: proto, MSC (ABALONE), REG, and REG without its regulariser.

Prototypes ``P`` (C, D) are the third argument: ``loss(z, Y, prototypes)``. They are normalised like the
embeddings and always get a gradient. A prototype carries its own label and no other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from manylabel.labels import Labels, SingleLabel
from manylabel.losses.base import EPS, Batch, PrototypeLoss
from manylabel.losses.prototype_weights import EqualREGWeights, MSCWeights, REGWeights, equal_label_weights
from manylabel.losses.settings import real
from manylabel.losses.softmax import LabelWeights, PairWeights

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

AnyBatch = TypeVar("AnyBatch", bound=Batch)


class Proto(PrototypeLoss):
    """Cross entropy between the softmax over prototypes and the uniform distribution on the anchor's labels.

    ::

        L_i = logsumexp_c(z_i . p_c / tau) - (1/|y_i|) sum_{c in y_i} z_i . p_c / tau

    Parameters
    ----------
    temperature : float, default 0.1
    reduction : "mean", "sum" or "none", default "mean"
        "none" gives ``L_i``, (B,), and the attribute ``divisor`` what "mean" would have divided their sum by.
    normalize : bool, default True
    engine : "auto", "dense", "streamed" or "flash", default "auto"
    group : torch.distributed.ProcessGroup, optional
        The ranks that hold the batch together; every rank passes the same prototypes.
    unknown : "keep" or "leave_out", default "keep"
        As in :class:`~manylabel.losses.MulSupCon`, between samples; here there are none. The prototype of a label that
        is unknown on the anchor leaves its denominator in any case.

    Notes
    -----
    Divisor: the rows with labels; the others contribute 0 (NaN in the released code). A random encoder
    gives log C.

    References
    ----------
    A. Audibert, A. Gauffre, M.-R. Amini, "Multi-Label Contrastive Learning: A Comprehensive Study", 2024.
    """

    who = "Proto"

    def read(self, *arguments: Any) -> Batch:
        batch, prototypes = self.read_with_prototypes(*arguments)
        ids = torch.arange(len(prototypes), device=batch.z.device)
        T = SingleLabel(ids, len(prototypes), trusted=True)  # a prototype has its own label
        batch = replace(batch, keys=prototypes, T=T, self_offset=None)
        return prototypes_from(batch, len(batch.z), 0)

    def weights(self, batch: Batch) -> PairWeights:
        counts = batch.Y.row_counts(batch.dtype)  # (B,)
        return LabelWeights(batch.Y, counts.new_ones(batch.Y.n_labels), batch.T, counts)

    def per_anchor(self, batch: Batch, totals: Tensor) -> Tensor:
        return totals.clamp(min=1)


def prototypes_from(batch: AnyBatch, n_anchors: int, n_candidates: int) -> AnyBatch:
    """The same batch; where labels may be unknown, it knows that those from so many on are prototypes."""
    if not batch.has_unknown:
        return batch
    anchors, candidates = (torch.arange(len(m), device=batch.z.device) for m in (batch.Y, batch.T))
    return replace(batch, prototypes=(anchors >= n_anchors, candidates >= n_candidates))


@dataclass
class MSCBatch(Batch):
    """Samples against samples, keys if there are any, and prototypes, in this order."""

    keyed: bool = False


class MSC(PrototypeLoss):
    """MSC, also called ABALONE: samples and prototypes share the weight of each label.

    ::

        G_abc = alpha Y_ac Y_bc / |y_a or y_b|                  for every other sample b
        Dn_ac = Y_ac + sum_b G_abc
        w_ab  = sum_c G_abc / (Dn_ac + 1e-8),   w_ac = Y_ac / (Dn_ac + 1e-8) for the prototype of c
        log p_ar = s_ar / tau - log(beta sum_b exp(s_ab / tau) + sum_c exp(z_a . p_c / tau))
        L     = mean_a (1/|y_a|) (- sum_r w_ar log p_ar)

    Parameters
    ----------
    alpha : float, default 1
        Share of the samples in the positives.
    beta : float, default 0.1
        Share of the samples in the denominator.
    temperature, reduction, normalize, engine, group, unknown
        As in :class:`Proto`.

    Notes
    -----
    ``keys`` (with ``Y_keys``) are further samples: keys of a momentum encoder, the anchor's own among them,
    and those of a queue. Divisor: the rows with labels; the others are negatives only. 1e-8 is added to the
    denominators of the weights, and to ``|y_a|`` where there are keys, as in the released code.

    References
    ----------
    A. Audibert, A. Gauffre, M.-R. Amini, "Exploring Contrastive Learning for Long-Tailed Multi-Label Text
    Classification", ECML-PKDD 2024.
    """

    who = "MSC"
    shown = ("alpha", "beta", *PrototypeLoss.shown)

    def __init__(
        self,
        alpha: float = 1.0,
        beta: float = 0.1,
        temperature: float | Tensor = 0.1,
        reduction: str = "mean",
        normalize: bool = True,
        engine: str = "auto",
        group: ProcessGroup | None = None,
        unknown: str = "keep",
    ) -> None:
        super().__init__(temperature, reduction, normalize, engine, group, unknown)
        self.alpha, self.beta = (real("MSC", w, v, least=0.0) for w, v in (("alpha", alpha), ("beta", beta)))

    def forward(
        self,
        z: Tensor,
        Y: Labels,
        prototypes: Tensor,
        keys: Tensor | None = None,
        Y_keys: Labels | None = None,
        *,
        sample_weight: Tensor | None = None,
    ) -> Tensor:
        """The loss of anchors ``z`` (B, D) with labels ``Y``, prototypes (C, D), more samples ``keys``."""
        return self._computed(z, Y, prototypes, keys, Y_keys, sample_weight=sample_weight)

    def read(self, *arguments: Any) -> MSCBatch:
        batch, prototypes = self.read_with_prototypes(*arguments)
        keyed = not batch.in_batch
        samples = replace(batch, keys=None, T=batch.Y, self_offset=0).gather()
        candidates, T = [batch.z if samples.keys is None else samples.keys], samples.T
        if keyed:
            more = batch.gather()
            assert more.keys is not None
            candidates, T = [*candidates, more.keys], T.concat(more.T)
        multiplicity = torch.ones(T.n_rows + len(prototypes), dtype=batch.dtype, device=batch.z.device)
        multiplicity[: T.n_rows] = real("MSC", "beta", self.beta, least=0.0)
        keys, T = torch.cat([*candidates, prototypes]), T.with_identity()
        n_samples = T.n_rows - len(prototypes)
        found = MSCBatch(
            batch.z, batch.Y, keys, T, samples.self_offset, batch.shard, multiplicity, keyed=keyed
        )
        return prototypes_from(found, len(batch.z), n_samples)

    def weights(self, batch: Batch) -> PairWeights:
        alpha = real("MSC", "alpha", self.alpha, least=0.0)
        n_samples = batch.T.n_rows - batch.T.n_labels
        return MSCWeights(batch.Y, batch.T, n_samples, alpha, batch.dtype, batch.self_offset or 0)

    def per_anchor(self, batch: Batch, totals: Tensor) -> Tensor:
        assert isinstance(batch, MSCBatch)
        return batch.Y.row_counts(batch.dtype).clamp(min=1) + (EPS if batch.keyed else 0.0)


class WRG(PrototypeLoss):
    """REG without its regulariser: samples and prototypes, each an anchor and a candidate of all the others.

    ::

        L = (1/M) sum_a - sum_b w_ab log p_ab,   w_ab as in reg

    Parameters
    ----------
    alpha : float, default 0
        How much the share of the candidate's labels that the anchor has counts; negative for the hard rule.
    temperature, reduction, normalize, engine, group, unknown
        As in :class:`Proto`. ``reduction="none"`` gives a value per sample, then per prototype, (B + C,); over
        several ranks, per sample of this rank and per prototype of its share.

    Notes
    -----
    Divisor: M, the anchors with a positive. A prototype whose label no sample carries has none.
    """

    who, shown = "WRG", ("alpha", *PrototypeLoss.shown)

    def __init__(
        self,
        alpha: float = 0.0,
        temperature: float | Tensor = 0.1,
        reduction: str = "mean",
        normalize: bool = True,
        engine: str = "auto",
        group: ProcessGroup | None = None,
        unknown: str = "keep",
    ) -> None:
        super().__init__(temperature, reduction, normalize, engine, group, unknown)
        self.alpha = real(type(self).__name__, "alpha", alpha)

    def read(self, *arguments: Any) -> Batch:
        """Samples and prototypes, each against all the others.

        Over several ranks each one has the samples it holds and a share of the prototypes as anchors.
        """
        batch, prototypes = self.read_with_prototypes(*arguments)
        A, shard, n = batch.Y.with_identity(), batch.shard, len(batch.z)
        if shard is None:
            return prototypes_from(Batch(torch.cat([batch.z, prototypes]), A, None, A, 0), n, n)
        part = shard.part(len(prototypes))
        x = torch.cat([batch.z, prototypes[part]])
        A = A.take(torch.cat([torch.arange(n), torch.arange(n + part.start, n + part.stop)]))
        found = Batch(x, A, None, A, 0, shard).gather()
        if not found.T.has_unknown:
            return found
        own = torch.arange(len(x), device=x.device) >= n
        return replace(found, prototypes=(own, shard.rows(own.float()) > 0))

    def weights(self, batch: Batch) -> PairWeights:
        return self._weights(batch, regularised=False) or equal_label_weights(batch.Y, batch.T, batch.dtype)

    def _weights(self, batch: Batch, regularised: bool) -> PairWeights | None:
        """Those of alpha other than 0."""
        alpha = real(self.who, "alpha", self.alpha)
        if not alpha:
            return None
        return REGWeights(batch.Y, batch.T, alpha, regularised, batch.dtype, batch.self_offset or 0)


class REG(WRG):
    """REG: like :class:`WRG`, but a positive that is already close is not pushed away.

    ::

        F_ab = (|y_a and y_b| / |y_b|)^alpha,   or for alpha < 0: 1 where y_b lies within y_a, else 0;   F_aa = 0
        n_ac = A_ac sum_b F_ab A_bc         A: labels of samples, then of prototypes (their own only)
        w_ab = (1/|y_a|) F_ab sum_c A_ac A_bc / (n_ac + 1e-8)
        r_ab = max(p_ab - w_ab, 0) where w_ab > 0, a constant
        L    = (1/M) sum_a sum_b [ - w_ab log p_ab - r_ab s_ab / tau ]

    so that ``dL/ds_ab = min(p_ab - w_ab, 0) / (M tau)`` for positives and ``p_ab / (M tau)`` for the others.

    Parameters and divisor as in :class:`WRG`.

    References
    ----------
    A. Audibert, A. Gauffre, M.-R. Amini, "Multi-Label Contrastive Learning: A Comprehensive Study", 2024.
    Rows without labels give NaN in the released code; here they are negatives only.
    """

    who = "REG"

    def weights(self, batch: Batch) -> PairWeights:
        return self._weights(batch, regularised=True) or EqualREGWeights(batch.Y, batch.T, batch.dtype)
