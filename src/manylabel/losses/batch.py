"""What every contrastive loss is given, checked: anchors, candidates and the labels of both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from manylabel.errors import ManyLabelError
from manylabel.kernels.transforms import transformed
from manylabel.labels import LabelMatrix, Labels
from manylabel.losses.precision import working_dtype
from manylabel.losses.ranks import Shard
from manylabel.losses.softmax import Contrast, Engine, PairWeights, contrast

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

LABEL_GRADIENT = "labels that require a gradient"
FLOATING = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
EPS = 1e-8  # what the authors of the overlap and prototype losses add to their denominators


@dataclass
class Batch:
    """Anchors ``z`` (B, D) with labels ``Y``, candidates ``keys`` (N, D) with labels ``T``.

    Attributes
    ----------
    own : int or None
        Anchor i is candidate ``own + i`` and is left out of its own candidates; None where no anchor is among
        the candidates.
    keys : tensor or None
        None where the candidates are the anchors; ``T`` is then ``Y``.
    shard : Shard or None
        Where the anchors are only this process's part of the batch; the candidates are those of all.
    """

    z: Tensor
    Y: LabelMatrix
    keys: Tensor | None
    T: LabelMatrix
    own: int | None = None
    shard: Shard | None = None

    @property
    def mutual(self) -> bool:
        """Whether the candidates are the batch itself."""
        return self.own is not None

    @property
    def dtype(self) -> torch.dtype:
        return working_dtype(self.z)

    def spread(self) -> Batch:
        """The same anchors against the candidates of all ranks."""
        if self.shard is None:
            return self
        keys = self.shard.rows(self.z if self.keys is None else self.keys)
        T, own = self.shard.labels(self.T), None if self.own is None else self.shard.first(len(self.z))
        return replace(self, keys=keys, T=T, own=own)

    def contrast(
        self,
        weights: PairWeights,
        temperature: float | Tensor,
        normalize: bool,
        engine: str | Engine,
        plain: str | None = None,
    ) -> Contrast:
        """Anchors against candidates under the weights of a loss.

        ``plain`` names what these depend on that only plain operators can differentiate.
        """
        of_labels = self.Y.requires_grad or self.T.requires_grad
        return contrast(
            self.z,
            self.keys,
            weights,
            temperature=temperature,
            normalize=normalize,
            engine=engine,
            own=self.own,
            plain=LABEL_GRADIENT if of_labels else plain,
        )


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
    shard = None if group is None else Shard(group)
    z = check_embeddings(who, "embeddings", z)
    own = read_labels(who, Y, z, "embeddings", binary, shard is not None)
    if keys is None:
        if Y_keys is not None:
            raise ManyLabelError(
                who, "keys along with Y_keys", "Y_keys alone", "Pass the rows of the candidates."
            )
        return Batch(z, own, None, own, 0, shard)
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
    if other.n_labels != own.n_labels:
        raise ManyLabelError(
            who,
            f"labels of keys with {own.n_labels} columns to match Y",
            str(other.shape),
            "Use the same label columns for anchors and candidates.",
        )
    return Batch(z, own, keys, other, None, shard)


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
    labels = LabelMatrix.of(Y, binary=binary, who=who)
    if labels.n_rows != len(z):
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
    values: Tensor, reduction: str, divisor: Tensor | int, engine: str | Engine, shard: Shard | None = None
) -> Tensor:
    """Per-anchor values, their sum, or their sum over the loss's own divisor (0 where nothing counted).

    With a shard, values and divisor are those of this rank's anchors, and both are summed over the ranks. The
    engine keeps the divisor of an eager call.
    """
    count = torch.as_tensor(divisor, dtype=values.dtype, device=values.device)
    count = count if shard is None else shard.total(count.detach())
    Engine.of(engine).divisor = None if torch.compiler.is_compiling() or transformed() else count.detach()
    if reduction == "none":
        return values
    total = values.sum() if shard is None else shard.total(values.sum())
    return total if reduction == "sum" else total / count.clamp(min=1e-12)
