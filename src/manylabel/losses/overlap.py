"""Losses whose pair weights are a function of two label sets: Jaccard overlap ("base"), shared against other labels
("similarity_dissimilarity"), and any other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from manylabel.errors import ManyLabelError
from manylabel.kernels.transforms import transformed
from manylabel.labels import LabelMatrix
from manylabel.losses.base import EPS, Batch
from manylabel.losses.contrastive import ContrastiveLoss
from manylabel.losses.settings import real, switch
from manylabel.losses.softmax import Overlaps, PairWeights, TileWeights
from manylabel.losses.softmax.accumulator import without_self
from manylabel.losses.softmax.tiles import tile_shape, tiles

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

PAIR_WEIGHT_GRADIENT = "pair weights that require a gradient"
PairWeight: TypeAlias = Callable[[Tensor, Tensor], Tensor]


def _check_settings(weight: object, normalize_weights: object) -> None:
    if weight is not None and not callable(weight):
        hint = "weight(Y, T) takes label rows (m, C) and (n, C) and gives weights (m, n)."
        raise ManyLabelError(
            "PairWeighted", "weight as a function of two label matrices", f"{weight!r:.60}", hint
        )
    switch("PairWeighted", "normalize_weights", normalize_weights)


def shared_labels(Y: Tensor, T: Tensor) -> Tensor:
    """The number of labels that two rows share, (m, C) and (n, C) -> (m, n)."""
    return Y @ T.T


class JaccardWeights(TileWeights):
    """``w_ia = J_ia / (sum_a J_ia + EPS)``, ``J_ia = |y_i and y_a| / (|y_i or y_a| + EPS)`` of labels known on both."""

    symmetric = True

    def __init__(self, Y: LabelMatrix, T: LabelMatrix, dtype: torch.dtype) -> None:
        self.overlaps = Overlaps(Y, T)
        self.counts, self.other_counts = Y.row_counts(dtype), T.row_counts(dtype)
        sides = ((Y, T.unknown) if T.has_unknown else None, (Y.unknown, T) if Y.has_unknown else None)
        self.of_one = [
            Overlaps(*side) for side in sides if side is not None
        ]  # labels that the other does not know

    def sizes(self, rows: slice, columns: slice, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """``|y_i and y_a|`` and ``|y_i or y_a|``, both (rows, columns); the caller may overwrite them."""
        shared = self.overlaps.tile(rows, columns, dtype)
        union = self.counts[rows, None] + self.other_counts[columns]  # what they share twice
        for carried in self.of_one:
            union -= carried.tile(rows, columns, dtype)
        return shared, union.sub_(shared)

    def tile(self, rows: slice, columns: slice, dtype: torch.dtype) -> Tensor:
        shared, union = self.sizes(rows, columns, dtype)
        return shared.div_(union.add_(EPS))

    def row_scale(self, totals: Tensor) -> Tensor | None:
        return (totals + EPS).reciprocal_()


class HighJaccard(JaccardWeights):
    """``w_ia = J_ia / |N_i|`` for the ``N_i``, those with ``J_ia`` above 0 and of at least a threshold, else 0."""

    symmetric, one_sided = False, True

    def __init__(
        self, Y: LabelMatrix, T: LabelMatrix, threshold: float, dtype: torch.dtype, self_offset: int | None
    ) -> None:
        super().__init__(Y, T, dtype)
        self.threshold = threshold
        self.part = partners(self.high, Y, T, dtype, self_offset).clamp_(min=1).reciprocal_()

    def high(self, rows: slice, columns: slice, dtype: torch.dtype) -> Tensor:
        """``J_ia`` of pairs in ``N_i``, else 0: a whole union, as any addition to it would miss the threshold."""
        shared, union = self.sizes(rows, columns, dtype)
        overlap = shared.div_(union.clamp_(min=1))
        return overlap.masked_fill_(overlap < self.threshold, 0)

    def tile(self, rows: slice, columns: slice, dtype: torch.dtype) -> Tensor:
        return self.high(rows, columns, dtype).mul_(self.part[rows, None])

    def row_scale(self, totals: Tensor) -> None:
        return None


def partners(
    tile: Callable[[slice, slice, torch.dtype], Tensor],
    Y: LabelMatrix,
    T: LabelMatrix,
    dtype: torch.dtype,
    self_offset: int | None,
) -> Tensor:
    """How many other candidates have a positive number in the tiles of each anchor, (B,)."""
    height, width = tile_shape(Y.n_rows, T.n_rows, Y.device)
    found = torch.zeros(Y.n_rows, dtype=dtype, device=Y.device)
    for columns in tiles(0, T.n_rows, width):
        for rows in tiles(0, Y.n_rows, height):
            positive = tile(rows, columns, dtype).sign_()
            found[rows] += without_self(positive, rows, columns, self_offset, 0.0).sum(1)
    return found


class SharedAgainstOther(TileWeights):
    """``w_ia = |y_i and y_a| / (|y_i| (1 + |y_a minus y_i|) |P_i|)``, ``P_i`` the others that share a label with i."""

    one_sided = True

    def __init__(self, Y: LabelMatrix, T: LabelMatrix, dtype: torch.dtype, self_offset: int | None) -> None:
        self.overlaps = Overlaps(Y, T)
        self.other_counts = T.row_counts(dtype)
        others = partners(self.overlaps.shared, Y, T, dtype, self_offset)  # |P_i|, (B,)
        self.part = (Y.row_counts(dtype) * others).clamp_(min=1).reciprocal_()

    def tile(self, rows: slice, columns: slice, dtype: torch.dtype) -> Tensor:
        shared = self.overlaps.tile(rows, columns, dtype)
        other = self.other_counts[columns] - shared  # (rows, columns)
        return shared.mul_(self.part[rows, None]).div_(other.add_(1))


class GivenWeights(TileWeights):
    """Weights of the caller, as they are or divided by their sum over the candidates; they need not be symmetric."""

    one_sided = True

    def __init__(
        self, Y: LabelMatrix, T: LabelMatrix, weight: PairWeight, normalize: bool, dtype: torch.dtype
    ) -> None:
        self.Y, self.T, self.weight, self.normalize = Y, T, weight, normalize
        self.learnt = PAIR_WEIGHT_GRADIENT if self._are_learnt(dtype) else None

    def _are_learnt(self, dtype: torch.dtype) -> bool:
        """Whether weights are part of a graph: asked of one anchor and, to see the shape, of up to two candidates."""
        if not torch.is_grad_enabled() or torch.compiler.is_compiling() or not len(self.Y) or not len(self.T):
            return False
        return self.tile(slice(1), slice(2), dtype).requires_grad

    def tile(self, rows: slice, columns: slice, dtype: torch.dtype) -> Tensor:
        Y, T = self.Y.take(rows), self.T.take(columns)
        w = self.weight(Y.dense(dtype), T.dense(dtype))
        if not torch.compiler.is_compiling():
            _check_weights(w, (len(Y), len(T)), Y.device)
        if self.left_out is not None:  # the caller's weights need not be 0 there
            w = w.masked_fill(self.left_out.tile(rows, columns, dtype), 0)
        return w.to(dtype)

    def row_scale(self, totals: Tensor) -> Tensor | None:
        return torch.where(totals > 0, totals, 1).reciprocal() if self.normalize else None


def _check_weights(w: object, shape: tuple[int, int], device: torch.device) -> None:
    """Refuse weights of another shape, or that are negative or NaN."""
    if not isinstance(w, Tensor) or tuple(w.shape) != shape or w.device != device or w.is_complex():
        got = f"{tuple(w.shape)}, {w.dtype} on {w.device}" if isinstance(w, Tensor) else type(w).__name__
        expected = f"weight(Y, T) of label rows {shape[0]} and {shape[1]} as a tensor of shape {shape}"
        hint = "Give one number for each row of Y and each of T."
        raise ManyLabelError("PairWeighted", expected, got, hint)
    if w.numel() and not transformed():
        low, high = (float(bound) for bound in w.detach().aminmax())
        if not (low >= 0 and high < torch.inf):
            hint = "Take the softplus or the exponential of weights that are learnt."
            raise ManyLabelError("PairWeighted", "finite weights of at least 0", f"{low:g} to {high:g}", hint)


class Base(ContrastiveLoss):
    """SupCon whose positives are weighted by the Jaccard overlap of the label sets.

    ::

        J_ia = |y_i and y_a| / (|y_i or y_a| + 1e-8),   w_ia = J_ia / (sum_a J_ia + 1e-8)
        L    = (1/M) sum_i - sum_a w_ia log p_ia

    Parameters as in :class:`~manylabel.losses.MulSupCon`.

    Notes
    -----
    Divisor: M, the number of anchors that share a label with a candidate; the others contribute 0. The
    union is that of labels known on both rows; other losses count the known labels of each row. The
    released code adds 1e-8 to both denominators of the weights, and so does this one; it is NaN there for a
    batch of one and 0 here.

    References
    ----------
    A. Audibert, A. Gauffre, M.-R. Amini, "Multi-Label Contrastive Learning: A Comprehensive Study", 2024.
    """

    who = "Base"

    def weights(self, batch: Batch) -> PairWeights:
        return JaccardWeights(batch.Y, batch.T, batch.dtype)


class Jaccard(ContrastiveLoss):
    """SupCon whose positives have a Jaccard overlap of at least a threshold with the anchor, and are weighted by it.

    ::

        J_ia = |y_i and y_a| / |y_i or y_a|
        N_i  = {a : J_ia >= c, J_ia > 0}
        L    = (1/M) sum_i - (1/|N_i|) sum_{a in N_i} J_ia log p_ia

    Parameters
    ----------
    threshold : float, default 0.5
        ``c``, from 0 to 1.
    temperature, reduction, normalize, engine, group, unknown, negatives, frequency_power
        As in :class:`~manylabel.losses.MulSupCon`.

    Notes
    -----
    Divisor: M, the number of anchors with a candidate in ``N_i``; the others contribute 0. Weights of an anchor sum to
    the mean overlap of ``N_i``, so a random encoder gives less than ``log N``. The union is that of labels known on
    both rows.

    References
    ----------
    ``MultiSupConLoss`` of pytorch-metric-learning 3.0, by its release notes. There two rows without labels have an
    overlap of 1, here 0; and there with ``c = 0`` rows that share nothing count in ``|N_i|``.
    """

    who = "Jaccard"
    shown = ("threshold", *ContrastiveLoss.shown)

    def __init__(
        self,
        threshold: float = 0.5,
        temperature: float | Tensor = 0.1,
        reduction: str = "mean",
        normalize: bool = True,
        engine: str = "auto",
        group: ProcessGroup | None = None,
        unknown: str = "keep",
        negatives: str = "alike",
        frequency_power: float = 0.0,
    ) -> None:
        super().__init__(
            temperature, reduction, normalize, engine, group, unknown, negatives, frequency_power
        )
        self.threshold = real("Jaccard", "threshold", threshold, least=0.0, most=1.0)

    def weights(self, batch: Batch) -> PairWeights:
        threshold = real("Jaccard", "threshold", self.threshold, least=0.0, most=1.0)
        return HighJaccard(batch.Y, batch.T, threshold, batch.dtype, batch.self_offset)


class SimilarityDissimilarity(ContrastiveLoss):
    """SupCon whose positives count the more, the more labels they share with the anchor and the fewer others they have.

    ::

        Ks_ia = |y_i and y_a| / |y_i|,   Kd_ia = 1 / (1 + |y_a minus y_i|)
        P_i   = candidates that share a label with i
        L     = (1/M) sum_i - (1/|P_i|) sum_{a in P_i} Ks_ia Kd_ia log p_ia

    Parameters
    ----------
    temperature : float, default 0.07
    reduction, normalize, engine, group, unknown, negatives, frequency_power
        As in :class:`~manylabel.losses.MulSupCon`.

    Notes
    -----
    Divisor: the number of anchors that have a positive; the others contribute 0. The weights of an anchor sum to 1
    only where all its positives have its own labels, so a random encoder gives less than ``log N``.

    References
    ----------
    G. Huang et al., "A Similarity-Dissimilarity Loss for Multi-label Supervised Contrastive Learning", arXiv
    2410.13439.
    That the factors multiply the logarithm is our reading; inside it they would have no gradient.
    """

    who = "SimilarityDissimilarity"

    def __init__(
        self,
        temperature: float | Tensor = 0.07,
        reduction: str = "mean",
        normalize: bool = True,
        engine: str = "auto",
        group: ProcessGroup | None = None,
        unknown: str = "keep",
        negatives: str = "alike",
        frequency_power: float = 0.0,
    ) -> None:
        super().__init__(
            temperature, reduction, normalize, engine, group, unknown, negatives, frequency_power
        )

    def weights(self, batch: Batch) -> PairWeights:
        return SharedAgainstOther(batch.Y, batch.T, batch.dtype, batch.self_offset)


class PairWeighted(ContrastiveLoss):
    """SupCon under pair weights of the caller's own.

    ::

        L    = (1/M) sum_i - sum_a w_ia log p_ia
        w_ia = weight(y_i, y_a), divided by their sum over a unless they are taken as they are

    Parameters
    ----------
    weight : callable, default the number of shared labels
        ``weight(Y, T)`` takes dense label rows (m, C) and (n, C), unknown entries 0, and gives weights (m, n), none
        negative.
        It is called for tiles, never for all pairs at once, and for the first anchor to see what it gives. Weights
        that are part of a graph get their gradient from the dense engine, which holds all pairs.
    normalize_weights : bool, default True
        Divide the weights of each anchor by their sum.
    temperature, reduction, normalize, engine, group, unknown, negatives, frequency_power
        As in :class:`~manylabel.losses.MulSupCon`.

    Notes
    -----
    Divisor: M, the number of anchors that have a weight; the others contribute 0.

    Examples
    --------
    >>> import torch
    >>> same_count = lambda Y, T: (Y @ T.T == Y.sum(1)[:, None]).float()
    >>> loss = PairWeighted(weight=same_count)
    >>> loss(torch.randn(8, 4), torch.rand(8, 5) < 0.5).shape
    torch.Size([])
    """

    who, binary = "PairWeighted", False
    shown = ("weight", "normalize_weights", *ContrastiveLoss.shown)

    def __init__(
        self,
        weight: PairWeight | None = None,
        normalize_weights: bool = True,
        temperature: float | Tensor = 0.1,
        reduction: str = "mean",
        normalize: bool = True,
        engine: str = "auto",
        group: ProcessGroup | None = None,
        unknown: str = "keep",
        negatives: str = "alike",
        frequency_power: float = 0.0,
    ) -> None:
        super().__init__(
            temperature, reduction, normalize, engine, group, unknown, negatives, frequency_power
        )
        _check_settings(weight, normalize_weights)
        self.weight, self.normalize_weights = weight, normalize_weights

    def weights(self, batch: Batch) -> PairWeights:
        _check_settings(self.weight, self.normalize_weights)
        return GivenWeights(
            batch.Y, batch.T, self.weight or shared_labels, self.normalize_weights, batch.dtype
        )
