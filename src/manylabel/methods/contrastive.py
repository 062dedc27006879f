"""Contrastive pretraining with a momentum encoder and a label queue, then a classifier on the encoder."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from manylabel import losses
from manylabel.data.dataset import Kind, Rows
from manylabel.labels import DenseLabels, LabelMatrix
from manylabel.methods.base import prepare, seeded, start_run
from manylabel.methods.classification import Classification, build_criterion, embed, measure
from manylabel.methods.networks import width
from manylabel.methods.recipe import PretrainSettings, Recipe
from manylabel.methods.rows import Resident, view
from manylabel.methods.scorer import NetworkScorer
from manylabel.models import FlatParameters, Inputs, LabelQueue, MomentumEncoder, ProjectionHead
from manylabel.training import Group, Listener, Ranks
from manylabel.training.probe import ridge_scores

_MANY_BATCHES = 8  # from so many batches in a queue on, running label sums cost less than summing all


class Pretraining:
    """Contrast one view of each row with the keys of another view and of the queue.

    Parameters
    ----------
    loss : str
        Name of a contrastive loss.
    inputs : Inputs
    encoder : nn.Module
        What is pretrained, (B, *shape) -> (B, H).
    train, validation : Resident
    settings : PretrainSettings

    Notes
    -----
    Each step: the key network follows the query network, then makes the keys of the step without gradient; candidates
    are these keys, those of the other ranks, and the filled part of the queue, into which the keys go afterwards.
    """

    def __init__(
        self,
        loss: str,
        inputs: Inputs,
        encoder: nn.Module,
        train: Resident,
        validation: Resident,
        settings: PretrainSettings,
    ) -> None:
        head = ProjectionHead(width(encoder, inputs), settings.dim).to(inputs.mean.device)
        query = nn.Sequential(encoder, head)
        parameters = FlatParameters(query.parameters())
        self.encoder, self.query, self.key = (
            encoder,
            query,
            MomentumEncoder(query, parameters, settings.momentum),
        )
        self.criterion = losses.get(loss, temperature=settings.temperature)
        self.queue = None
        self.labels: LabelMatrix = DenseLabels(train.Y)
        if settings.queue:
            many = settings.queue >= _MANY_BATCHES * settings.stage.batch
            sums = many and isinstance(self.criterion, losses.MulSupCon | losses.MulSupConWeighted)
            queue = LabelQueue(settings.queue, settings.dim, train.Y.shape[1], train.Y.dtype, sums)
            self.queue = queue.to(inputs.mean.device)
            self.labels = queue.storable(train.Y)
        parts = {"query": query, "key": self.key} | ({} if self.queue is None else {"queue": self.queue})
        self.module: nn.Module = nn.ModuleDict(parts)
        self.groups = [Group(parameters)]
        self.inputs, self.view = inputs, view(settings.views, inputs)
        self.train, self.validation, self.n_rows = train, validation, len(train)
        self.ranks = Ranks.current()

    def loss(self, rows: Tensor) -> Tensor:
        """The contrastive loss of these rows."""
        Y = self.train.Y[rows]
        first, second = self.view(self.train.X[rows.repeat(2)]).chunk(2)
        self.key.update()
        z = self.query(first)  # (B, D)
        keys = self.ranks.gather(F.normalize(self.key(second).float()))
        labels = self.labels.take(self.ranks.gather(rows.to(Y.device)))
        if self.queue is None:
            return self.criterion(z, Y, keys, labels)  # type: ignore[no-any-return]
        candidates = self.queue.candidates(keys, labels)
        self.queue.push(keys, labels)
        return self.criterion(z, Y, *candidates)  # type: ignore[no-any-return]

    @torch.no_grad()
    def monitor(self) -> dict[str, float]:
        """How well a ridge regression on the frozen representations predicts the validation rows' labels."""
        Z, Z_new = (embed(self.encoder, part, self.inputs) for part in (self.train, self.validation))
        return measure(ridge_scores(Z, self.train.Y, Z_new), self.validation.Y)


class ContrastiveMethod:
    """Pretrain, then fine-tune or probe; see :class:`manylabel.methods.Method` for :meth:`fit`.

    Parameters
    ----------
    recipe : Recipe
        Of the family "contrastive".
    encoder : nn.Module, optional
        A network (B, *shape) -> (B, H) in place of the recipe's; it is copied, not changed.
    """

    def __init__(self, recipe: Recipe, encoder: nn.Module | None = None) -> None:
        self.name, self.recipe, self.encoder = recipe.name, recipe, encoder
        for kind in (recipe.vectors, recipe.images):
            build_criterion("bce", kind.classify.loss)  # refuses unknown settings before data are read

    def fit(
        self,
        train: Rows,
        validation: Rows,
        *,
        kind: Kind = "vectors",
        seed: int = 0,
        folder: Path | None = None,
        progress: Listener | None = None,
    ) -> NetworkScorer:
        settings = self.recipe.settings(kind)
        assert settings.pretrain is not None
        second = "finetune" if settings.classify.encoder_rate > 0 else "probe"
        run = start_run(self.recipe, ("pretrain", second), train, validation, seed, folder, progress)
        with seeded(seed):
            ready = prepare(self.recipe, self.encoder, train, kind)
            inputs, encoder = ready.inputs, ready.encoder
            parts = Resident.of(train, inputs), Resident.of(validation, inputs)
            pretraining = Pretraining(self.recipe.loss, inputs, encoder, *parts, settings.pretrain)
            run.train("pretrain", pretraining, settings.pretrain.stage)
            classifier = nn.Linear(width(encoder, inputs), train.Y.n_labels).to(inputs.mean.device)
            criterion = build_criterion("bce", settings.classify.loss)
            task = Classification(inputs, encoder, classifier, *parts, settings.classify, criterion)
            run.train(second, task, settings.classify.stage)
        return NetworkScorer(inputs, encoder, classifier, ready.built_from)
