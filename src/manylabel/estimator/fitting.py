"""One fit of an estimator: rows arranged, decisions learnt on held-out rows, the final model on all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from manylabel.data import Rows
from manylabel.data.groups import label_balance
from manylabel.data.splits import folds_of, held_out_rows
from manylabel.errors import ManyLabelError
from manylabel.estimator.decisions import cross_fitted, fold_count, scored
from manylabel.methods import HeldOut, Method, Predictor
from manylabel.methods.held_out import FEWEST_ROWS
from manylabel.training import Listener, Progress

Array: TypeAlias = "np.ndarray[Any, Any]"

HELD_OUT = 0.1
"""Share of the rows that chooses epochs."""


@dataclass(frozen=True)
class Fitting:
    """How an estimator trains.

    Attributes
    ----------
    method : Method
    seed : int
    label_names : tuple of n_labels str
    device : str
    folder : Path or None
        Keeps a checkpoint of each training.
    progress : callable or None
    say : callable (str) -> None
        Is told what happens, one sentence each.
    """

    method: Method
    seed: int
    label_names: tuple[str, ...]
    device: str = "auto"
    folder: Path | None = None
    progress: Listener | None = None
    say: Callable[[str], None] = lambda line: None

    def train(
        self,
        train: Rows,
        validation: Rows | None,
        name: str,
        names: tuple[str, ...],
        groups: Array | None = None,
    ) -> Predictor:
        """Train the method once; ``name`` is that of this training among those of the fit."""
        model = self.method.fit(
            train,
            validation,
            seed=self.seed,
            folder=None if self.folder is None else self.folder / name,
            progress=None if self.progress is None else _within(self.progress, name, names),
            label_names=self.label_names,
            device=self.device,
            groups=groups,
        )
        if model.evidence is not None:
            self.say(model.evidence.sentence())
        return model

    def chooses_epochs(self, rows: Rows, groups: Array | None, share: float = HELD_OUT) -> Array:
        """Which rows are held out to choose epochs, (n,) bool: none where rows are few."""
        if len(rows) < FEWEST_ROWS:
            return np.zeros(len(rows), dtype=bool)
        return held_out_rows(rows.Y, share, self.seed, "fit", groups)

    def parted(self, rows: Rows, kept: Array) -> tuple[Rows, Rows]:
        """Training rows, and those that choose epochs: the training rows themselves where none are held out."""
        return (rows.take(~kept), rows.take(kept)) if kept.any() else (rows, rows)

    def fit(
        self, rows: Rows, groups: Array | None, validation: Rows | float | None, decide: bool
    ) -> tuple[Predictor, HeldOut | None, float]:
        """Train.

        Parameters
        ----------
        rows : Rows
        groups : (n,) int64 array or None
        validation : Rows, float or None
            Held-out rows, their share, or None for cross-fitting.
        decide : bool
            Whether held-out scores are wanted.

        Returns
        -------
        model : Predictor
        held_out : HeldOut or None
        balance : float
            How well every label keeps its share over folds, or in training and validation part; NaN without any.
        """
        if self.method.cross_fits:
            return self._fit_folds(rows, groups, validation)
        if isinstance(validation, Rows):
            model = self.train(rows, validation, "model", ("model",))
            return model, scored(model, validation, self.seed, "the validation rows"), float("nan")
        n_folds = fold_count(len(rows), groups) if validation is None and decide else 0
        names = (*(f"fold-{fold}" for fold in range(n_folds)), "model")
        held_out, balance = None, float("nan")
        if n_folds:
            folds = folds_of(rows.Y, n_folds, self.seed, "fit", groups)
            balance = label_balance(rows.Y, folds)
            self.say(f"{n_folds} folds of {len(rows)} rows; labels balanced over folds: {balance:.3f} of 1.")
            held_out = cross_fitted(
                lambda train, own, fold: self._fold(train, own, names[fold], names),
                rows,
                groups,
                folds,
            )
        return self._final(
            rows, groups, HELD_OUT if validation is None else validation, names, held_out, balance
        )

    def _fit_folds(
        self, rows: Rows, groups: Array | None, validation: Rows | float | None
    ) -> tuple[Predictor, HeldOut | None, float]:
        """Train a method that cross-fits itself; rows that are held out on demand teach the decisions alone."""
        if isinstance(validation, float):
            held = held_out_rows(rows.Y, validation, self.seed, "fit", groups)
            balance, kept = label_balance(rows.Y, held), rows.take(held)
            model = self.train(
                rows.take(~held), None, "model", ("model",), None if groups is None else groups[~held]
            )
            return model, scored(model, kept, self.seed, f"{len(kept)} rows held out"), balance
        self.say(f"Cross-fitting {self.method.name} on {len(rows)} rows.")
        model = self.train(rows, None, "model", ("model",), groups)
        if validation is not None:
            return model, scored(model, validation, self.seed, "the validation rows"), float("nan")
        held_out = model.held_out
        balance = float("nan") if held_out is None else label_balance(held_out.Y, held_out.folds)
        return model, held_out, balance

    def _final(
        self,
        rows: Rows,
        groups: Array | None,
        share: float,
        names: tuple[str, ...],
        held_out: HeldOut | None,
        balance: float,
    ) -> tuple[Predictor, HeldOut | None, float]:
        """The model itself, whose held-out rows teach the decisions where no folds did."""
        kept = self.chooses_epochs(rows, groups, share)
        train, held = self.parted(rows, kept)
        self.say(f"Training on {len(train)} rows; {len(held)} choose the epochs.")
        model = self.train(train, held, "model", names)
        if held_out is None and kept.any():
            held_out = scored(model, held, self.seed, f"{len(held)} rows held out")
            balance = label_balance(rows.Y, kept)
            self.say(f"Labels balanced over training and held-out rows: {balance:.3f} of 1.")
        return model, held_out, balance

    def _fold(self, train: Rows, groups: Array | None, name: str, names: tuple[str, ...]) -> Predictor:
        self.say(f"{name}: training on {len(train)} rows.")
        alone = groups is not None and (groups == groups[0]).all()  # of two groups, the other one is the fold
        kept = np.zeros(len(train), dtype=bool) if alone else self.chooses_epochs(train, groups)
        return self.train(*self.parted(train, kept), name, names)


def checked_share(validation: Any) -> float | None:
    """The share of the rows that is held out, or None.

    Raises
    ------
    ManyLabelError
        For what is no number between 0 and 1.
    """
    if validation is None:
        return None
    number = isinstance(validation, float | np.floating)
    if not number or not 0 < validation < 1:
        expected = "None, a share between 0 and 1, or the pair (X, y) of held-out rows"
        raise ManyLabelError("`validation`", expected, f"{validation!r:.60}")
    return float(validation)


def _within(progress: Listener, name: str, names: tuple[str, ...]) -> Listener:
    """Tells of the stages of one training as some of those of the whole fit."""

    def tell(told: Progress) -> None:
        stages = tuple(f"{of} {stage}" for of in names for stage in told.stages)
        progress(replace(told, stage=f"{name} {told.stage}", stages=stages))

    return tell
