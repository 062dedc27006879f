"""The shell of every contrastive loss: reading, gathering, weighing, contrasting and reducing, written once.

A loss is a class whose ``weights(batch)`` is its equation and whose ``counted(batch, totals)`` is what each anchor adds
to the divisor of "mean"; :class:`PairLoss` does the rest.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from manylabel.errors import ManyLabelError
from manylabel.kernels.transforms import transformed
from manylabel.labels import LabelMatrix, Labels, as_labels
from manylabel.losses.distributed import Shard
from manylabel.losses.precision import AS_IT_IS, SHARP, computing, is_sharp, is_small, widened, working_dtype
from manylabel.losses.sample_weight import TINY, anchor_weight
from manylabel.losses.settings import (
    LOWEST_TEMPERATURE,
    check_group,
    check_reduction,
    check_temperature,
    choice,
    read_temperature,
    switch,
)
from manylabel.losses.softmax import LabelWeights, LeftOut, PairWeights, check_engine, choose, contrast
from manylabel.losses.softmax.strip import contrast_strip, fits

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

LABEL_GRADIENT = "labels that require a gradient"
FLOATING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
UNKNOWN = ("keep", "leave_out")
EPS = 1e-8  # what the authors of the overlap and prototype losses add to their denominators


class LossResult(NamedTuple):
    """What one call of a loss found.

    Attributes
    ----------
    value : scalar, or a value per anchor with ``reduction="none"``
    divisor : scalar tensor, tuple of them, or None
        What "mean" divides by; None in compiled code and under ``torch.func``.
    backend : "dense", "streamed", "flash" or None
        What the pairs were computed with.
    """

    value: Tensor
    divisor: Tensor | tuple[Tensor, ...] | None
    backend: str | None


@dataclass
class Batch:
    """Anchors ``z`` (B, D) with labels ``Y``, candidates ``keys`` (N, D) with labels ``T``.

    Attributes
    ----------
    self_offset : int or None
        Anchor i is candidate ``self_offset + i`` and is left out of its own candidates; None where no anchor is among
        the candidates.
    keys : tensor or None
        None where the candidates are the anchors; ``T`` is then ``Y``.
    shard : Shard or None
        Where the anchors are only this process's part of the batch; the candidates are those of all.
    multiplicity : (N,) tensor or None
        How often each candidate counts in the logsumexp.
    prototypes : (B,) and (N,) bool tensors, or None
        Which anchors, and which candidates, are prototypes, where labels may be unknown.
    sample_weight : (B,) tensor or None
        How much each anchor counts; None where all count alike.
    """

    z: Tensor
    Y: LabelMatrix
    keys: Tensor | None
    T: LabelMatrix
    self_offset: int | None = None
    shard: Shard | None = None
    multiplicity: Tensor | None = None
    prototypes: tuple[Tensor, Tensor] | None = None
    sample_weight: Tensor | None = None

    @property
    def has_unknown(self) -> bool:
        """Whether some label entry may be unknown."""
        return self.Y.has_unknown or self.T.has_unknown

    @property
    def in_batch(self) -> bool:
        """Whether the candidates are the batch itself."""
        return self.self_offset is not None

    @property
    def dtype(self) -> torch.dtype:
        return torch.float64 if self.z.dtype == torch.float64 else torch.float32

    def gather(self) -> Batch:
        """The same anchors against the candidates of all ranks."""
        if self.shard is None:
            return self
        keys = self.shard.rows(self.z if self.keys is None else self.keys)
        T = self.shard.labels(self.T)
        return replace(
            self, keys=keys, T=T, self_offset=self.shard.first(len(self.z)) if self.in_batch else None
        )


class Loss(nn.Module):
    """Settings of a loss, and what its last call found.

    Attributes
    ----------
    backend : str or None
        The backend that the last call used.
    group : torch.distributed.ProcessGroup or None
        The ranks that hold the batch together; None for this process alone.
    divisor : scalar tensor or None
        What "mean" divides the values of ``reduction="none"`` by, as the last call found it: their sum over
        ``divisor`` is the mean. 0 where nothing counted, and the mean is 0 then; that of all ranks with a group;
        None before the first call, and after a call of compiled code.

    Notes
    -----
    A temperature that is a parameter is one of the module's parameters and learnt on every backend, one number for all
    pairs. It must stay above 0.

    With a group (``torch.distributed.group.WORLD`` for all processes), every rank passes its own anchors, and
    its own keys where there are keys; shards may differ in size. Candidates are those of all ranks. Each rank
    returns the loss of the whole batch, and differentiating it on all ranks gives each parameter as many
    times its gradient as there are ranks, which the mean that ``DistributedDataParallel`` takes turns into
    the gradient of one process with the whole batch. ``reduction="none"`` gives the values of the anchors of
    this rank.
    """

    shown: ClassVar[tuple[str, ...]] = ("temperature", "reduction", "normalize")

    def __init__(
        self,
        temperature: float | Tensor = 0.1,
        reduction: str = "mean",
        normalize: bool = True,
        engine: str = "auto",
        group: ProcessGroup | None = None,
    ) -> None:
        super().__init__()
        who = type(self).__name__
        check_temperature(who, temperature)
        check_reduction(who, reduction)
        check_group(who, group)
        check_engine(engine)
        self.temperature, self.reduction = temperature, reduction
        self.normalize = switch(who, "normalize", normalize)
        self.engine, self.group = engine, group
        self.divisor: Tensor | tuple[Tensor, ...] | None = None
        self.backend: str | None = None

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={getattr(self, name)}" for name in self.shown)

    def _kept(self, result: LossResult) -> Tensor:
        # neither is a parameter, a buffer or a module, among which nn.Module would look first
        object.__setattr__(self, "divisor", result.divisor)
        object.__setattr__(self, "backend", result.backend)
        return result.value


class PairLoss(Loss, ABC):
    """A loss of weighted pairs: subclasses say what a pair weighs and what an anchor adds to the divisor of "mean".

    Parameters
    ----------
    unknown : "keep" or "leave_out", default "keep"
        What becomes of a candidate that shares no known label with an anchor, while some label that the anchor carries
        is unknown on it: it stays in that anchor's denominator, or leaves it. Matters only where entries are unknown.

    Notes
    -----
    Positives, counts and label sets are those of known entries. Between a row and the prototype of a label that is
    unknown on it there is no relation: neither is in the other's denominator, whatever ``unknown`` says.

    ``sample_weight``, (B,), multiplies the value of each anchor and what it adds to the divisor: an anchor of weight 0
    is left out, and stays a candidate of the others. Of (B, n_labels) weights an anchor has the mean over its known
    labels. A prototype that is an anchor weighs 1.
    """

    who: ClassVar[str]  # the name in messages
    binary: ClassVar[bool] = True  # whether labels are sets

    def __init__(
        self,
        temperature: float | Tensor = 0.1,
        reduction: str = "mean",
        normalize: bool = True,
        engine: str = "auto",
        group: ProcessGroup | None = None,
        unknown: str = "keep",
    ) -> None:
        super().__init__(temperature, reduction, normalize, engine, group)
        choice(type(self).__name__, "unknown", unknown, UNKNOWN)
        self.unknown = unknown

    @abstractmethod
    def read(self, *arguments: Any) -> Batch:
        """What :meth:`forward` was given, checked, with the candidates of all ranks."""

    @abstractmethod
    def weights(self, batch: Batch) -> PairWeights:
        """What each candidate weighs for each anchor."""

    def counted(self, batch: Batch, totals: Tensor) -> Tensor:
        """What each anchor adds to the divisor of "mean", from ``W_i``, both (B,): 1 where it has a positive."""
        return totals > 0

    def per_anchor(self, batch: Batch, totals: Tensor) -> Tensor | None:
        """What each anchor's value is divided by, (B,); None for 1."""
        return None

    def vary(self, batch: Batch, weights: PairWeights) -> Tensor | None:
        """Give the weights what further settings ask for; what multiplies the similarities of each anchor, (B,)."""
        return None

    def _computed(self, *arguments: Any, sample_weight: Any = None) -> Tensor:
        """The loss in full precision: float32, or float64 where that is what comes in.

        Small inputs at a very low temperature are computed in float64 on a CPU, where that costs little; not over
        several ranks, whose shards could then differ in type.
        """
        tau, z = self.temperature, arguments[0]
        if not (type(tau) is float and LOWEST_TEMPERATURE <= tau < math.inf):
            tau = read_temperature(self.who, tau)
        wide = (
            (type(tau) is not float or tau < SHARP) and is_sharp(tau) and self.group is None and is_small(z)
        )
        if wide:
            tau, arguments = widened(tau), tuple(map(widened, arguments))
        with _surroundings(z):
            batch = self.read(*arguments)
            if sample_weight is not None:
                batch.sample_weight = self._weight_of_anchors(sample_weight, arguments[1], batch)
            value = self._kept(self._result(batch, tau))
        return value.float() if wide else value

    def _weight_of_anchors(self, sample_weight: Any, Y: Labels, batch: Batch) -> Tensor:
        """Those of the rows that were given, and 1 for prototypes among the anchors, (B,)."""
        weight = anchor_weight(self.who, sample_weight, Y, batch.z.to(batch.dtype))
        return torch.cat([weight, weight.new_ones(len(batch.z) - len(weight))])

    def _result(self, batch: Batch, tau: float | Tensor) -> LossResult:
        weights = self.weights(batch)
        if batch.Y.has_unknown or batch.T.has_unknown:
            weights.left_out = self._left_out(batch)
        factors = self.vary(batch, weights)
        learnt = LABEL_GRADIENT if batch.Y.requires_grad or batch.T.requires_grad else weights.learnt
        pairs = (batch.z, batch.keys, weights, batch.self_offset, batch.multiplicity)
        backend = choose(self.engine, *pairs, learnt)
        plain = batch.shard is None and batch.sample_weight is None and factors is None
        if backend == "streamed" and self.reduction != "none" and plain:
            result = self._in_one_strip(batch, weights, tau)
            if result is not None:
                return result
        uniform = self.reduction != "none" and type(self).per_anchor is PairLoss.per_anchor
        uniform = uniform and batch.sample_weight is None
        normalize = switch(self.who, "normalize", self.normalize)
        values, totals = contrast(*pairs, tau, normalize, backend, uniform, factors)
        part = self.per_anchor(batch, totals)
        values = values if part is None else values / part
        counted = self.counted(batch, totals)
        return reduce(values, self.reduction, counted, backend, batch.shard, batch.sample_weight)

    def _left_out(self, batch: Batch) -> LeftOut | None:
        """Who leaves whose denominator, where entries are unknown."""
        choice(self.who, "unknown", self.unknown, UNKNOWN)
        rows = self.unknown == "leave_out"
        if not rows and batch.prototypes is None:
            return None
        return LeftOut(batch.Y, batch.T, rows, batch.prototypes)

    def _in_one_strip(self, batch: Batch, weights: PairWeights, tau: float | Tensor) -> LossResult | None:
        """The same for few anchors, whose similarities fit into one tile; None where they do not."""
        normalize = self.normalize
        if (
            type(normalize) is not bool
            or not isinstance(weights, LabelWeights)
            or not fits(batch.z, batch.keys, weights, batch.multiplicity, tau)
        ):
            return None
        assert isinstance(tau, float)
        assert batch.keys is not None
        part = self.per_anchor(batch, weights.totals)
        count = self.counted(batch, weights.totals).sum()
        divisor = max(float(count), TINY) if self.reduction == "mean" else 1.0
        value = contrast_strip(batch.z, batch.keys, weights, tau, normalize, part, divisor)
        return None if value is None else LossResult(value, count.to(value.dtype), "streamed")


def _surroundings(z: object) -> AbstractContextManager[Any]:
    """What a call needs around it: nothing where there is neither autocast nor a second thread."""
    if type(z) is not Tensor or z.device.type != "cpu" or torch.compiler.is_compiling():
        return computing(z)
    if torch.get_num_threads() > 1 or torch.is_autocast_enabled("cpu"):
        return computing(z)
    return AS_IT_IS


class PrototypeLoss(PairLoss):
    """A loss that takes the prototypes of the labels third."""

    def forward(
        self, z: Tensor, Y: Labels, prototypes: Tensor, *, sample_weight: Tensor | None = None
    ) -> Tensor:
        """The loss of anchors ``z`` (B, D) with labels ``Y`` and prototypes (C, D)."""
        return self._computed(z, Y, prototypes, sample_weight=sample_weight)

    def read_with_prototypes(
        self,
        z: Tensor,
        Y: Labels,
        prototypes: Tensor,
        keys: Tensor | None = None,
        Y_keys: Labels | None = None,
    ) -> tuple[Batch, Tensor]:
        """The batch of this rank, and prototypes in its precision."""
        batch = read_batch(self.who, z, Y, keys, Y_keys, group=self.group)
        prototypes = check_embeddings(self.who, "prototypes", prototypes, beside=batch.z)
        want = (batch.Y.n_labels, z.shape[1])
        if tuple(prototypes.shape) != want:
            hint = "Pass a (n_labels, D) parameter."
            expected = f"prototypes of shape {want}, one per label"
            raise ManyLabelError(self.who, expected, str(tuple(prototypes.shape)), hint)
        return batch, prototypes


def read_batch(
    who: str,
    z: Tensor,
    Y: Labels,
    keys: Tensor | None = None,
    Y_keys: Labels | None = None,
    *,
    binary: bool = True,
    group: ProcessGroup | None = None,
) -> Batch:
    """Check the arguments of a contrastive loss against each other."""
    shard = None
    if group is not None:
        check_group(who, group)
        shard = Shard(group)
    z = check_embeddings(who, "embeddings", z)
    labels = read_labels(who, Y, z, "embeddings", binary, shard is not None)
    if keys is None:
        if Y_keys is not None:
            raise ManyLabelError(
                who, "keys along with Y_keys", "Y_keys alone", "Pass the rows of the candidates."
            )
        return Batch(z, labels, None, labels, 0, shard)
    keys = check_embeddings(who, "keys", keys, beside=z)
    if keys.shape[1] != z.shape[1]:
        raise ManyLabelError(
            who,
            f"keys of shape (n, {z.shape[1]}) to match embeddings {tuple(z.shape)}",
            str(tuple(keys.shape)),
            "Embed both with heads of the same width.",
        )
    if Y_keys is None:
        raise ManyLabelError(
            who, "Y_keys along with keys", "keys alone", "Pass the labels of the candidates."
        )
    other = read_labels(who, Y_keys, keys, "keys", binary, shard is not None)
    if other.n_labels != labels.n_labels:
        raise ManyLabelError(
            who,
            f"labels of keys with {labels.n_labels} columns to match Y",
            str(other.shape),
            "Use the same label columns for anchors and candidates.",
        )
    return Batch(z, labels, keys, other, None, shard)


def check_embeddings(who: str, what: str, z: Any, beside: Tensor | None = None) -> Tensor:
    """Refuse anything but a dense floating (n, D) tensor with data, on the device of those ``beside`` it.

    Returns
    -------
    (n, D) tensor
        In the precision of those beside it: float64 beside float64, else what is computed in float32.
    """
    if not isinstance(z, Tensor) or z.layout != torch.strided or z.dim() != 2 or z.dtype not in FLOATING:
        got = f"{z.dtype} of shape {tuple(z.shape)}" if isinstance(z, Tensor) else type(z).__name__
        got += f" and layout {z.layout}" if isinstance(z, Tensor) and z.layout != torch.strided else ""
        hint = (
            "Pass one row per sample; torch.as_tensor(...).float() makes one of an array or of whole numbers."
        )
        raise ManyLabelError(who, f"{what} as a floating tensor of shape (n, D)", got, hint)
    if z.device.type == "meta":
        raise ManyLabelError(who, f"{what} with data", "a tensor on the device meta", "Pass a real tensor.")
    if beside is None:
        return z.resolve_neg()
    if z.device != beside.device:
        hint = "Move them to one device with .to()."
        raise ManyLabelError(who, f"{what} on {beside.device}, like the embeddings", f"{z.device}", hint)
    wide = torch.float64 in (z.dtype, beside.dtype) and z.dtype != beside.dtype
    return z.to(working_dtype(beside)) if wide else z.resolve_neg()


def read_labels(
    who: str, Y: Labels, z: Tensor, what: str, binary: bool, several_ranks: bool = False
) -> LabelMatrix:
    """One label row per embedding, on its device."""
    labels = as_labels(Y, binary=binary, who=who)
    if labels.n_rows != z.shape[0]:
        raise ManyLabelError(
            who,
            f"labels of shape ({len(z)}, n_labels) to match {what} {tuple(z.shape)}",
            str(labels.shape),
            "Pass one label row per embedding.",
        )
    labels = labels if labels.device == z.device else labels.to(z.device)
    return _with_gradient(who, labels, binary, several_ranks) if labels.requires_grad else labels.compact()


def _with_gradient(who: str, labels: LabelMatrix, binary: bool, several_ranks: bool) -> LabelMatrix:
    """Labels that are part of a graph: constant where no gradient is wanted, refused where none would come of it."""
    if not torch.is_grad_enabled():
        entries = labels.entries()
        assert entries is not None
        return labels.with_entries(entries.detach()).compact()
    if binary:
        refuse_gradient(who, labels)
    if several_ranks:
        refuse_gradient(who, labels, "over several ranks")
    return labels


def refuse_gradient(who: str, labels: LabelMatrix, where: str = "where labels are sets") -> None:
    """Refuse labels that require a gradient and would not get one."""
    if labels.requires_grad and torch.is_grad_enabled():
        hint = (
            "Call .detach() on them. The MulSupCon losses, PairWeighted and BCE differentiate soft labels, "
        )
        hint += "in one process."
        raise ManyLabelError(who, f"labels without a gradient {where}", "labels that require one", hint)


def reduce(
    values: Tensor,
    reduction: str,
    counted: Tensor,
    backend: str | None,
    shard: Shard | None = None,
    sample_weight: Tensor | None = None,
) -> LossResult:
    """Per-anchor values, their sum, or their sum over that of what each ``counted`` (0 where nothing did), all (B,).

    With a shard, these are of this rank's anchors, and both sums are taken over the ranks.
    """
    if sample_weight is not None:
        values, counted = values * sample_weight, counted * sample_weight
    count = counted.sum().to(values.dtype)
    count = count if shard is None else shard.total(count.detach())
    kept = None if torch.compiler.is_compiling() or transformed() else count.detach()
    if reduction == "none":
        return LossResult(values, kept, backend)
    check_reduction("losses", reduction)
    total = values.sum() if shard is None else shard.total(values.sum())
    return LossResult(total if reduction == "sum" else total / count.clamp(min=TINY), kept, backend)
