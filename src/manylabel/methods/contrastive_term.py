"""A contrastive loss as a part of training: its head, its prototypes, and where its candidates come from."""

from __future__ import annotations

from inspect import signature
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from manylabel import losses
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix, SparseLabels
from manylabel.losses.base import PrototypeLoss
from manylabel.losses.contrastive import ContrastiveLoss
from manylabel.losses.distributed import Shard
from manylabel.losses.sample_weight import TINY
from manylabel.methods.classifier_stage import built_loss
from manylabel.methods.networks import check_batch_norm, width
from manylabel.methods.recipe import Config
from manylabel.methods.rows import label_dtype
from manylabel.models import (
    FlatParameters,
    LabelQueue,
    MomentumEncoder,
    PlainHead,
    Preprocessor,
    ProjectionHead,
)
from manylabel.models.inputs import View
from manylabel.training import Group, Ranks, ShardedParameters
from manylabel.training.sharding import is_in_parts

_MANY_BATCHES = 8  # from so many batches in a queue on, running label sums cost less than summing all


class ContrastSettings(Config):
    """A contrastive loss and what it compares.

    Attributes
    ----------
    candidates : "momentum", "batch" or "views", default "momentum"
        With what a row is compared, beside the prototypes of losses that have them. ``momentum``: keys of a momentum
        encoder, made from a second view of the rows of the step, and those in the queue. ``batch``: the other rows of
        the batch, one view each. ``views``: the other rows and its own second view, all with gradient.
    loss : dict
        Settings of the loss beside the temperature, such as ``alpha`` of REG; the others stay at their defaults.
    temperature : float, default 0.1
    head : "normalised" or "plain", default "normalised"
        Of the network between representation and loss: :class:`~manylabel.models.ProjectionHead` with batch norm and
        dropout, or :class:`~manylabel.models.PlainHead`.
    dim : int, default 256
        Size of the embedding that enters the loss.
    queue : int, default 256
        Keys kept beside those of the step; 0 for none. For ``momentum`` only, as is the next.
    momentum : float, default 0.999
        Of the key encoder.
    """

    candidates: Literal["momentum", "batch", "views"] = "momentum"
    loss: dict[str, bool | float | str] = Field({})
    temperature: float = Field(0.1, gt=0)
    head: Literal["normalised", "plain"] = "normalised"
    dim: int = Field(256, ge=1)
    queue: int = Field(256, ge=0)
    momentum: float = Field(0.999, ge=0, le=1)


def build_contrast(name: str, settings: ContrastSettings) -> ContrastiveLoss | PrototypeLoss:
    """The contrastive loss of a recipe, over the rows of all ranks where it compares rows of the batch.

    Raises
    ------
    ManyLabelError
        If it is no contrastive loss, has no such setting, or takes no keys although the settings make some.
    """
    taken = {"name", "temperature", "reduction", "group"} & settings.loss.keys()
    if taken:
        hint = "The temperature has a setting of its own; training needs a mean over all ranks."
        raise ManyLabelError(f"loss {name}", "settings such as alpha", ", ".join(sorted(taken)), hint)
    criterion = built_loss("contrast", name, {"temperature": settings.temperature, **settings.loss})
    if not isinstance(criterion, ContrastiveLoss | PrototypeLoss):
        raise ManyLabelError("contrast", "a loss of embeddings", name)
    momentum = settings.candidates == "momentum"
    if momentum and "keys" not in signature(criterion.forward).parameters:
        hint = "Set candidates to batch or views."
        raise ManyLabelError(f"loss {name}", "candidates of the batch itself", "momentum", hint)
    if momentum and isinstance(criterion, losses.Debiased) and Ranks.current().world > 1:
        hint = "Set candidates to views: among the keys of all processes the other views do not come first."
        raise ManyLabelError(f"loss {name}", "candidates views over several processes", "momentum", hint)
    if not momentum or isinstance(criterion, PrototypeLoss):
        criterion.group = Ranks.current().group
    elif Ranks.current().world > 1:
        criterion.reduction = "sum"  # the divisor is that of all ranks, which share keys but not anchors
    return criterion


class ContrastiveTerm(nn.Module):
    """Contrast the rows of a batch with each other and with prototypes.

    Parameters
    ----------
    loss : str
        Name of a contrastive loss.
    inputs : Preprocessor
    encoder : nn.Module
        (B, *shape) -> (B, H); it is trained along.
    n_labels : int
    settings : ContrastSettings

    Attributes
    ----------
    query : nn.Sequential
        Encoder and head.
    prototypes : nn.Parameter (n_labels, dim) or None
        Xavier-uniform at the start.
    n_views : int
        Views drawn of each row.
    n_encoded : int
        How many of them the encoder takes; those left are for a key encoder.
    groups : list of Group
        Parameters of ``query`` and prototypes.
    """

    def __init__(
        self, loss: str, inputs: Preprocessor, encoder: nn.Module, n_labels: int, settings: ContrastSettings
    ) -> None:
        super().__init__()
        size, device = width(encoder, inputs), inputs.mean.device
        plain = settings.head == "plain"
        head = PlainHead(size, settings.dim) if plain else ProjectionHead(size, settings.dim)
        self.query = nn.Sequential(encoder, head.to(device))
        self.criterion = build_contrast(loss, settings)
        self.n_views = self.n_encoded = 2 if settings.candidates == "views" else 1
        if any(map(is_in_parts, encoder.parameters())):
            self.groups = [Group(FlatParameters(head.parameters())), Group(ShardedParameters(encoder))]
        else:
            self.groups = [Group(FlatParameters(self.query.parameters()))]
        self.prototypes: nn.Parameter | None = None
        if isinstance(self.criterion, PrototypeLoss):
            start = nn.init.xavier_uniform_(torch.empty(n_labels, settings.dim))
            self.prototypes = nn.Parameter(start.to(device))
            self.groups.append(Group(FlatParameters([self.prototypes])))

    @property
    def others(self) -> tuple[nn.Module, ...]:
        """Networks beside ``query``."""
        return ()

    def views(self, X: Tensor, view: View) -> tuple[Tensor, Tensor]:
        """Views of rows (B, ...): for the encoder (n_encoded * B, ...), and for the key encoder."""
        drawn = view(X.repeat(self.n_views, *[1] * (X.ndim - 1)))
        n = self.n_encoded * len(X)
        return drawn[:n], drawn[n:]

    def of_views(self, Y: LabelMatrix) -> LabelMatrix:
        """Labels of the first part of :meth:`views`."""
        return (
            Y if self.n_encoded == 1 else Y.take(torch.arange(len(Y), device=Y.device).repeat(self.n_encoded))
        )

    def weights_of_views(self, weights: Tensor | None) -> Tensor | None:
        """Weights of the first part of :meth:`views`."""
        return weights if weights is None or self.n_encoded == 1 else torch.cat([weights] * self.n_encoded)

    def forward(self, h: Tensor, Y: LabelMatrix, others: Tensor, weights: Tensor | None = None) -> Tensor:
        """The loss.

        Parameters
        ----------
        h : (n_encoded * B, H) tensor
            Representations of the first part of :meth:`views`.
        Y : LabelMatrix (B, n_labels)
        others : tensor
            The second part of :meth:`views`.
        weights : (B,) or (B, n_labels) tensor, optional
            How much the rows count as anchors; as candidates they all count alike.
        """
        z: Tensor = self.query[1](h)
        return self._compare(z, self.of_views(Y), self.weights_of_views(weights))

    def _compare(self, z: Tensor, Y: LabelMatrix, weights: Tensor | None, *keys: object) -> Tensor:
        prototypes = () if self.prototypes is None else (self.prototypes,)
        if not prototypes and not keys and weights is None:
            Y = own_labels(Y)
        return self.criterion(z, Y, *prototypes, *keys, sample_weight=weights)  # type: ignore[no-any-return]


def own_labels(Y: LabelMatrix) -> LabelMatrix:
    """Labels of a batch without those that no row carries, which no sum over its rows needs; lists alone are cut."""
    if not isinstance(Y, SparseLabels) or Y.has_unknown or Ranks.current().world > 1:
        return Y
    return Y.select_labels(Y.occurring())


class MomentumTerm(ContrastiveTerm):
    """Contrast one view of each row with the keys of another view and of the queue, and with prototypes.

    Parameters as in :class:`ContrastiveTerm`, and

    label_dtype : torch.dtype
        Of the labels in the queue.
    batch : int
        Rows of a step.

    Notes
    -----
    Each step: the key network follows the query network, then makes the keys of the step without gradient; candidates
    are these keys, those of the other ranks, and the filled part of the queue, into which the keys go afterwards. Every
    rank keeps the queue that one process would have: keys of a step stand in it in the order of the rows of the step,
    of which rank r has every world-th from the r-th on.
    """

    def __init__(
        self,
        loss: str,
        inputs: Preprocessor,
        encoder: nn.Module,
        n_labels: int,
        settings: ContrastSettings,
        label_dtype: torch.dtype,
        batch: int,
    ) -> None:
        super().__init__(loss, inputs, encoder, n_labels, settings)
        self.n_views, self.n_encoded = 2, 1
        flat = self.groups[0].parameters
        assert isinstance(flat, FlatParameters), "an encoder with a momentum copy is never in parts"
        self.key = MomentumEncoder(self.query, flat, settings.momentum)
        self.ranks = Ranks.current()
        self.queue: LabelQueue | None = None
        if settings.queue:
            many = settings.queue >= _MANY_BATCHES * batch
            sums = many and isinstance(self.criterion, losses.MulSupCon | losses.MulSupConWeighted)
            queue = LabelQueue(settings.queue, settings.dim, n_labels, label_dtype, sums)
            self.queue = queue.to(inputs.mean.device)

    @property
    def others(self) -> tuple[nn.Module, ...]:
        return (self.key.network,)

    def forward(self, h: Tensor, Y: LabelMatrix, others: Tensor, weights: Tensor | None = None) -> Tensor:
        """The loss; parameters as in :meth:`ContrastiveTerm.forward`."""
        self.key.update()
        z: Tensor = self.query[1](h)
        keys, labels = self._candidates(F.normalize(self.key(others).float()), Y)
        if self.prototypes is not None:  # the loss gathers those of all ranks itself
            share = slice(self.ranks.rank, None, self.ranks.world)
            keys, labels = keys[share], labels.take(share)
        value = self._compare(z, Y, weights, keys, labels)
        if self.ranks.world == 1 or self.criterion.group is not None:
            return value
        assert isinstance(self.criterion.divisor, Tensor)
        return value * self.ranks.world / self.ranks.sum(self.criterion.divisor).clamp(min=TINY)

    def _candidates(self, keys: Tensor, Y: LabelMatrix) -> tuple[Tensor, LabelMatrix]:
        if self.ranks.group is not None:
            keys, Y = self._of_all_ranks(Shard(self.ranks.group), keys, Y)
        if self.queue is None:
            return keys, Y
        labels = self.queue.storable(Y)
        candidates = self.queue.candidates(keys, labels)
        self.queue.push(keys, labels)
        return candidates

    def _of_all_ranks(self, shard: Shard, keys: Tensor, Y: LabelMatrix) -> tuple[Tensor, LabelMatrix]:
        """Keys and labels of the step in the order of its rows."""
        place = torch.arange(len(keys), device=keys.device) * self.ranks.world + self.ranks.rank
        order = shard.rows(place).argsort()
        return shard.rows(keys)[order], shard.labels(Y).take(order)


def build_term(
    loss: str,
    inputs: Preprocessor,
    encoder: nn.Module,
    Y: LabelMatrix,
    settings: ContrastSettings,
    batch: int,
) -> ContrastiveTerm:
    """The term that the settings ask for.

    Parameters
    ----------
    loss, inputs, encoder, settings
        As in :class:`ContrastiveTerm`.
    Y : LabelMatrix (n, n_labels)
        Labels of the training rows.
    batch : int
        Rows of a step, over all ranks.

    Raises
    ------
    ManyLabelError
        If batch norm would meet a single row.
    """
    if settings.candidates == "momentum":
        term: ContrastiveTerm = MomentumTerm(
            loss, inputs, encoder, Y.n_labels, settings, label_dtype(Y), batch
        )
    else:
        term = ContrastiveTerm(loss, inputs, encoder, Y.n_labels, settings)
    rows = batch // Ranks.current().world
    hint = "Give a larger batch or fewer ranks, or set the head to plain."
    check_batch_norm(term.query, term.n_encoded * rows, hint)
    return term
