"""A method as people call it: a recipe, and what trains on each kind of data that it is defined for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from manylabel.data import Rows
from manylabel.methods.base import Trainer
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
        """Train; see :meth:`manylabel.methods.base.Trainer.fit`.

        Raises
        ------
        ManyLabelError
            If the method is not defined for rows of this kind, or its settings cannot be used there; and what the
            trainer refuses.
        """
        trainer = next(iter(self.trainers.values()))
        if isinstance(train, Rows):  # anything else any of them refuses
            self.recipe.resolve(train.X.kind)
            trainer = self.trainers[train.X.kind]
        return trainer.fit(train, validation, seed=seed, folder=folder, progress=progress)
