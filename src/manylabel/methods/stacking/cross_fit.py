"""Cross-fitting of learners: one training a fold, kept on disk as it ends, so that a killed fit goes on."""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from manylabel import files
from manylabel.data import Rows
from manylabel.data.rows import EncodedRows, raw_rows
from manylabel.data.splits import held_out_rows
from manylabel.errors import ManyLabelError
from manylabel.methods.base import MOST_SEED, Order
from manylabel.methods.held_out import FEWEST_ROWS
from manylabel.methods.method import Method
from manylabel.methods.part import Scorer
from manylabel.methods.setting_paths import by_content
from manylabel.methods.stacking.settings import Learner
from manylabel.training import Listener, Progress, checkpoint

Array: TypeAlias = "np.ndarray[Any, Any]"

_FILE = "scores-checkpoint.safetensors"
_LOOKED_AT = 64  # training rows that a network monitors where nothing selects by them


@dataclass(frozen=True, eq=False)
class Fit:
    """One training without a fold.

    Attributes
    ----------
    scores : (m, n_labels) float32 array
        Of the fold's rows whose scores are kept.
    seconds : float
    scorer : Scorer or None
        None where an earlier call trained it, and none is asked for.
    """

    scores: Array
    seconds: float
    scorer: Scorer | None


@dataclass(frozen=True, eq=False)
class CrossFit:
    """The rows and folds that all learners share.

    Attributes
    ----------
    rows : Rows
    groups : (n,) int64 array or None
    folds : (n,) int64 array
    kept : (n,) bool array
        Rows whose scores are kept.
    order : Order
    fingerprint : str
        Of rows, folds and seed.
    stages : tuple of str
        All trainings that are planned, for progress.
    """

    rows: Rows
    groups: Array | None
    folds: Array
    kept: Array
    order: Order
    fingerprint: str
    stages: tuple[str, ...]

    @property
    def n_folds(self) -> int:
        return int(self.folds.max()) + 1

    def of(self, learner: Learner) -> CrossFit:
        """The same on what a learner learns from: rows as they are, or their vectors."""
        return self._encoded if learner.on == "encoder" else self._raw

    @cached_property
    def _raw(self) -> CrossFit:
        return replace(self, rows=Rows(raw_rows(self.rows.X), self.rows.Y, self.rows.weights))

    @cached_property
    def _encoded(self) -> CrossFit:
        assert isinstance(self.rows.X, EncodedRows), "settings without an encoder have no such learner"
        return replace(self, rows=Rows(self.rows.X.vectors, self.rows.Y, self.rows.weights))

    def own(self, fold: int) -> Array:
        """Positions of the rows of a fold whose scores are kept."""
        return np.flatnonzero((self.folds == fold) & self.kept)

    def places(self, fold: int) -> Array:
        """Places of the same rows among all whose scores are kept."""
        return np.flatnonzero(self.folds[self.kept] == fold)

    def fit(self, method: Method, name: str, label: str, fold: int) -> Fit:
        """Train a method without a fold, or take over what an earlier call left.

        Parameters
        ----------
        method : Method
        name : str
            Of the learner, for progress.
        label : str
            Of this form of it, for its folder.
        fold : int

        Raises
        ------
        ManyLabelError
            If the method refuses the rows.
        files.Unusable
            If the folder holds another training, or cannot be used.
        """
        place = None if self.order.folder is None else Path(self.order.folder) / label / f"fold-{fold}"
        told = f"{self.fingerprint} {fold} {_told(method, self.rows.X.kind)}"
        if place is not None and (place / _FILE).exists():
            return _read(place / _FILE, told)
        others = np.flatnonzero(self.folds != fold)
        began = time.perf_counter()
        scorer = self.trained(method, others, place, fold, f"{name} fold {fold + 1}/{self.n_folds}")
        scores = scorer.scores(self.rows.X.take(self.own(fold)))
        seconds = time.perf_counter() - began
        if place is not None:
            files.usable_folder(place, f"method {method.name}, folder")
            meta = {"fingerprint": told, "seconds": seconds}
            checkpoint.save(place / _FILE, {"scores": torch.from_numpy(scores)}, meta)
        return Fit(scores, seconds, scorer)

    def scorer(self, method: Method, name: str, label: str, fold: int) -> Scorer:
        """Train a method without a fold once more; a network is taken over from its checkpoint."""
        place = None if self.order.folder is None else Path(self.order.folder) / label / f"fold-{fold}"
        others = np.flatnonzero(self.folds != fold)
        return self.trained(method, others, place, fold, f"{name} fold {fold + 1}/{self.n_folds}")

    def final(self, method: Method, name: str, label: str) -> Scorer:
        """Train a method on all rows."""
        place = None if self.order.folder is None else Path(self.order.folder) / label / "all-rows"
        return self.trained(method, np.arange(len(self.rows)), place, self.n_folds, f"{name} all rows")

    def trained(self, method: Method, rows: Array, place: Path | None, number: int, stage: str) -> Scorer:
        """Train a method on some of the rows, from a seed of this number."""
        train = self.rows.take(rows)
        groups = None if self.groups is None else self.groups[rows]
        seed = 1000 * int(self.order.seed) + number
        if method.recipe.members > 1:  # each of which makes a seed of its own out of it
            seed %= MOST_SEED // 1000
        order = replace(
            self.order,
            seed=seed,
            folder=place,
            progress=None
            if self.order.progress is None
            else _one_stage(self.order.progress, stage, self.stages),
        )
        with _judged_later():
            return method.scorer(*_parted(method, train, groups, order.seed), order)


def _told(method: Method, kind: str) -> str:
    """What decides a training, as text."""
    settings = method.recipe.resolve(kind)
    return json.dumps(by_content(settings.model_dump(mode="json", exclude={"about", "source", "expected"})))


def _read(path: Path, told: str) -> Fit:
    tensors, meta = checkpoint.load(path)
    if meta.get("fingerprint") != told:
        hint = "Choose another output folder, or delete this one."
        raise files.Unusable(str(path), "scores of this recipe and data set", "those of another", hint)
    return Fit(tensors["scores"].numpy(), float(meta["seconds"]), None)


def _parted(method: Method, train: Rows, groups: Array | None, seed: int) -> tuple[Rows, Rows]:
    """Training rows, and validation rows of a training: a tenth where it chooses by them.

    Never rows of the fold: its scores would then know its labels.
    """
    settings = method.recipe.resolve(train.X.kind).model_dump()
    if _chooses(settings) and len(train) >= FEWEST_ROWS:
        with suppress(ManyLabelError):  # one group alone, or labels that cannot spare a row
            held = held_out_rows(train.Y, 0.1, seed, f"method {method.name}", groups)
            return train.take(~held), train.take(held)
    known = np.flatnonzero(train.Y.unknown.row_counts().cpu().numpy() < train.Y.n_labels)
    return train, train.take(known[:_LOOKED_AT]) if len(known) else train


def _chooses(settings: Any) -> bool:
    """Whether a training chooses anything on its validation rows."""
    if not isinstance(settings, dict):
        return False
    own = settings.get("select"), settings.get("patience"), settings.get("grid")
    plateau = settings.get("schedule") == "plateau"
    inner = [
        value for name, value in settings.items() if name != "early_stop"
    ]  # which holds out rows of its own
    return plateau or any(value is not None for value in own) or any(map(_chooses, inner))


def _one_stage(progress: Listener, stage: str, stages: tuple[str, ...]) -> Listener:
    """Tells of all stages of one training as of one, among all trainings of the stack."""

    def tell(told: Progress) -> None:
        inner = told.stages.index(told.stage)
        step, steps = inner * told.steps + told.step, len(told.stages) * told.steps
        progress(replace(told, stage=stage, stages=stages, step=step, steps=steps, record=None))

    return tell


@contextmanager
def _judged_later() -> Iterator[None]:
    """Without warnings of linear models that were stopped early and of few rows: held-out rows judge what is learnt."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", message=".*fewer than a batch", category=UserWarning)
        yield
