"""End to end: encoder and classifier trained together on a loss of the logits."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from manylabel.data.dataset import Rows
from manylabel.methods.base import prepare, seeded, start_run
from manylabel.methods.classification import Classification, build_criterion
from manylabel.methods.networks import check_network, width
from manylabel.methods.recipe import Settings
from manylabel.methods.rows import DeviceRows
from manylabel.methods.scorer import NetworkScorer
from manylabel.training import Listener


class LogitMethod:
    """Train encoder and classifier together; see :class:`manylabel.methods.base.Trainer` for :meth:`fit`.

    Parameters
    ----------
    settings : Settings
        Of the family "logit"; its loss is one of :mod:`manylabel.losses` on logits.
    encoder : nn.Module, optional
        A network (B, *shape) -> (B, H) in place of the recipe's; it is copied, not changed.
    """

    stages = ("train",)

    def __init__(self, settings: Settings, encoder: nn.Module | None = None) -> None:
        check_network(f"method {settings.name}", encoder)
        self.name, self.settings, self.encoder = settings.name, settings, encoder
        build_criterion(settings.loss, settings.classify.loss)  # refuses unknown ones before data are read

    def fit(
        self,
        train: Rows,
        validation: Rows,
        *,
        seed: int = 0,
        folder: str | Path | None = None,
        progress: Listener | None = None,
    ) -> NetworkScorer:
        run = start_run(self.settings, self.stages, train, validation, seed, folder, progress, self.encoder)
        with seeded(seed, f"method {self.name}"):
            ready = prepare(self.settings, self.encoder, train)
            inputs, encoder = ready.inputs, ready.encoder
            classifier = nn.Linear(width(encoder, inputs), train.Y.n_labels).to(inputs.mean.device)
            parts = DeviceRows.of(train, inputs), DeviceRows.of(validation, inputs)
            settings = self.settings.classify
            criterion = build_criterion(self.settings.loss, settings.loss)
            task = Classification(inputs, encoder, classifier, *parts, settings, criterion)
            run.train("train", task, settings.stage)
        return NetworkScorer(inputs, encoder, classifier, ready.built_from)
