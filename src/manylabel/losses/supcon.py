"""SupCon and its multi-label forms: ALL, ANY, MulSupCon, weighted MulSupCon, in-batch MulSupCon.

All of them take anchors ``z`` (B, D) with labels ``Y`` and either candidates ``keys`` (N, D) with labels
``Y_keys``, or none: then the batch is contrasted with itself and no anchor is its own candidate. ``s_ia``
is the inner product of anchor i and candidate a (of unit vectors with ``normalize=True``), ``lse_i =
logsumexp_a(s_ia / tau)``. A random encoder gives about ``log N`` for every one of them (N candidates of an
anchor).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix, Labels, SingleLabel, SparseLabels, as_labels, match_groups
from manylabel.labels.convert import tensor_or_sparse
from manylabel.losses.base import Batch, refuse_gradient
from manylabel.losses.contrastive import ContrastiveLoss
from manylabel.losses.softmax import LabelWeights, Overlaps, PairWeights, TileWeights

_MANY_LABELS = 1 << 14


def label_weights(batch: Batch) -> LabelWeights:
    """``w_ia = sum_j Y_ij T_aj / n_j``: ``L_i = sum_{j in y_i} [ lse_i - (1/n_j) sum_{a carries j} s_ia / tau ]``."""
    return _in_batch_weights(batch) if batch.in_batch else _against_keys_weights(batch)


def _against_keys_weights(batch: Batch) -> LabelWeights:
    """``w_ia = sum_j Y_ij T_aj / n_j``; a label without carriers drops out."""
    Y, T = batch.Y, batch.T
    if Y.n_labels >= _MANY_LABELS:
        Y, T = _only_labels_of_anchors(Y, T)
    n = T.label_counts(batch.dtype)  # (C,)
    carried = n.sign()
    totals = Y.row_sums(carried.unsqueeze(1)).squeeze(1)  # (B,)
    return LabelWeights(Y, carried / n.clamp(min=torch.finfo(n.dtype).tiny), T, totals)


def _only_labels_of_anchors(Y: LabelMatrix, T: LabelMatrix) -> tuple[LabelMatrix, LabelMatrix]:
    """Of lists of very many labels only those that an anchor carries, which are all that count."""
    if not (isinstance(Y, SparseLabels) and isinstance(T, SparseLabels)):
        return Y, T
    labels = Y.occurring()
    return Y.select_labels(labels), T.select_labels(labels)


def _in_batch_weights(batch: Batch) -> LabelWeights:
    """``w_ia = sum_j Y_ij Y_aj / n_ij`` with ``n_ij`` the weight of label j on the other rows."""
    Y, T, dtype = batch.Y, batch.T, batch.dtype
    n = T.label_counts(dtype)  # (C,)
    if Y.binary and T.binary:
        carried = (n > 1).to(dtype)
        per_label = carried / (n - 1).clamp(min=1)
        totals, self_weights = Y.row_sums(torch.stack([carried, per_label], 1)).unbind(1)
        return LabelWeights(Y, per_label, T, totals, self_weights)
    entries = Y.entries()
    entries = torch.ones_like(Y.spread_labels(n)) if entries is None else entries.to(dtype)
    others = Y.spread_labels(n) - entries
    carried = (others > 0).to(dtype)
    left = entries * carried / torch.where(others > 0, others, 1)
    totals = Y.with_entries(entries * carried).row_counts(dtype)
    self_weights = Y.with_entries(entries * left).row_counts(dtype)
    return LabelWeights(Y.with_entries(left), torch.ones_like(n), T, totals, self_weights)


def in_groups(batch: Batch, groups: Tensor, key_groups: Tensor) -> Batch:
    """The same rows, each with the number of its group as its only label; group B stands for none."""
    Y, T = (SingleLabel(ids, len(batch.z), trusted=True) for ids in (groups, key_groups))
    return replace(batch, Y=Y, T=T)


def _counts(batch: Batch, totals: Tensor) -> Tensor:
    """Labels of each anchor: all of them in a batch, else those that some candidate carries, (B,)."""
    return batch.Y.row_counts(batch.dtype) if batch.in_batch else totals


class SharedLabel(TileWeights):
    """``w_ia = 1 / n_i`` on the ``n_i`` candidates that share a label with the anchor."""

    symmetric = True

    def __init__(self, Y: LabelMatrix, T: LabelMatrix) -> None:
        self.overlaps = Overlaps(Y, T)

    def tile(self, rows: slice, columns: slice, dtype: torch.dtype) -> Tensor:
        return self.overlaps.shared(rows, columns, dtype)

    def row_scale(self, totals: Tensor) -> Tensor:
        return totals.clamp(min=1).reciprocal()


def _class_numbers(Y: Labels, several_ranks: bool) -> Tensor | LabelMatrix:
    """One class number per row, -1 for none, from numbers or from one-hot rows.

    These stay one-hot rows where some are unknown, and over several ranks, which must all do the same.
    """
    Y = tensor_or_sparse(Y, "SupCon")
    if isinstance(Y, Tensor) and Y.dim() == 1:
        if Y.is_floating_point():
            hint = "Pass integers or a one-hot matrix."
            raise ManyLabelError("SupCon", "whole class numbers", f"{Y.dtype}", hint)
        return Y.long()
    labels = as_labels(Y, binary=True, who="SupCon")
    refuse_gradient("SupCon", labels)
    numbers = labels.class_numbers("SupCon")
    return labels if labels.has_unknown or several_ranks else numbers


def _one_column(ids: Tensor) -> Tensor:
    return (ids >= 0)[:, None]


class MulSupCon(ContrastiveLoss):
    """MulSupCon (eq. 4 and 5): a separate positive set for every label of the anchor.

    ::

        L_i = sum_{j in y_i} [ lse_i - (1/n_j) sum_{a carries j} s_ia / tau ]
        L   = sum_i L_i / sum_i |y_i|

    Parameters
    ----------
    temperature : float, default 0.1
    reduction : "mean", "sum" or "none", default "mean"
        "none" gives ``L_i``, (B,), and the attribute ``divisor`` what "mean" would have divided their sum by.
    normalize : bool, default True
        Divide rows by their L2 norms; False takes them as they are.
    engine : "auto", "dense", "streamed" or "flash", default "auto"
    group : torch.distributed.ProcessGroup, optional
        The ranks that hold the batch together, each its own anchors and keys; see
        :class:`~manylabel.losses.base.Loss`.
    unknown : "keep" or "leave_out", default "keep"
        Where label entries are unknown: whether a candidate stays in the denominator of an anchor that it shares no
        known label with, while some label that the anchor carries is unknown on it.
    negatives : "alike" or "label_aware", default "alike"
    frequency_power : float, default 0
        See :class:`~manylabel.losses.contrastive.ContrastiveLoss`.

    Notes
    -----
    Divisor: the number of (anchor, label) pairs. With keys, a pair whose label no candidate carries is
    dropped from the value and from the divisor; without keys it contributes 0 and stays in the divisor.
    Rows without labels contribute 0 and are negatives of the others. Soft labels in [0, 1] count as weights.

    Raises
    ------
    ManyLabelError
        If shapes do not match, or labels lie outside [0, 1].

    References
    ----------
    P. Zhang and M. Wu, "Multi-Label Supervised Contrastive Learning", AAAI 2024. Their code takes
    ``log(softmax)``, which is infinite in float32 at temperatures below about 0.015; this one does not.

    Examples
    --------
    >>> import torch
    >>> loss = MulSupCon(temperature=0.1)
    >>> z, Y = torch.randn(8, 16), torch.rand(8, 5) < 0.4
    >>> keys, Y_keys = torch.randn(32, 16), torch.rand(32, 5) < 0.4
    >>> loss(z, Y, keys, Y_keys).shape
    torch.Size([])
    """

    who, binary = "MulSupCon", False

    def weights(self, batch: Batch) -> PairWeights:
        return label_weights(batch)

    def counted(self, batch: Batch, totals: Tensor) -> Tensor:
        return _counts(batch, totals)


class MulSupConInBatch(MulSupCon):
    """MulSupCon of a batch against itself, every anchor left out of its own candidates.

    ::

        L_i = sum_{j in y_i, n_j >= 2} [ lse_i - (1/(n_j-1)) sum_{p != i, j in y_p} s_ip / tau ]
        L   = sum_i L_i / sum_i |y_i|

    The same function as :class:`MulSupCon` without keys, under the name that studies use for it: the
    divisor is ``sum_i |y_i|``, a label that no other row carries contributes 0 and still counts there.

    References
    ----------
    A. Audibert, A. Gauffre, M.-R. Amini, "Multi-Label Contrastive Learning: A Comprehensive Study", 2024.
    """

    def forward(
        self,
        z: Tensor,
        Y: Labels,
        keys: Tensor | None = None,
        Y_keys: Labels | None = None,
        *,
        sample_weight: Tensor | None = None,
    ) -> Tensor:
        if keys is not None or Y_keys is not None:
            raise ManyLabelError(
                type(self).__name__, "no keys", "keys", "Use MulSupCon for candidates other than the batch."
            )
        return super().forward(z, Y, sample_weight=sample_weight)


class MulSupConWeighted(ContrastiveLoss):
    """MulSupCon with every anchor divided by its number of labels (eq. 6).

    ::

        L = (1/B) sum_{i : |y_i| > 0} (1/|y_i|) L_i,   L_i as in MulSupCon

    Parameters and edge cases as in :class:`MulSupCon`.

    Notes
    -----
    Divisor: the number of anchors B, rows without labels included. ``reduction="none"`` gives ``L_i /
    |y_i|``. With keys, ``|y_i|`` counts the labels that some candidate carries; without keys it counts all
    of them.
    """

    who, binary = "MulSupConWeighted", False

    def weights(self, batch: Batch) -> PairWeights:
        return label_weights(batch)

    def per_anchor(self, batch: Batch, totals: Tensor) -> Tensor:
        counts = _counts(batch, totals)
        return torch.where(counts > 0, counts, 1)

    def counted(self, batch: Batch, totals: Tensor) -> Tensor:
        return torch.ones_like(totals)


class Decoupled(MulSupCon):
    """MulSupCon whose other positives leave the denominator of a positive.

    ::

        l_ip = log( exp(s_ip / tau) + sum_{a not in P(i)} exp(s_ia / tau) ) - s_ip / tau
        L_i  = sum_{j in y_i} (1/n_j) sum_{p carries j} l_ip
        P(i) = {a : |y_a and y_i| > 0}
        L    = sum_i L_i / sum_i |y_i|

    Parameters, divisor and edge cases as in :class:`MulSupCon`. The streamed backend computes a block of anchors twice
    in place of keeping it; label-aware negatives all weigh 2 here, as none shares a label.

    References
    ----------
    N. Gupta et al., "Dual-Encoders for Extreme Multi-Label Classification", ICLR 2024; from its idea, not its text.
    """

    def weights(self, batch: Batch) -> PairWeights:
        weights = label_weights(batch)
        weights.decoupled = True
        return weights


class SupCon(ContrastiveLoss):
    """SupCon for one label per row: positives are the candidates with the anchor's label.

    ::

        L_i = lse_i - (1/|P_i|) sum_{p in P_i} s_ip / tau,   P_i = {a : class of a = class of i}

    ``Y`` is a vector of class numbers (negative: no label) or a one-hot matrix. Other parameters as in
    :class:`MulSupCon`. A row whose class is unknown is one without a class.

    Notes
    -----
    Divisor: the number of anchors that have a positive; the others contribute 0.

    References
    ----------
    P. Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020.
    """

    who = "SupCon"

    def read(self, *arguments: Any) -> Batch:
        z, Y, keys, Y_keys = arguments
        several = self.group is not None
        ids = _class_numbers(Y, several)
        key_ids = None if Y_keys is None else _class_numbers(Y_keys, several)
        if isinstance(ids, LabelMatrix) or isinstance(key_ids, LabelMatrix):
            return super().read(z, Y, keys, Y_keys)  # one-hot rows weigh alike, and say what is unknown
        batch = super().read(z, _one_column(ids), keys, None if key_ids is None else _one_column(key_ids))
        ids = ids.to(z.device)  # (B,)
        key_ids = ids if key_ids is None else key_ids.to(z.device)
        if batch.shard is not None:
            key_ids = batch.shard.rows(key_ids)
        groups, key_groups = match_groups(ids, key_ids)
        groups = groups.masked_fill(ids < 0, len(z))
        key_groups = groups if batch.keys is None else key_groups.masked_fill(key_ids < 0, len(z))
        return in_groups(batch, groups, key_groups)

    def weights(self, batch: Batch) -> PairWeights:
        return label_weights(batch)


class All(ContrastiveLoss):
    """ALL: positives are the candidates with exactly the anchor's label set.

    ::

        L_i = lse_i - (1/|P_i|) sum_{p in P_i} s_ip / tau,   P_i = {a : y_a = y_i}

    Parameters as in :class:`MulSupCon`.

    Notes
    -----
    Divisor: the number of anchors that have a positive; the others contribute 0. Rows without labels match
    each other, as in the released code. The set of a row with an unknown entry is unknown: it matches no other.
    """

    who = "ALL"

    def weights(self, batch: Batch) -> PairWeights:
        groups, key_groups = batch.Y.groups(None if batch.keys is None else batch.T)
        return label_weights(in_groups(batch, groups, key_groups))


class AnyShared(ContrastiveLoss):
    """ANY: positives are the candidates that share at least one label with the anchor.

    ::

        L_i = lse_i - (1/|P_i|) sum_{p in P_i} s_ip / tau,   P_i = {a : |y_a and y_i| > 0}

    Parameters as in :class:`MulSupCon`.

    Notes
    -----
    Divisor: the number of anchors that have a positive; the others contribute 0 (the released code divides
    by zero there).
    """

    who = "ANY"

    def weights(self, batch: Batch) -> PairWeights:
        return SharedLabel(batch.Y, batch.T)
