"""A search of hyperparameters on rows of the training part: its parameters, its objective, its trials' values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from manylabel import methods, metrics
from manylabel.data.dataset import DataSet
from manylabel.data.splits import held_out_rows
from manylabel.errors import ManyLabelError
from manylabel.methods.setting_paths import by_content
from manylabel.metrics.report import LOWER_IS_BETTER, Protocol
from manylabel.study.executors.base import Source, loaded
from manylabel.study.plan import MOST_THREADS, check_number, check_seeds
from manylabel.study.search.space import Space, default_space, read_space

DEVELOPMENT = 0.2
MOST_TRIALS = 1_000_000


@dataclass(frozen=True)
class Problem:
    """Rows to train on and to measure on, all of the training part of a data set."""

    data: str
    split: int
    seed: int
    dataset: DataSet
    source: Source


def without_test_rows(dataset: DataSet, split: int) -> DataSet:
    """The training part alone: a fifth of its rows, label-stratified by ``split``, takes the test part's place.

    Published validation rows are training rows like the others here.
    """
    held_out = held_out_rows(dataset.train.Y, DEVELOPMENT, split)
    rest, development = dataset.train.take(~held_out), dataset.train.take(held_out)
    return replace(dataset, train=rest, test=development, test_names=None, validation_rows=None)


@dataclass(frozen=True)
class Search:
    """What to search.

    Attributes
    ----------
    data : tuple of str
        Data sets by name or path; one set of hyperparameters is found for all.
    method : str
        As :func:`manylabel.methods.get` takes it.
    trials : int
        In all, over every call and machine.
    out : Path
        Folder of what was found, and of the trials unless a ``storage`` is given.
    settings : mapping
        Replaces settings of the recipe in every trial.
    metrics : tuple of str
        The objective is their mean on the development rows, averaged over data sets, splits and seeds.
    protocol : {"tuned", "fixed", "oracle"}
        How thresholds are chosen; ``oracle`` on the development rows.
    seeds, splits : tuple of int
        Of training, and of the development rows.
    space : Path or None
        A file in place of the default space.
    storage : str or None
        URL of an Optuna storage that several machines share.
    threads : int
    data_dir : Path or None
    labels : tuple of str, default none
        Label columns of a table, or patterns of their names.
    read : mapping, default none
        Settings of the reader of a path or local folder, such as the side of pictures.
    at_once : int, default 1
        Trials drawn together, before any of them is known: more of them run side by side, each knows less. What is
        found depends on it, but not on where and in what order they run.
    """

    data: tuple[str, ...]
    method: str
    trials: int
    out: Path
    settings: Mapping[str, Any] = field(default_factory=dict)
    metrics: tuple[str, ...] = ("macro_f1",)
    protocol: Protocol = "tuned"
    seeds: tuple[int, ...] = (0,)
    splits: tuple[int, ...] = (0,)
    space: Path | None = None
    storage: str | None = None
    threads: int = 1
    data_dir: Path | None = None
    labels: tuple[str, ...] = ()
    read: Mapping[str, Any] = field(default_factory=dict)
    at_once: int = 1

    def __post_init__(self) -> None:
        check_number("trials", self.trials, MOST_TRIALS)
        check_number("threads", self.threads, MOST_THREADS)
        check_number("at_once", self.at_once, MOST_TRIALS)
        check_seeds("seeds", self.seeds)
        check_seeds("splits", self.splits)
        known = tuple(name for name in metrics.DISPLAY_NAMES if name not in LOWER_IS_BETTER)
        for metric in self.metrics or ("",):
            if metric not in known:
                raise ManyLabelError("`metrics`", f"some of {', '.join(known)}", repr(metric))
        methods.get(self.method, **self.settings)

    @cached_property
    def problems(self) -> tuple[Problem, ...]:
        """Every data set with every split and seed; test rows are in none of them."""
        made, recipe = [], methods.get(self.method, **self.settings).recipe
        for name in self.data:
            dataset = loaded(name, self.data_dir, None, self.labels, self.read)
            recipe.resolve(dataset.kind)
            source = Source(name, self.data_dir, dataset, None, self.labels, self.read)
            for split in self.splits:
                rows = without_test_rows(dataset, split)
                made += [Problem(dataset.name, split, seed, rows, source) for seed in self.seeds]
        return tuple(made)

    @property
    def kinds(self) -> set[str]:
        """The kinds of the data sets."""
        return {problem.dataset.kind for problem in self.problems}

    @cached_property
    def choices(self) -> Space:
        """What is searched."""
        if self.space is not None:
            return read_space(self.space, self.method, self.settings)
        return default_space(self.method, self.kinds, self.settings)

    @property
    def recipe(self) -> dict[str, Any]:
        """The settings before the search, of each kind of data."""
        settings = methods.get(self.method, **self.settings).recipe.settings
        return {kind: own.model_dump(mode="json", exclude={"expected"}) for kind, own in settings.items()}

    @cached_property
    def recipe_digest(self) -> str:
        """SHA-256 of the settings before the search, and of the weights that they name."""
        return hashlib.sha256(json.dumps(by_content(self.recipe), sort_keys=True).encode()).hexdigest()

    @property
    def name(self) -> str:
        """The same for every call and machine that asks the same."""
        digests = {problem.data: problem.dataset.digest for problem in self.problems}
        space = {name: choice.model_dump(mode="json") for name, choice in self.choices.items()}
        asked = [
            digests,
            by_content(self.recipe),
            space,
            self.metrics,
            self.protocol,
            self.seeds,
            self.splits,
        ]
        digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()
        return f"{methods.short_name(self.method)} on {'+'.join(digests)} {digest[:8]}"

    @property
    def objective(self) -> str:
        """The objective in words."""
        names = [metrics.DISPLAY_NAMES[metric] for metric in self.metrics]
        return names[0] if len(names) == 1 else f"mean of {', '.join(names)}"
