"""A method as people call it: a recipe, and what trains on each kind of data that it is defined for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from manylabel.data import Rows
from manylabel.methods.base import CrossFitter, Order, Trainer
from manylabel.methods.decision import NOTHING_HELD_OUT, tuned
from manylabel.methods.ensemble import fit_members
from manylabel.methods.frozen import encoded, opened, seen
from manylabel.methods.held_out import HeldOut
from manylabel.methods.knn_interpolation import beside_neighbours
from manylabel.methods.model_folder import Schema
from manylabel.methods.part import Scorer
from manylabel.methods.predictor import Predictor, checked_names
from manylabel.methods.resolve import Recipe
from manylabel.methods.scorer import scores_of
from manylabel.metrics import Decision
from manylabel.models.frozen import FrozenEncoder
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
        self._encoders: dict[tuple[str, str], FrozenEncoder | None] = {}

    def encoded(self, rows: Rows, device: str = "auto") -> Rows:
        """Rows beside the vectors that the frozen encoder of the settings makes of them, so that it makes them once.

        Parameters
        ----------
        rows : Rows
        device : str, default "auto"
            Where the encoder computes.

        Returns
        -------
        Rows
            As they are where the settings name no encoder.

        Raises
        ------
        ManyLabelError
            If there is no such encoder, or it is none for rows of this kind.
        """
        return encoded(rows, self._encoder(rows.X.kind, device))

    @property
    def cross_fits(self) -> bool:
        """Whether it deals its rows into folds itself, and leaves held-out scores of all of them."""
        return next(iter(self.trainers.values())).cross_fits

    def fit(
        self,
        train: Rows,
        validation: Rows | None,
        *,
        seed: int = 0,
        folder: str | Path | None = None,
        progress: Listener | None = None,
        label_names: Sequence[str] | None = None,
        device: str = "auto",
        groups: Any = None,
    ) -> Predictor:
        """Train, then learn on the validation rows from which score on a label is predicted.

        Parameters
        ----------
        train, validation : Rows
            The validation rows choose epochs and the threshold and are never trained on. Weights of training rows weigh
            the losses; of contrastive ones the anchors, of (n, n_labels) weights by their means over known labels.
            Nothing else looks at them: not the threshold, metrics, neighbours, nor what is monitored.
            A method that cross-fits itself takes both parts as training rows, and their weights weigh its threshold;
            there may be no validation rows, None. Fewer rows than a batch give a warning: each step takes all.
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
        groups : (n,) int array, optional
            Of the training rows, then of the validation rows: rows of one group stay in one fold of a method that
            cross-fits itself. Others do not look at them.

        Raises
        ------
        ManyLabelError
            If the method is not defined for rows of this kind, or its settings cannot be used there; if the parts lack
            rows or do not fit each other, the network or the seed cannot be used, training diverges, or the folder
            cannot be written to or holds the checkpoint of another training.
        """
        trainer, order = next(iter(self.trainers.values())), Order(seed, folder, progress, device)
        names: tuple[str, ...] = ()
        encoder: FrozenEncoder | None = None
        schema = Schema(kind=train.X.kind, form=train.X.form) if isinstance(train, Rows) else None
        if isinstance(train, Rows):  # anything else any of them refuses
            trainer, names = self._trainer(train), checked_names(label_names, train.Y.n_labels)
            encoder = self._encoder(train.X.kind, device)
            train, validation = self._seen(trainer, encoder, train, validation)
        scorer, held_out, (decision, note) = _trained(trainer, train, validation, groups, order)
        assert schema is not None
        recipe = trainer.settings.model_dump(mode="json", exclude={"expected"}, exclude_none=True)
        return Predictor(
            scorer, names, decision, schema, recipe, note=note, held_out=held_out, encoder=encoder
        )

    def scorer(self, train: Rows, validation: Rows, order: Order) -> Scorer:
        """Train as :meth:`fit` does, and learn nothing on the validation rows afterwards."""
        return _fitted(self._trainer(train), train, validation, order)

    def _encoder(self, kind: str, device: str) -> FrozenEncoder | None:
        """The frozen encoder of the settings for rows of a kind, opened once."""
        if (kind, device) not in self._encoders:
            self._encoders[kind, device] = opened(self.recipe.resolve(kind).inputs, kind, device)
        return self._encoders[kind, device]

    def _seen(
        self, trainer: Trainer, encoder: FrozenEncoder | None, train: Rows, validation: Rows | None
    ) -> tuple[Rows, Rows | None]:
        """Both parts as the trainer takes them; validation rows of another kind are left for it to refuse."""
        keeps, kind = trainer.settings.keeps_rows, train.X.kind
        if isinstance(validation, Rows) and validation.X.kind == kind:
            validation = seen(validation, encoder, keeps)
        return seen(train, encoder, keeps), validation

    def _trainer(self, train: Rows) -> Trainer:
        self.recipe.resolve(train.X.kind)
        return self.trainers[train.X.kind]


def _trained(
    trainer: Trainer, train: Rows, validation: Rows | None, groups: Any, order: Order
) -> tuple[Scorer, HeldOut | None, tuple[Decision, str]]:
    """The scorer, the held-out rows of a cross-fitting, and the threshold that held-out rows teach, with a note."""
    if isinstance(trainer, CrossFitter):
        scorer, held_out = trainer.fit_folds(train, validation, groups, order)
        if held_out is None:
            return scorer, None, NOTHING_HELD_OUT
        return scorer, held_out, tuned(held_out.scores, held_out.Y, held_out.weights)
    scorer = _fitted(trainer, train, validation, order)  # type: ignore[arg-type]  # it refuses None
    assert validation is not None
    scores = scores_of(scorer.scores, validation.X, validation.Y.n_labels)
    return scorer, None, tuned(scores, validation.Y)


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
