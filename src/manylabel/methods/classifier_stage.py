"""The classifier stage: a linear layer on an encoder, trained on the labels, together with it or on top of it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from manylabel import losses, metrics
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix, Labels
from manylabel.methods.centroids import start_at_centroids
from manylabel.methods.networks import check_batch_norm, compile_networks
from manylabel.methods.recipe import ClassifySettings
from manylabel.methods.rows import DeviceRows, embed
from manylabel.metrics.scores import blocks
from manylabel.models import FlatParameters, Preprocessor
from manylabel.models.inputs import View
from manylabel.training import Group, Ranks, ShardedParameters, Task, divide
from manylabel.training.sharding import is_in_parts

LogitLoss: TypeAlias = Callable[..., Tensor]
"""``loss(logits, Y, sample_weight=None) -> scalar``"""

MONITORED_OF_HIGHEST = ("precision_at_1", "precision_at_5", "macro_f1", "micro_f1", "example_f1")
_ENTRIES_OF_ROW = 1 << 11  # what a row counts where the loss is monitored: blocks are of 512 rows
MONITORED = ("map", "macro_f1", "micro_f1", "example_f1", "hamming_accuracy")


def build_criterion(name: str, settings: Mapping[str, Any]) -> nn.Module:
    """The loss of logits that trains a classifier.

    Parameters
    ----------
    name : str
        One of :func:`manylabel.losses.names` on logits.
    settings : mapping
        The ``classify.loss`` of a recipe.

    Raises
    ------
    ManyLabelError
        If the loss has no such setting, or gives more than one number.
    """
    check_loss_settings("classify.loss", settings)
    if settings.get("reduction") == "none":
        raise ManyLabelError(
            "classify.loss.reduction", "'mean', 'rows' or 'sum'", "'none'", "Training needs one number."
        )
    return built_loss("classify.loss", name, settings)


def over_ranks(loss: LogitLoss) -> LogitLoss:
    """The same loss over the rows of all ranks; as it is, every rank computes it of the rows that it is given."""
    group = Ranks.current().group
    if group is None:
        return loss
    shared = copy.copy(loss)
    shared.group = group  # type: ignore[attr-defined]
    return shared


def built_loss(who: str, name: str, settings: Mapping[str, Any]) -> nn.Module:
    """A loss of the settings of a recipe.

    Raises
    ------
    ManyLabelError
        For a setting that the loss does not have, and one whose type it cannot compute with.
    """
    try:
        return losses.get(name, **settings)
    except ManyLabelError:
        raise
    except (TypeError, ValueError, RuntimeError) as error:
        got = (str(error) or type(error).__name__).splitlines()[0]
        raise ManyLabelError(f"{who}, loss {name}", "settings of the types that it takes", got) from error


def check_loss_settings(who: str, settings: Mapping[str, Any], own: Collection[str] = ()) -> None:
    """Refuse settings of a loss that are not the recipe's to give.

    Parameters
    ----------
    who : str
        The section of the recipe.
    settings : mapping
    own : collection of str
        What the method sets itself.

    Raises
    ------
    ManyLabelError
        Names the setting.
    """
    taken = sorted(settings.keys() & {"name", "group", *own})
    if taken:
        hint = "The method sets it itself."
        raise ManyLabelError(f"{who}.{taken[0]}", "settings of the loss, such as gamma_neg", "this one", hint)


def new_classifier(size: int, Y: LabelMatrix, settings: ClassifySettings) -> nn.Linear:
    """A linear classifier (B, size) -> (B, n_labels) with fresh weights, on the device of the labels.

    Where labels are drawn for the loss, it starts with every label as likely as it is among the training rows: from one
    half, most steps would be spent on biases of labels that are hardly ever drawn.
    """
    classifier = nn.Linear(size, Y.n_labels).to(Y.device)
    if settings.negatives is not None:
        counts = Y.label_counts()
        with torch.no_grad():
            classifier.bias.copy_(torch.log((counts + 0.5) / (len(Y) - counts + 0.5)))
    return classifier


@dataclass(frozen=True)
class Parts:
    """Training and validation rows as they are."""

    train: DeviceRows
    validation: DeviceRows


class Frozen:
    """Training and validation rows as a frozen encoder represents them.

    They are represented when they are first asked for: by then a checkpoint, if there is one, has restored the encoder.
    """

    def __init__(
        self, encoder: nn.Module, inputs: Preprocessor, train: DeviceRows, validation: DeviceRows
    ) -> None:
        self.encoder, self.inputs, self.parts = encoder, inputs, Parts(train, validation)

    @cached_property
    def train(self) -> DeviceRows:
        return self._represented(self.parts.train)

    @cached_property
    def validation(self) -> DeviceRows:
        return self._represented(self.parts.validation)

    def _represented(self, part: DeviceRows) -> DeviceRows:
        return DeviceRows(embed(self.encoder, part, self.inputs), part.Y, part.weights)


class Classification(Task):
    """Train a classifier on labelled rows; with an encoder rate of 0 the encoder stays as it is.

    Parameters
    ----------
    inputs : Preprocessor
    encoder : nn.Module
    classifier : nn.Module
        (B, H) -> (B, n_labels) logits; linear where it starts at centroids, which it is brought to here.
    train, validation : DeviceRows
    settings : ClassifySettings
    loss : callable (logits, Y) -> scalar
    encoder_groups : list of Group, optional
        Where the parameters of the encoder are part of something else that is trained along.
    """

    def __init__(
        self,
        inputs: Preprocessor,
        encoder: nn.Module,
        classifier: Any,
        train: DeviceRows,
        validation: DeviceRows,
        settings: ClassifySettings,
        loss: LogitLoss,
        encoder_groups: Sequence[Group] | None = None,
    ) -> None:
        self.criterion, self.monitored, self.block = over_ranks(loss), loss, inputs.block
        self.classifier, self.negatives = classifier, settings.negatives
        if settings.start == "centroids":
            start_at_centroids(classifier, encoder, inputs, train)
        compile_networks(settings.stage.compile and settings.encoder_rate > 0, encoder)
        self.rows: Frozen | Parts
        if settings.encoder_rate == 0:
            self.rows = Frozen(encoder, inputs, train, validation)
            self.network = nn.Sequential(nn.Identity(), classifier)
            self.view: View = lambda x: x
            self.plain: View = self.view
        else:
            self.rows = Parts(train, validation)
            self.network = nn.Sequential(encoder, classifier)
            world = Ranks.current().world
            share = 1 if settings.stage.sync_batch_norm else world
            check_batch_norm(self.network, divide(settings.stage, len(train), world).least // share)
            self.view, self.plain = inputs.view(settings.views), inputs.finished
        self.module: nn.Module = nn.ModuleDict({"network": self.network, "encoder": encoder})
        self.labels = train.Y
        self.groups = _groups(encoder, classifier, settings.encoder_rate, encoder_groups)
        self.n_rows = len(train)

    def loss(self, rows: Tensor) -> Tensor:
        """The classifier's loss on a view of these rows."""
        train = self.rows.train
        h = self.network[0](self.view(train.X[rows]))  # (B, H)
        return self.classified(h, train.Y.take(rows), train.weights_of(rows))

    def classified(
        self, h: Tensor, Y: LabelMatrix, weights: Tensor | None, criterion: LogitLoss | None = None
    ) -> Tensor:
        """The classifier's loss of representations (B, H), on all labels or on those drawn for them."""
        criterion = criterion or self.criterion
        if self.negatives is None:
            return criterion(self.classifier(h), Y, sample_weight=weights)
        drawn = losses.draw_labels(Y, self.negatives)
        if weights is not None and weights.dim() == 2:
            weights = weights[:, drawn.numbers]
        classifier: Any = self.classifier  # linear, where labels are drawn
        logits = drawn.logits(h, classifier.weight, classifier.bias)
        return criterion(logits, drawn.Y, sample_weight=weights, stands_for=drawn.stands_for)

    def windows(self, generator: torch.Generator) -> list[Tensor]:
        """By blocks where rows are read from disk, which representations are not."""
        return self.rows.train.windows(generator)

    @torch.no_grad()
    def monitor(self) -> dict[str, float]:
        """Loss and metrics on the validation rows; each F1 at its best threshold there.

        Of very many labels the logits are made by the block, and the loss is the mean over blocks. Where labels are
        drawn for the loss, they are drawn here too, the same every time, and the metrics are those of the highest
        scores, of which F1 at a threshold is one where none that was left out reaches it.
        """
        self.network.eval()
        validation = self.rows.validation
        if self.negatives is not None:
            Z = torch.cat([self.network[0](self.plain(x)) for x in validation.parts(self.block)])
            alone = partial(self.classified, criterion=self.monitored)
            return monitor_highest(Z, alone, self.classifier, validation.Y)
        if 4 * len(validation) * validation.Y.n_labels > metrics.WHOLE_UP_TO:
            return monitor_by_block(lambda x: self.network(self.plain(x)).float(), self.monitored, validation)
        logits = torch.cat([self.network(self.plain(x)) for x in validation.parts(self.block)]).float()
        loss = float(self.monitored(logits, validation.Y))
        return {"loss": loss} | measure(torch.sigmoid(logits), validation.Y)


def _groups(
    encoder: nn.Module, classifier: nn.Module, rate: float, others: Sequence[Group] | None
) -> list[Group]:
    """What is trained: one group where one learning rate and type hold for all, which makes a step cheaper."""
    if any(map(is_in_parts, encoder.parameters())):
        return [Group(FlatParameters(classifier.parameters())), Group(ShardedParameters(encoder), rate)]
    every = [*classifier.parameters(), *encoder.parameters()]
    if others is None and rate == 1 and len({p.dtype for p in every if p.requires_grad}) == 1:
        return [Group(FlatParameters(every))]
    of_classifier = Group(FlatParameters(classifier.parameters()))
    if others is not None:
        return [of_classifier, *others]
    return [of_classifier, Group(FlatParameters(encoder.parameters()), rate)] if rate else [of_classifier]


def monitor_by_block(
    logits: Callable[[Tensor], Tensor], criterion: LogitLoss, rows: DeviceRows
) -> dict[str, float]:
    """Loss and metrics of rows whose logits are made by the block; the loss is the mean over blocks, by their rows."""
    shape = rows.Y.shape
    every = torch.arange(len(rows), device=rows.Y.device)
    loss = 0.0
    for block in blocks(*shape):
        loss += float(criterion(logits(rows.X[every[block]]), rows.Y.take(block))) * (
            block.stop - block.start
        )
    scores = metrics.StreamedScores(lambda block: torch.sigmoid(logits(rows.X[every[block]])), shape)
    return {"loss": loss / len(rows)} | measure(scores, rows.Y)


def monitor_highest(
    Z: Tensor, classified: Callable[..., Tensor], classifier: nn.Module, Y: LabelMatrix
) -> dict[str, float]:
    """Loss on drawn labels, the same at every call, and metrics of the highest scores of rows.

    Parameters
    ----------
    Z : (n, H) tensor
        Representations.
    classified : callable (Z, Y, weights) -> scalar
        The loss on drawn labels.
    classifier : nn.Module
        (n, H) -> (n, n_labels) logits
    Y : LabelMatrix (n, n_labels)
    """
    loss = 0.0
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for part in blocks(len(Z), _ENTRIES_OF_ROW):
            loss += float(classified(Z[part], Y.take(part), None)) * (part.stop - part.start)
    scores = metrics.StreamedScores(lambda part: torch.sigmoid(classifier(Z[part]).float()), Y.shape)
    return {"loss": loss / len(Z)} | measure_highest(scores, Y)


def measure_highest(scores: metrics.StreamedScores, Y: LabelMatrix) -> dict[str, float]:
    """Metrics of the highest scores of validation rows, thresholds chosen on them; only what these tell."""
    top = metrics.TopScores.of(scores, metrics.KEPT)
    grid = [t for t in metrics.GRID if t > top.bound]
    named: tuple[str, ...] = MONITORED_OF_HIGHEST if grid else MONITORED_OF_HIGHEST[:2]
    if Y.n_labels < 5:  # no five places
        named = tuple(name for name in named if name != "precision_at_5")
    return dict(metrics.evaluate(top, Y, protocol="oracle", metrics=named, grid=grid or None).values)


def measure(scores: Tensor | metrics.StreamedScores, Y: Labels) -> dict[str, float]:
    """Metrics of validation rows, thresholds chosen on them."""
    made = scores.float() if isinstance(scores, Tensor) else scores
    found = metrics.evaluate(made, Y, protocol="oracle", metrics=MONITORED)
    return dict(found.values)
