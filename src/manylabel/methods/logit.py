"""End to end: encoder and classifier trained together on a loss of the logits."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from manylabel.data.dataset import Rows
from manylabel.methods.base import prepare, seeded, start_run
from manylabel.methods.classification import Classification, build_criterion
from manylabel.methods.networks import check_network, width
from manylabel.methods.recipe import Recipe
from manylabel.methods.rows import DeviceRows
from manylabel.methods.scorer import NetworkScorer
from manylabel.training import Listener


class LogitMethod:
    """Train encoder and classifier together; see :class:`manylabel.methods.Method` for :meth:`fit`.

    Parameters
    ----------
    recipe : Recipe
        Of the family "logit"; its loss is one of :mod:`manylabel.losses` on logits.
    encoder : nn.Module, optional
        A network (B, *shape) -> (B, H) in place of the recipe's; it is copied, not changed.
    """

    stages = ("train",)

    def __init__(self, recipe: Recipe, encoder: nn.Module | None = None) -> None:
        check_network(f"method {recipe.name}", encoder)
        self.name, self.recipe, self.encoder = recipe.name, recipe, encoder
        for kind in (recipe.vectors, recipe.images):
            build_criterion(recipe.loss, kind.classify.loss)  # refuses unknown settings before data are read

    def fit(
        self,
        train: Rows,
        validation: Rows,
        *,
        seed: int = 0,
        folder: str | Path | None = None,
        progress: Listener | None = None,
    ) -> NetworkScorer:
        run = start_run(self.recipe, self.stages, train, validation, seed, folder, progress, self.encoder)
        with seeded(seed, f"method {self.name}"):
            ready = prepare(self.recipe, self.encoder, train)
            inputs, encoder = ready.inputs, ready.encoder
            classifier = nn.Linear(width(encoder, inputs), train.Y.n_labels).to(inputs.mean.device)
            parts = DeviceRows.of(train, inputs), DeviceRows.of(validation, inputs)
            settings = self.recipe.settings(train.X.kind).classify
            criterion = build_criterion(self.recipe.loss, settings.loss)
            task = Classification(inputs, encoder, classifier, *parts, settings, criterion)
            run.train("train", task, settings.stage)
        return NetworkScorer(inputs, encoder, classifier, ready.built_from)
