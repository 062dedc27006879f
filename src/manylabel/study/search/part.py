"""A part of a trial: the method with the settings of a trial on one data set, split and seed, as executors run it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from manylabel import data, methods, metrics
from manylabel.data.dataset import DataSet
from manylabel.errors import ManyLabelError
from manylabel.methods.recipe_files import kept
from manylabel.methods.scorer import scores_of
from manylabel.methods.setting_paths import by_content, whole
from manylabel.metrics.report import Protocol
from manylabel.study.cell import CellKey
from manylabel.study.records import Record
from manylabel.study.run_cell import held_out_scores
from manylabel.study.search.search import Search, without_test_rows
from manylabel.study.threads import computing_on
from manylabel.training import Progress

PARTS = "parts"  # in the folder of a search


class PartRecord(Record):
    """``part.json``: the value of a part, or with which words its settings were refused."""

    asked: dict[str, Any]
    value: float | None = None
    refusal: tuple[str, str, str, str] | None = None

    def error(self) -> ManyLabelError | None:
        """The refusal as it was raised."""
        return None if self.refusal is None else ManyLabelError(*self.refusal)


@dataclass(frozen=True)
class Part:
    """A part of a trial; see :class:`manylabel.study.executors.base.Work`.

    Attributes
    ----------
    data : str
        As tables call the data set.
    split, seed : int
    method : str
    settings : mapping
    metrics : tuple of str
        Their mean is the value.
    protocol : {"tuned", "fixed", "oracle"}
    threads : int
    digest : str
        Of the data set.
    trial, place : int
        The number of the trial, or of the one that it makes again, and which of its parts it is.
    out : Path
        Folder of the search.
    recipe : str
        Digest of the recipe before the search.
    files : mapping
        What recipe files hold, for a process that may not see them; see :func:`.recipe_files.kept`.
    """

    data: str
    split: int
    seed: int
    method: str
    metrics: tuple[str, ...]
    protocol: Protocol
    threads: int
    digest: str
    trial: int
    place: int
    out: Path
    recipe: str
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    files: Mapping[str, dict[str, Any]] = field(default_factory=dict, hash=False)

    @classmethod
    def of(cls, search: Search, place: int, trial: int, found: Mapping[str, Any]) -> Part:
        """The part of a trial on one problem of a search, with the settings that the trial found."""
        problem = search.problems[place]
        return cls(
            data=problem.data,
            split=problem.split,
            seed=problem.seed,
            method=search.method,
            metrics=search.metrics,
            protocol=search.protocol,
            threads=search.threads,
            digest=problem.source.dataset.digest,
            trial=trial,
            place=place,
            out=search.out,
            recipe=search.recipe_digest,
            settings={**search.settings, **found},
        )

    def __str__(self) -> str:
        return f"{self.data} split {self.split} seed {self.seed}"

    @property
    def key(self) -> CellKey:
        """It stands for the trial where a cell names its method."""
        return CellKey(self.data, 1.0, f"trial {self.trial}", self.seed, split=self.split)

    @property
    def marker(self) -> Path:
        """The folder of all parts."""
        return self.out / PARTS

    @property
    def folder(self) -> Path:
        return self.marker / f"trial-{self.trial}" / f"part-{self.place}"

    @property
    def asked(self) -> dict[str, Any]:
        """What decides the value, as JSON holds it."""
        names = ("digest", "split", "seed", "method", "recipe", "metrics", "protocol", "settings")
        told = {name: getattr(self, name) for name in names}
        asked: dict[str, Any] = json.loads(json.dumps(told | {"settings": by_content(self.settings)}))
        return asked

    def run(self, dataset: DataSet, tell: Callable[[Progress], None]) -> PartRecord:
        """Train and measure on development rows; settings that are refused are a result, too."""
        self.folder.mkdir(parents=True, exist_ok=True)
        record = PartRecord(asked=self.asked)
        try:
            record = record.model_copy(update={"value": self._value(dataset, tell)})
        except ManyLabelError as error:
            if isinstance(error.__cause__, OSError):
                raise  # a place that cannot be written says nothing of the settings
            told = error.who, error.expected, error.got, error.hint
            record = record.model_copy(update={"refusal": told})
        record.write(self.folder / "part.json")
        return record

    def found(self) -> PartRecord | None:
        """The record, if it is of what is asked now."""
        path = self.folder / "part.json"
        record = PartRecord.read(path) if path.exists() else None
        return record if record is not None and record.asked == self.asked else None

    def settled(self) -> Part:
        """The same with whole paths, and with what recipe files hold."""
        with kept(self.files) as tables, suppress(ManyLabelError):  # to be refused where it runs
            methods.get(self.method, **self.settings)
        return replace(self, settings=whole(self.settings), files=tables, out=self.out.resolve())

    def _value(self, dataset: DataSet, tell: Callable[[Progress], None]) -> float:
        """Mean of the metrics on the development rows; thresholds are learnt on the validation rows."""
        rows = without_test_rows(dataset, self.split)
        train, validation = data.split_validation(rows, self.seed)
        development = rows.test
        with computing_on(self.threads), kept(self.files):
            made = methods.get(self.method, **self.settings)
            scorer = made.fit(train, validation, seed=self.seed, progress=tell)
            held_out = held_out_scores(scorer, validation)
            scores = scores_of(scorer.scores, development.X, development.Y.n_labels)
            found = metrics.evaluate(
                scores, development.Y, protocol=self.protocol, validation=held_out, metrics=self.metrics
            )
        value = float(np.mean([found.values[metric] for metric in self.metrics]))
        if math.isnan(value):
            raise ManyLabelError(str(self), "a metric that is defined", "NaN", "Name another.")
        return value
