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
from manylabel.losses.softmax import Engine, LabelWeights, Overlaps, PairWeights, TileWeights, contrast
from manylabel.losses.softmax.job import without_own
from manylabel.losses.softmax.rows import tile_shape, tiles

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup


@exact
def proto(
    z: Tensor,
    Y: Labels,
    prototypes: Tensor,
    *,
    temperature: float = 0.1,
    reduction: str = "mean",
    normalize: bool = True,
    engine: str | Engine = "auto",
    group: ProcessGroup | None = None,
) -> Tensor:
    """Prototypes as the only candidates; see :class:`Proto`."""
    batch = _read("Proto", z, Y, prototypes, group=group)
    counts = batch.Y.row_counts(batch.dtype)  # (B,)
    own_label = OneLabel(torch.arange(batch.Y.n_labels, device=z.device), batch.Y.n_labels)
    weights = LabelWeights(batch.Y, torch.ones_like(counts[:1]).expand(batch.Y.n_labels), own_label, counts)
    values, _ = contrast(z, prototypes, weights, temperature=temperature, normalize=normalize, engine=engine)
    return reduce(values / counts.clamp(min=1), reduction, (counts > 0).sum(), batch.shard)


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
    temperature: float = 0.1,
    reduction: str = "mean",
    normalize: bool = True,
    engine: str | Engine = "auto",
    group: ProcessGroup | None = None,
) -> Tensor:
    """MSC (ABALONE); see :class:`MSC`."""
    batch = _read("MSC", z, Y, prototypes, keys, Y_keys, group)
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
    return reduce(values / divisor, reduction, (totals > 0).sum(), batch.shard)


@exact
def reg(
    z: Tensor,
    Y: Labels,
    prototypes: Tensor,
    *,
    alpha: float = 0.0,
    temperature: float = 0.1,
    reduction: str = "mean",
    normalize: bool = True,
    engine: str | Engine = "auto",
    group: ProcessGroup | None = None,
) -> Tensor:
    """REG: no positive is ever pushed away; see :class:`REG`."""

    def weights(A: LabelMatrix, dtype: torch.dtype) -> PairWeights:
        return Shares(A, alpha, True, dtype) if alpha else EqualShares(A, dtype)

    batch = _read("REG", z, Y, prototypes, group=group)
    return _among_all(batch, prototypes, weights, temperature, reduction, normalize, engine)


@exact
def wrg(
    z: Tensor,
    Y: Labels,
    prototypes: Tensor,
    *,
    alpha: float = 0.0,
    temperature: float = 0.1,
    reduction: str = "mean",
    normalize: bool = True,
    engine: str | Engine = "auto",
    group: ProcessGroup | None = None,
) -> Tensor:
    """REG without its regulariser; see :class:`WRG`."""

    def weights(A: LabelMatrix, dtype: torch.dtype) -> PairWeights:
        return Shares(A, alpha, False, dtype) if alpha else _label_weights(A, dtype)

    batch = _read("WRG", z, Y, prototypes, group=group)
    return _among_all(batch, prototypes, weights, temperature, reduction, normalize, engine)


def _among_all(
    batch: Batch,
    prototypes: Tensor,
    make_weights: Callable[[LabelMatrix, torch.dtype], PairWeights],
    temperature: float,
    reduction: str,
    normalize: bool,
    engine: str | Engine,
) -> Tensor:
    """Samples and prototypes, each against all the others; mean over those that have a positive.

    Over several ranks each one adds up the anchors it holds and a share of the prototypes, though it visits
    the pairs of all: their weights are made from both sides at once.
    """
    x, A, own, shard = batch.z, batch.Y.with_identity(), slice(None), batch.shard
    if shard is None:
        x = torch.cat([x, prototypes])
    else:
        n, part = len(x), shard.part(len(prototypes))
        index = torch.arange(len(A), device=x.device)
        A = shard.labels(A.take(torch.cat([index[:n], index[n:][part]])))
        local = torch.cat([x, prototypes[part]])
        first = shard.first(len(local))
        x, own = shard.rows(local), slice(first, first + len(local))
    values, totals = contrast(
        x,
        None,
        make_weights(A, batch.dtype),
        temperature=temperature,
        normalize=normalize,
        engine=engine,
        uniform=reduction != "none" and shard is None,
    )
    return reduce(values[own], reduction, (totals[own] > 0).sum(), shard)


def _label_weights(A: LabelMatrix, dtype: torch.dtype) -> LabelWeights:
    """The weights of :class:`EqualShares` where no pair need be looked at."""
    per_label, part, totals = equal_shares(A, dtype)
    left = A.with_entries(_present(A, A.spread_rows(part)) * A.spread_rows(part))
    return LabelWeights(left, per_label, A, totals, part * A.row_sums(per_label[:, None]).squeeze(1))


def _read(
    who: str,
    z: Tensor,
    Y: Labels,
    prototypes: Tensor,
    keys: Tensor | None = None,
    Y_keys: Labels | None = None,
    group: ProcessGroup | None = None,
) -> Batch:
    batch = read_batch(who, z, Y, keys, Y_keys, group=group)
    check_embeddings(who, "prototypes", prototypes)
    want = (batch.Y.n_labels, z.shape[1])
    if tuple(prototypes.shape) != want:
        raise ManyLabelError(
            who,
            f"prototypes of shape {want}, one per label",
            str(tuple(prototypes.shape)),
            "Pass a (n_labels, D) parameter.",
        )
    return batch


class OverlapWeights(TileWeights):
    """``w_ia = f_ia sum_c R_ic T_ac``, ``R_ic = Y_ic / (n_ic + EPS)``, ``n_ic`` a sum of ``f_ia T_ac``.

    Every label of an anchor hands out one unit of weight among the candidates that carry it, in shares ``f``.
    """

    counts: Tensor  # (B,) labels of the anchors
    other_counts: Tensor  # (N,) labels of the candidates
    given: Overlaps  # sum_c R_ic T_ac

    def __init__(self, Y: LabelMatrix, T: LabelMatrix, dtype: torch.dtype, own: int = 0) -> None:
        self.Y, self.T, self.own = Y, T, own
        self.counts, self.other_counts = Y.row_counts(dtype), T.row_counts(dtype)
        self.shared = Overlaps(Y, T)

    def share(self, shared: Tensor, counts: Tensor, other_counts: Tensor, columns: slice) -> Tensor:
        """``f_ia`` from intersections (m, n) and label counts (m,), (n,); may overwrite the intersections."""
        raise NotImplementedError

    def carried(self) -> Tensor:
        """``sum_a f_ia T_ac`` at the entries of Y, own pairs left out; a block of rows at a time."""
        dtype = self.counts.dtype
        height, width = tile_shape(self.Y.n_rows, self.T.n_rows, self.Y.device)
        candidates = [(c, self.T.take(c)) for c in tiles(0, self.T.n_rows, width)]
        parts = []
        for rows in tiles(0, self.Y.n_rows, height):
            Y = self.Y.take(rows)
            sums = torch.zeros(self.Y.n_labels, Y.n_rows, dtype=dtype, device=self.Y.device)
            for columns, T in candidates:
                shared = Y.row_sums(T.columns_first(dtype))
                f = self.share(shared, self.counts[rows], self.other_counts[columns], columns)
                sums += T.label_sums(without_own(f, rows, columns, self.own, 0.0).T.contiguous())
            parts.append(Y.pick(sums))
        return torch.cat(parts)

    def tile(self, rows: slice, columns: slice, dtype: torch.dtype) -> Tensor:
        shared = self.shared.tile(rows, columns, dtype)
        f = self.share(shared, self.counts[rows], self.other_counts[columns], columns)
        return f.mul_(self.given.tile(rows, columns, dtype))


class SharedUnits(OverlapWeights):
    """MSC: ``f_ia = alpha / |y_i or y_a|`` for samples and 1 for prototypes, which come last."""

    def __init__(
        self, Y: LabelMatrix, T: LabelMatrix, n_samples: int, alpha: float, dtype: torch.dtype, own: int
    ) -> None:
        super().__init__(Y, T, dtype, own)
        self.n_samples, self.alpha = n_samples, alpha
        carried = self.carried()
        present = _present(Y, carried)
        self.given = Overlaps(Y.with_entries(present / (carried + EPS)), T)

    def share(self, shared: Tensor, counts: Tensor, other_counts: Tensor, columns: slice) -> Tensor:
        union = counts[:, None] + other_counts - shared
        f = self.alpha / union.clamp_(min=1)
        f[:, max(self.n_samples - columns.start, 0) :] = 1.0
        return f


class Shares(OverlapWeights):
    """REG: ``f_ia = (|y_i and y_a| / |y_a|)^alpha``; if alpha < 0, whether ``y_a`` lies within ``y_i``."""

    def __init__(self, A: LabelMatrix, alpha: float, regularised: bool, dtype: torch.dtype) -> None:
        super().__init__(A, A, dtype)
        self.alpha, self.regularised = alpha, regularised
        carried = self.carried()
        R = _present(A, carried) / (carried + EPS) / A.spread_rows(self.counts.clamp(min=1))
        self.totals = A.with_entries(R * carried).row_counts(dtype)
        self.given = Overlaps(A.with_entries(R), A)
        self.taken = Overlaps(A, A.with_entries(R))

    def share(self, shared: Tensor, counts: Tensor, other_counts: Tensor, columns: slice) -> Tensor:
        if self.alpha < 0:
            return (shared == other_counts).to(shared.dtype)
        if self.alpha == 0:
            return torch.ones_like(shared)
        x = shared.div_(other_counts.clamp(min=1))
        return x if self.alpha == 1 else x.pow_(self.alpha)

    def both(self, rows: slice, columns: slice, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        shared = self.shared.tile(rows, columns, dtype)
        there = self.share(shared.clone(), self.counts[rows], self.counts[columns], columns)
        back = self.share(shared, self.counts[columns], self.counts[rows, None], rows)
        there.mul_(self.given.tile(rows, columns, dtype))
        return there, back.mul_(self.taken.tile(rows, columns, dtype))


class EqualShares(TileWeights):
    """REG with alpha = 0: ``w_ia = (1/|y_i|) sum_{c shared} 1 / (n_c - 1 + EPS)``; see :func:`equal_shares`."""

    regularised = True

    def __init__(self, A: LabelMatrix, dtype: torch.dtype) -> None:
        per_label, self.part, self.totals = equal_shares(A, dtype)
        self.shared = Overlaps(A, A, per_label)

    def tile(self, rows: slice, columns: slice, dtype: torch.dtype) -> Tensor:
        return self.shared.tile(rows, columns, dtype).mul_(self.part[rows, None])

    def both(self, rows: slice, columns: slice, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        shared = self.shared.tile(rows, columns, dtype)
        return shared * self.part[rows, None], shared.mul_(self.part[columns])


def equal_shares(A: LabelMatrix, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Where every carrier of a label gets the same share of it.

    Returns
    -------
    per_label : (C,)
        ``1 / (n_c - 1 + EPS)``, 0 where no other row carries the label.
    part : (n,)
        ``1 / |y_i|``.
    totals : (n,)
        ``W_i``.
    """
    others = A.label_counts(dtype) - 1
    per_label = (others > 0) / (others + EPS)
    part = A.row_counts(dtype).clamp(min=1).reciprocal()
    return per_label, part, part * A.row_sums((others * per_label)[:, None]).squeeze(1)


def _present(Y: LabelMatrix, like: Tensor) -> Tensor:
    """The stored entries of a binary matrix as numbers."""
    entries = Y.entries()
    return torch.ones_like(like) if entries is None else entries.to(like.dtype)


class Proto(PrototypeLoss):
    """Cross entropy between the softmax over prototypes and the uniform distribution on the anchor's labels.

    ::

        L_i = logsumexp_c(z_i . p_c / tau) - (1/|y_i|) sum_{c in y_i} z_i . p_c / tau

    Parameters
    ----------
    temperature : float, default 0.1
    reduction : "mean", "sum" or "none", default "mean"
        "none" gives ``L_i``, (B,).
    normalize : bool, default True
    engine : "auto", "dense" or "streamed", default "auto"

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
    temperature, reduction, normalize, engine
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
        temperature: float = 0.1,
        reduction: str = "mean",
        normalize: bool = True,
        engine: str | Engine = "auto",
        group: ProcessGroup | None = None,
    ) -> None:
        super().__init__(temperature, reduction, normalize, engine, group)
        self.alpha, self.beta = alpha, beta

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
    temperature, reduction, normalize, engine
        As in :class:`Proto`. ``reduction="none"`` gives a value per sample, then per prototype, (B + C,).

    Notes
    -----
    Divisor: M, the anchors with a positive. A prototype whose label no sample carries has none.
    """

    function = staticmethod(wrg)

    def __init__(
        self,
        alpha: float = 0.0,
        temperature: float = 0.1,
        reduction: str = "mean",
        normalize: bool = True,
        engine: str | Engine = "auto",
        group: ProcessGroup | None = None,
    ) -> None:
        super().__init__(temperature, reduction, normalize, engine, group)
        self.alpha = alpha

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
