"""A method as people call it: a recipe, and what trains on each kind of data that it is defined for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from manylabel.data import Rows
from manylabel.methods.base import Order, Trainer
from manylabel.methods.decision import tuned
from manylabel.methods.ensemble import fit_members
from manylabel.methods.knn_interpolation import beside_neighbours
from manylabel.methods.model_folder import Schema
from manylabel.methods.part import Scorer
from manylabel.methods.predictor import Predictor, checked_names
from manylabel.methods.resolve import Recipe
from manylabel.methods.scorer import scores_of
from manylabel.training import Listener


class Method:
    """Turns training rows of any kind that its recipe knows into a predictor. It never sees test rows.

    Parameters
    ----------
    recipe : Recipe
    trainers : mapping of kind to Trainer
        Of the kinds that its settings can be used on.

    Attributes
    ----------
    name : str
    """

    def __init__(self, recipe: Recipe, trainers: Mapping[str, Trainer]) -> None:
        self.name, self.recipe, self.trainers = recipe.name, recipe, trainers

    def fit(
        self,
        train: Rows,
        validation: Rows,
        *,
        seed: int = 0,
        folder: str | Path | None = None,
        progress: Listener | None = None,
        label_names: Sequence[str] | None = None,
        device: str = "auto",
    ) -> Predictor:
        """Train, then learn on the validation rows from which score on a label is predicted.

        Parameters
        ----------
        train, validation : Rows
            The validation rows choose epochs and the threshold and are never trained on. Weights of training rows weigh
            the losses; of contrastive ones the anchors, of (n, n_labels) weights by their means over known labels.
            Nothing else looks at them: not the threshold, metrics, neighbours, nor what is monitored.
        seed : int, default 0
            Initial weights, order of rows, views. The caller's random state is left as it was.
        folder : str or Path, optional
            Keeps a checkpoint and a history; it is made where it is missing. A second call with the same folder, rows,
            recipe, seed and network goes on from there.
        progress : callable, optional
            Receives :class:`manylabel.training.Progress`.
        label_names : sequence of n_labels str, optional
            By default "label 0", "label 1" and so on.
        device : str, default "auto"
            Where networks are trained: "auto" is the first GPU if there is one.

        Raises
        ------
        ManyLabelError
            If the method is not defined for rows of this kind, or its settings cannot be used there; if the parts lack
            rows or do not fit each other, the network or the seed cannot be used, training diverges, or the folder
            cannot be written to or holds the checkpoint of another training.

        Warns
        -----
        UserWarning
            If there are fewer training rows than a batch: each step then takes all of them.
        """
        trainer, order = next(iter(self.trainers.values())), Order(seed, folder, progress, device)
        names: tuple[str, ...] = ()
        if isinstance(train, Rows):  # anything else any of them refuses
            self.recipe.resolve(train.X.kind)
            trainer = self.trainers[train.X.kind]
            names = checked_names(label_names, train.Y.n_labels)
        scorer = _fitted(trainer, train, validation, order)
        scores = scores_of(scorer.scores, validation.X, validation.Y.n_labels)
        decision, note = tuned(scores, validation.Y)
        schema = Schema(kind=train.X.kind, form=train.X.form)
        recipe = trainer.settings.model_dump(mode="json", exclude={"expected"}, exclude_none=True)
        return Predictor(scorer, names, decision, schema, recipe, note=note)


def _fitted(trainer: Trainer, train: Rows, validation: Rows, order: Order) -> Scorer:
    """A scorer of one member or of several, beside the nearest training rows where the settings ask for them."""
    settings = trainer.settings
    if settings.members > 1:
        scorer: Scorer = fit_members(trainer, train, validation, order)
    else:
        scorer = trainer.fit(train, validation, order)
    if settings.neighbours is None:
        return scorer
    return beside_neighbours(scorer, train, settings.neighbours)
