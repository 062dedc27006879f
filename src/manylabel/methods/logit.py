"""End to end: encoder and classifier trained together on a loss of the logits."""

from __future__ import annotations

from torch import nn

from manylabel.methods.base import EncoderTrainer, Ready
from manylabel.methods.classifier_stage import Classification, build_criterion, new_classifier
from manylabel.methods.networks import width
from manylabel.methods.recipe import Settings
from manylabel.methods.scorer import NetworkScorer
from manylabel.training import Run, sharded


class LogitMethod(EncoderTrainer):
    """Train encoder and classifier together on one of :mod:`manylabel.losses` on logits."""

    def __init__(self, settings: Settings, encoder: nn.Module | None = None) -> None:
        super().__init__(settings, encoder)
        build_criterion(settings.loss, settings.classify.loss)  # refuses unknown ones before data are read

    def train(self, ready: Ready, run: Run) -> NetworkScorer:
        inputs, settings = ready.inputs, self.settings.classify
        encoder = self.new_encoder(ready)
        classifier = new_classifier(width(encoder, inputs), ready.train.Y, settings)
        criterion = build_criterion(self.settings.loss, settings.loss)
        with sharded(encoder, settings.stage.shard and settings.encoder_rate > 0) as trained:
            task = Classification(inputs, trained, classifier, *ready.parts, settings, criterion)
            run.train("train", task, settings.stage)
        return self.scorer(inputs, encoder, classifier)
