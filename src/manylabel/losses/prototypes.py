"""Losses with a learnable prototype per label: proto, MSC (ABALONE), REG, and REG without its regulariser.

Prototypes ``P`` (C, D) are the third argument: ``loss(z, Y, prototypes)``. They are normalised like the
embeddings and always get a gradient. A prototype carries its own label and no other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix, Labels, OneLabel
from manylabel.losses.batch import EPS, Batch, check_embeddings, read_batch, reduce
from manylabel.losses.module import PrototypeLoss
from manylabel.losses.precision import exact
from manylabel.losses.settings import real
from manylabel.losses.shares import EqualShares, SharedUnits, Shares, equal_label_weights
from manylabel.losses.softmax import Engine, LabelWeights, PairWeights, contrast

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


@exact
def proto(
    z: Tensor,
    Y: Labels,
    prototypes: Tensor,
    *,
    temperature: float | Tensor = 0.1,
    reduction: str = "mean",
    normalize: bool = True,
    engine: str | Engine = "auto",
    group: ProcessGroup | None = None,
) -> Tensor:
    """Prototypes as the only candidates; see :class:`Proto`."""
    batch, prototypes = _read("Proto", z, Y, prototypes, group=group)
    counts = batch.Y.row_counts(batch.dtype)  # (B,)
    own_label = OneLabel(torch.arange(batch.Y.n_labels, device=z.device), batch.Y.n_labels, trusted=True)
    weights = LabelWeights(batch.Y, counts.new_ones(batch.Y.n_labels), own_label, counts)
    values, _ = contrast(
        batch.z, prototypes, weights, temperature=temperature, normalize=normalize, engine=engine
    )
    return reduce(values / counts.clamp(min=1), reduction, (counts > 0).sum(), engine, batch.shard)


@exact
def msc(
    z: Tensor,
    Y: Labels,
    prototypes: Tensor,
    keys: Tensor | None = None,
    Y_keys: Labels | None = None,
    *,
    alpha: float = 1.0,
    beta: float = 0.1,
    temperature: float | Tensor = 0.1,
    reduction: str = "mean",
    normalize: bool = True,
    engine: str | Engine = "auto",
    group: ProcessGroup | None = None,
) -> Tensor:
    """MSC (ABALONE); see :class:`MSC`."""
    alpha = real("MSC", "alpha", alpha, least=0.0)
    beta = real("MSC", "beta", beta, least=0.0)
    batch, prototypes = _read("MSC", z, Y, prototypes, keys, Y_keys, group)
    z = batch.z
    samples = replace(batch, keys=None, T=batch.Y, own=0).spread()
    candidates, T, own = [z if samples.keys is None else samples.keys], samples.T, samples.own or 0
    if keys is not None:
        more = batch.spread()
        assert more.keys is not None
        candidates, T = [*candidates, more.keys], T.followed_by(more.T)
    n_samples = T.n_rows
    weights = SharedUnits(batch.Y, T.with_identity(), n_samples, alpha, batch.dtype, own)
    multiplicity = torch.ones(n_samples + len(prototypes), dtype=batch.dtype, device=z.device)
    multiplicity[:n_samples] = beta
    values, totals = contrast(
        z,
        torch.cat([*candidates, prototypes]),
        weights,
        temperature=temperature,
        normalize=normalize,
        engine=engine,
        own=own,
        multiplicity=multiplicity,
    )
    divisor = weights.counts.clamp(min=1) + (0.0 if keys is None else EPS)
    return reduce(values / divisor, reduction, (totals > 0).sum(), engine, batch.shard)


@exact
def reg(
    z: Tensor,
    Y: Labels,
    prototypes: Tensor,
    *,
    alpha: float = 0.0,
    temperature: float | Tensor = 0.1,
    reduction: str = "mean",
    normalize: bool = True,
    engine: str | Engine = "auto",
    group: ProcessGroup | None = None,
) -> Tensor:
    """REG: no positive is ever pushed away; see :class:`REG`."""
    alpha = real("REG", "alpha", alpha)

    def weights(Y: LabelMatrix, T: LabelMatrix, dtype: torch.dtype, own: int) -> PairWeights:
        return Shares(Y, T, alpha, True, dtype, own) if alpha else EqualShares(Y, T, dtype)

    batch, prototypes = _read("REG", z, Y, prototypes, group=group)
    return _among_all(batch, prototypes, weights, temperature, reduction, normalize, engine)


@exact
def wrg(
    z: Tensor,
    Y: Labels,
    prototypes: Tensor,
    *,
    alpha: float = 0.0,
    temperature: float | Tensor = 0.1,
    reduction: str = "mean",
    normalize: bool = True,
    engine: str | Engine = "auto",
    group: ProcessGroup | None = None,
) -> Tensor:
    """REG without its regulariser; see :class:`WRG`."""
    alpha = real("WRG", "alpha", alpha)

    def weights(Y: LabelMatrix, T: LabelMatrix, dtype: torch.dtype, own: int) -> PairWeights:
        return Shares(Y, T, alpha, False, dtype, own) if alpha else equal_label_weights(Y, T, dtype)

    batch, prototypes = _read("WRG", z, Y, prototypes, group=group)
    return _among_all(batch, prototypes, weights, temperature, reduction, normalize, engine)


def _among_all(
    batch: Batch,
    prototypes: Tensor,
    make_weights: Callable[[LabelMatrix, LabelMatrix, torch.dtype, int], PairWeights],
    temperature: float | Tensor,
    reduction: str,
    normalize: bool,
    engine: str | Engine,
) -> Tensor:
    """Samples and prototypes, each against all the others; mean over those that have a positive.

    Over several ranks each one has the samples it holds and a share of the prototypes as anchors.
    """
    A, shard, n = batch.Y.with_identity(), batch.shard, len(batch.z)
    if shard is None:
        x, T, candidates, own = torch.cat([batch.z, prototypes]), A, None, 0
    else:
        part = shard.part(len(prototypes))
        x = torch.cat([batch.z, prototypes[part]])
        A = A.take(torch.cat([torch.arange(n), torch.arange(n + part.start, n + part.stop)]))
        T, candidates, own = shard.labels(A), shard.rows(x), shard.first(len(x))
    values, totals = contrast(
        x,
        candidates,
        make_weights(A, T, batch.dtype, own),
        temperature=temperature,
        normalize=normalize,
        engine=engine,
        own=own,
        uniform=reduction != "none",
    )
    return reduce(values, reduction, (totals > 0).sum(), engine, shard)


def _read(
    who: str,
    z: Tensor,
    Y: Labels,
    prototypes: Tensor,
    keys: Tensor | None = None,
    Y_keys: Labels | None = None,
    group: ProcessGroup | None = None,
) -> tuple[Batch, Tensor]:
    """The batch, and prototypes in its precision."""
    batch = read_batch(who, z, Y, keys, Y_keys, group=group)
    prototypes = check_embeddings(who, "prototypes", prototypes, beside=batch.z)
    want = (batch.Y.n_labels, z.shape[1])
    if tuple(prototypes.shape) != want:
        raise ManyLabelError(
            who,
            f"prototypes of shape {want}, one per label",
            str(tuple(prototypes.shape)),
            "Pass a (n_labels, D) parameter.",
        )
    return batch, prototypes


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

    Notes
    -----
    Divisor: the rows with labels; the others contribute 0 (NaN in the released code). A random encoder
    gives log C.

    References
    ----------
    A. Audibert, A. Gauffre, M.-R. Amini, "Multi-Label Contrastive Learning: A Comprehensive Study", 2024.
    """

    function = staticmethod(proto)


class MSC(PrototypeLoss):
    """MSC, also called ABALONE: samples and prototypes share the weight of each label.

    ::

        G_abc = alpha Y_ac Y_bc / |y_a or y_b|          for other samples b
        w_ab  = sum_c G_abc / (Y_ac + sum_b G_abc),     w_ac = Y_ac / (Y_ac + sum_b G_abc) for the prototype
        of c log p_ar = s_ar/tau - log( beta sum_b exp(s_ab/tau) + sum_c exp(z_a.p_c/tau) )
        L = mean_a (1/|y_a|) ( - sum_r w_ar log p_ar )

    Parameters
    ----------
    alpha : float, default 1
        Share of the samples in the positives.
    beta : float, default 0.1
        Share of the samples in the denominator.
    temperature, reduction, normalize, engine, group
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

    function = staticmethod(msc)

    def __init__(
        self,
        alpha: float = 1.0,
        beta: float = 0.1,
        temperature: float | Tensor = 0.1,
        reduction: str = "mean",
        normalize: bool = True,
        engine: str | Engine = "auto",
        group: ProcessGroup | None = None,
    ) -> None:
        super().__init__(temperature, reduction, normalize, engine, group)
        self.alpha, self.beta = (real("MSC", w, v, least=0.0) for w, v in (("alpha", alpha), ("beta", beta)))

    def forward(
        self,
        z: Tensor,
        Y: Labels,
        prototypes: Tensor,
        keys: Tensor | None = None,
        Y_keys: Labels | None = None,
    ) -> Tensor:
        """The loss of anchors ``z`` (B, D) with labels ``Y``, prototypes (C, D), more samples ``keys``."""
        return msc(z, Y, prototypes, keys, Y_keys, **self.settings())

    def settings(self) -> dict[str, Any]:
        """The keyword arguments of the function."""
        return {"alpha": self.alpha, "beta": self.beta, **super().settings()}


class WRG(PrototypeLoss):
    """REG without its regulariser: samples and prototypes, each an anchor and a candidate of all the others.

    ::

        F_ab = (|y_a and y_b| / |y_b|)^alpha,  or for alpha < 0: 1 where y_b lies within y_a, else 0;   F_aa
        = 0 w_ab = (1/|y_a|) F_ab sum_c A_ac A_bc / n_ac,   n_ac = sum_b F_ab A_bc
        L    = (1/M) sum_a - sum_b w_ab log p_ab

    Parameters
    ----------
    alpha : float, default 0
        How much the share of the candidate's labels that the anchor has counts; negative for the hard rule.
    temperature, reduction, normalize, engine, group
        As in :class:`Proto`. ``reduction="none"`` gives a value per sample, then per prototype, (B + C,); over
        several ranks, per sample of this rank and per prototype of its share.

    Notes
    -----
    Divisor: M, the anchors with a positive. A prototype whose label no sample carries has none.
    """

    function = staticmethod(wrg)

    def __init__(
        self,
        alpha: float = 0.0,
        temperature: float | Tensor = 0.1,
        reduction: str = "mean",
        normalize: bool = True,
        engine: str | Engine = "auto",
        group: ProcessGroup | None = None,
    ) -> None:
        super().__init__(temperature, reduction, normalize, engine, group)
        self.alpha = real(type(self).__name__, "alpha", alpha)

    def settings(self) -> dict[str, Any]:
        """The keyword arguments of the function."""
        return {"alpha": self.alpha, **super().settings()}


class REG(WRG):
    """REG: like :class:`WRG`, but a positive that is already close is not pushed away.

    ::

        r_ab = max(p_ab - w_ab, 0) where w_ab > 0, a constant
        L    = (1/M) sum_a sum_b [ - w_ab log p_ab - r_ab s_ab / tau ]

    so that ``dL/ds_ab = min(p_ab - w_ab, 0) / (M tau)`` for positives and ``p_ab / (M tau)`` for the others.

    Parameters and divisor as in :class:`WRG`.

    References
    ----------
    A. Audibert, A. Gauffre, M.-R. Amini, "Multi-Label Contrastive Learning: A Comprehensive Study", 2024.
    Rows without labels give NaN in the released code; here they are negatives only.
    """

    function = staticmethod(reg)
