"""What every contrastive loss is given, checked: anchors, candidates and the labels of both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix, Labels
from manylabel.losses.precision import working_dtype
from manylabel.losses.ranks import Shard
from manylabel.losses.softmax import Contrast, Engine, PairWeights, contrast

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

EPS = 1e-8  # what the authors of the overlap and prototype losses add to their denominators
REDUCTIONS = ("mean", "sum", "none")


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
        self, weights: PairWeights, temperature: float, normalize: bool, engine: str | Engine
    ) -> Contrast:
        """Anchors against candidates under the weights of a loss."""
        return contrast(
            self.z,
            self.keys,
            weights,
            temperature=temperature,
            normalize=normalize,
            engine=engine,
            own=self.own,
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
    check_embeddings(who, "embeddings", z)
    own = read_labels(who, Y, z, "embeddings", binary)
    if keys is None:
        if Y_keys is not None:
            raise ManyLabelError(
                who, "keys along with Y_keys", "Y_keys alone", "Pass the rows of the candidates."
            )
        return Batch(z, own, None, own, 0, shard)
    check_embeddings(who, "keys", keys)
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
    other = read_labels(who, Y_keys, keys, "keys", binary)
    if other.n_labels != own.n_labels:
        raise ManyLabelError(
            who,
            f"labels of keys with {own.n_labels} columns to match Y",
            str(other.shape),
            "Use the same label columns for anchors and candidates.",
        )
    return Batch(z, own, keys, other, None, shard)


def check_embeddings(who: str, what: str, z: Tensor) -> None:
    """Refuse anything but a floating (n, D) tensor."""
    if not isinstance(z, Tensor) or z.dim() != 2 or not z.is_floating_point():
        got = f"{z.dtype} of shape {tuple(z.shape)}" if isinstance(z, Tensor) else type(z).__name__
        raise ManyLabelError(
            who, f"{what} as a floating tensor of shape (n, D)", got, "Pass one row per sample."
        )


def read_labels(who: str, Y: Labels, z: Tensor, what: str, binary: bool) -> LabelMatrix:
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
    return labels.compact()


def check_temperature(who: str, temperature: float) -> None:
    if not temperature > 0:
        raise ManyLabelError(
            who, "a temperature above 0", repr(temperature), "Common values are 0.05 to 0.5."
        )


def check_reduction(who: str, reduction: str, known: tuple[str, ...] = REDUCTIONS) -> None:
    """Refuse an unknown reduction."""
    if reduction not in known:
        *most, last = map(repr, known)
        hint = "Leave it out for the loss's own default."
        raise ManyLabelError(who, f"reduction {', '.join(most)} or {last}", repr(reduction), hint)


def reduce(
    values: Tensor, reduction: str, divisor: Tensor | int, engine: str | Engine, shard: Shard | None = None
) -> Tensor:
    """Per-anchor values, their sum, or their sum over the loss's own divisor (0 where nothing counted).

    With a shard, values and divisor are those of this rank's anchors, and both are summed over the ranks. The
    engine keeps the divisor of an eager call.
    """
    count = torch.as_tensor(divisor, dtype=values.dtype, device=values.device).detach()
    count = count if shard is None else shard.total(count)
    Engine.of(engine).divisor = None if torch.compiler.is_compiling() else count
    if reduction == "none":
        return values
    total = values.sum() if shard is None else shard.total(values.sum())
    return total if reduction == "sum" else total / count.clamp(min=1e-12)
