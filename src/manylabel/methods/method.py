"""A method as people call it: a recipe, and what trains on each kind of data that it is defined for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from manylabel.data import Rows
from manylabel.methods.base import Order, Trainer
from manylabel.methods.ensemble import fit_members
from manylabel.methods.knn_interpolation import beside_neighbours
from manylabel.methods.resolve import Recipe
from manylabel.methods.scorer import Scorer
from manylabel.training import Listener


class Method:
    """Turns training rows of any kind that its recipe knows into a scorer. It never sees test rows.

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
    ) -> Scorer:
        """Train.

        Parameters
        ----------
        train, validation : Rows
            The validation rows choose epochs and are never trained on.
        seed : int, default 0
            Initial weights, order of rows, views. The caller's random state is left as it was.
        folder : str or Path, optional
            Keeps a checkpoint and a history; it is made where it is missing. A second call with the same folder, rows,
            recipe, seed and network goes on from there.
        progress : callable, optional
            Receives :class:`manylabel.training.Progress`.

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
        trainer, order = next(iter(self.trainers.values())), Order(seed, folder, progress)
        if isinstance(train, Rows):  # anything else any of them refuses
            self.recipe.resolve(train.X.kind)
            trainer = self.trainers[train.X.kind]
        settings = trainer.settings
        many = settings.members > 1
        scorer = (
            fit_members(trainer, train, validation, order) if many else trainer.fit(train, validation, order)
        )
        if settings.neighbours is None:
            return scorer
        return beside_neighbours(scorer, train, settings.neighbours)
