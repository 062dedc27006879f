"""A classifier and a contrastive loss: pretraining, then fine-tuning or a linear evaluation; or both losses at once."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from manylabel import metrics
from manylabel.errors import ManyLabelError
from manylabel.methods.base import EncoderTrainer, Ready
from manylabel.methods.classifier_stage import (
    Classification,
    build_criterion,
    measure,
    measure_highest,
    new_classifier,
)
from manylabel.methods.contrastive_term import ContrastSettings, build_contrast, build_term
from manylabel.methods.joint import Balance, JointContrast, JointTraining
from manylabel.methods.linear_probe import LinearProbeEvaluation, LinearProbeSettings
from manylabel.methods.networks import compile_networks, width
from manylabel.methods.recipe import ClassifySettings, Settings
from manylabel.methods.rows import DeviceRows, embed
from manylabel.methods.scorer import NetworkScorer
from manylabel.models import Preprocessor
from manylabel.models.inputs import ViewSettings
from manylabel.training import Ranks, Run, Stage, Task, divide, sharded
from manylabel.training.probe import ridge
from manylabel.training.sampling import Division

_MOST_PROBED = 1 << 16  # training rows of the ridge regression, where labels are very many


class PretrainSettings(ContrastSettings):
    """Contrastive pretraining.

    Attributes
    ----------
    stage : Stage
    views : ViewSettings
    """

    stage: Stage
    views: ViewSettings = ViewSettings()


class SecondStage(ClassifySettings):
    """Training of the classifier, on a pretrained encoder or along with it.

    Attributes
    ----------
    grid : LinearProbeSettings or None, default None
        Train the classifiers of a grid on the frozen encoder in place of one; ``encoder_rate`` is then 0.
    """

    grid: LinearProbeSettings | None = None


class ContrastiveSettings(Settings):
    """All settings of the family "contrastive"; there is a pretraining, a contrast, or both.

    Attributes
    ----------
    classifier : str, default "bce"
        The loss of the classifier; ``loss`` is the contrastive one.
    pretrain : PretrainSettings or None, default None
    contrast : JointContrast or None, default None
        Train the contrastive loss along with the classifier, on the views under ``classify.views``.
    classify : SecondStage
    """

    classifier: str = "bce"
    pretrain: PretrainSettings | None = None
    contrast: JointContrast | None = None
    classify: SecondStage

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the stages of the training."""
        if self.pretrain is None:
            return ("train",)
        if self.classify.grid is not None:
            return "pretrain", "grid"
        return "pretrain", "finetune" if self.classify.encoder_rate > 0 else "probe"

    @property
    def terms(self) -> tuple[ContrastSettings, ...]:
        """Where the contrastive loss is used."""
        return tuple(term for term in (self.pretrain, self.contrast) if term is not None)

    def check(self, who: str) -> None:
        """Refuse what does not go together."""
        super().check(who)
        rate, grid = self.classify.encoder_rate, self.classify.grid is not None
        joined = self.contrast is not None or self.pretrain is None
        if not self.terms:
            raise ManyLabelError(who, "settings of pretrain or contrast", "none", "Or take the recipe bce.")
        if grid and joined:
            raise ManyLabelError(who, "no grid where losses are joined", "classify.grid")
        if grid and self.classify.negatives is not None:
            raise ManyLabelError(who, "no classify.negatives with a grid", repr(self.classify.negatives))
        if grid and self.classify.start != "random":
            raise ManyLabelError(who, "no classify.start with a grid", repr(self.classify.start))
        if grid and rate > 0:
            raise ManyLabelError(who, "classify.encoder_rate 0 with a grid", repr(rate))
        if joined and rate != 1:
            raise ManyLabelError(who, "classify.encoder_rate 1 where losses are joined", repr(rate))


class Pretraining(Task):
    """Train an encoder on a contrastive loss.

    Parameters
    ----------
    loss : str
        Name of a contrastive loss.
    inputs : Preprocessor
    encoder : nn.Module
        What is pretrained, (B, *shape) -> (B, H).
    train, validation : DeviceRows
    settings : PretrainSettings
    highest : bool, default False
        Whether what is monitored is measured on the highest scores, as of very many labels.
    """

    def __init__(
        self,
        loss: str,
        inputs: Preprocessor,
        encoder: nn.Module,
        train: DeviceRows,
        validation: DeviceRows,
        settings: PretrainSettings,
        highest: bool = False,
    ) -> None:
        rows = contrasted(settings.stage, len(train)).least
        self.term = build_term(loss, inputs, encoder, train.Y, settings, rows)
        self.module: nn.Module = self.term
        self.groups = self.term.groups
        compile_networks(settings.stage.compile, encoder, *self.term.others)
        self.encoder, self.inputs, self.view = encoder, inputs, inputs.view(settings.views)
        self.settings, self.highest = settings, highest
        self.train, self.validation, self.n_rows = train, validation, len(train)
        self.labels = train.Y

    def loss(self, rows: Tensor) -> Tensor:
        """The contrastive loss of these rows."""
        own, others = self.term.views(self.train.X[rows], self.view)
        labels, weights = self.train.Y.take(rows), self.train.weights_of(rows)
        return self.term(self.encoder(own), labels, others, weights)  # type: ignore[no-any-return]

    def windows(self, generator: torch.Generator) -> list[Tensor]:
        """By blocks where rows are read from disk."""
        return self.train.windows(generator)

    @torch.no_grad()
    def monitor(self) -> dict[str, float]:
        """How well a ridge regression on the frozen representations predicts the validation rows' labels.

        Of very many labels it is one on some of the training rows, evenly drawn.
        """
        train = self.train
        if self.highest and len(train) > _MOST_PROBED:
            train = train.take(torch.linspace(0, len(train) - 1, _MOST_PROBED, device=train.Y.device).long())
        score = ridge(embed(self.encoder, train, self.inputs), train.Y)
        Z, Y = embed(self.encoder, self.validation, self.inputs), self.validation.Y
        if self.highest:
            return measure_highest(metrics.StreamedScores(lambda part: score(Z[part]), Y.shape), Y)
        return measure(score(Z), Y)


def contrasted(stage: Stage, n_rows: int) -> Division:
    """The steps of an epoch of a contrastive loss.

    Raises
    ------
    ManyLabelError
        For steps of fewer than two rows: a row is contrasted with others.
    """
    division = divide(stage, n_rows, Ranks.current().world)
    if division.least < 2:
        hint = "Give more training rows and a batch of at least 2, or take a method without a contrast, such as bce."
        raise ManyLabelError("contrastive loss", "at least 2 rows in a step", str(division.least), hint)
    return division


class ContrastiveMethod(EncoderTrainer):
    """Pretrain, then fine-tune or probe, or train jointly.

    Raises
    ------
    ManyLabelError
        For settings that the losses do not take.
    """

    settings: ContrastiveSettings

    def __init__(self, settings: ContrastiveSettings, encoder: nn.Module | None = None) -> None:
        super().__init__(settings, encoder)
        self.stages = settings.stages
        for term in settings.terms:
            build_contrast(settings.loss, term)  # refuses unknown settings before data are read
        build_criterion(settings.classifier, settings.classify.loss)

    def train(self, ready: Ready, run: Run) -> NetworkScorer:
        settings, inputs = self.settings, ready.inputs
        encoder = self.new_encoder(ready)
        if settings.pretrain is not None:
            highest = settings.classify.negatives is not None
            stage, momentum = settings.pretrain.stage, settings.pretrain.candidates == "momentum"
            with sharded(encoder, stage.shard and not momentum) as trained:
                pretraining = Pretraining(
                    settings.loss, inputs, trained, *ready.parts, settings.pretrain, highest
                )
                run.train("pretrain", pretraining, stage)
        return self.scorer(inputs, encoder, self._classifier(run, inputs, encoder, *ready.parts))

    def _classifier(
        self,
        run: Run,
        inputs: Preprocessor,
        encoder: nn.Module,
        train: DeviceRows,
        validation: DeviceRows,
    ) -> nn.Linear:
        """The last stage: a classifier, on a pretrained encoder or trained along with it."""
        settings = self.settings
        classify, name = settings.classify, settings.stages[-1]
        criterion = build_criterion(settings.classifier, classify.loss)
        if classify.grid is not None:
            grid = LinearProbeEvaluation(inputs, encoder, train, validation, classify.grid, criterion)
            run.train(name, grid, classify.stage)
            return grid.classifier()
        classifier = new_classifier(width(encoder, inputs), train.Y, classify)
        parts = train, validation, classify, criterion
        if settings.contrast is None:
            with sharded(encoder, classify.stage.shard and classify.encoder_rate > 0) as trained:
                run.train(name, Classification(inputs, trained, classifier, *parts), classify.stage)
            return classifier
        division, contrast = contrasted(classify.stage, len(train)), settings.contrast
        term = build_term(settings.loss, inputs, encoder, train.Y, contrast, division.least)
        balance = Balance(contrast.weight, contrast.balance, classify.stage.epochs * division.steps)
        run.train(
            name,
            JointTraining(inputs, encoder, classifier, *parts, term, balance.to(inputs.mean.device)),
            classify.stage,
        )
        return classifier
