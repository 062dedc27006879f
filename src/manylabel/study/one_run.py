"""One run of a study: train a method with one seed, score the test rows, put it on disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from manylabel import data, methods, metrics
from manylabel.data.dataset import DataSet, Rows
from manylabel.methods import Method
from manylabel.metrics.report import Protocol
from manylabel.study.records import RunRecord, read_history, versions, write_arrays
from manylabel.study.variants import Variant
from manylabel.training import Progress

PROTOCOLS: tuple[Protocol, ...] = ("tuned", "fixed", "oracle")


class RunKey(NamedTuple):
    """Names one run of a study; ``method`` is a recipe or a variant of one."""

    method: str
    seed: int

    def __str__(self) -> str:
        return f"{self.method} seed {self.seed}"


@dataclass(frozen=True)
class Task:
    """A run to be made: everything it needs but the data; ``recipe`` is what :func:`manylabel.methods.get` takes."""

    key: RunKey
    recipe: str
    settings: Mapping[str, Any]
    folder: Path
    threads: int
    fraction: float = 1.0

    @property
    def method(self) -> Method:
        """The method to train."""
        return methods.get(Variant.parse(self.recipe).method, **self.changed)

    @property
    def changed(self) -> dict[str, Any]:
        """What differs from the recipe; ``settings`` go over those in the brackets of a variant."""
        return {**Variant.parse(self.recipe).settings, **self.settings}

    def record(self, dataset: DataSet) -> RunRecord:
        """The record of this run before it begins.

        Raises
        ------
        ManyLabelError
            If the method or one of its settings is unknown, or of no use for data of this kind.
        """
        return RunRecord(
            method=self.key.method,
            recipe=self.method.recipe.resolve(dataset.kind).model_dump(
                mode="json", exclude={"expected"}, exclude_none=True
            ),
            seed=self.key.seed,
            digest=dataset.digest,
            fraction=self.fraction,
            threads=self.threads,
            versions=versions(),
        )


def execute(task: Task, dataset: DataSet, tell: Callable[[Progress], None]) -> RunRecord:
    """Make one run and leave its folder finished; what a killed run left there is taken up."""
    begun = task.record(dataset)
    task.folder.mkdir(parents=True, exist_ok=True)
    begun.write(task.folder / "run.json")
    with computing_on(task.threads):
        part = data.take_fraction(dataset, task.fraction, task.key.seed)
        train, validation = data.split_validation(part, task.key.seed)
        started = time.perf_counter()
        scorer = task.method.fit(train, validation, seed=task.key.seed, folder=task.folder, progress=tell)
        seconds = time.perf_counter() - started
        scores = {
            "validation_scores": scorer.scores(validation.X),
            "test_scores": scorer.scores(dataset.test.X),
        }
        largest = np.finfo(np.float16).max
        embedding = np.clip(scorer.embed(dataset.test.X), -largest, largest).astype(np.float16)
        scorer.save(task.folder / "model.safetensors")
        write_arrays(task.folder / "scores.npz", scores | {"test_embedding": embedding})
        evaluations = _evaluations(scores, validation, dataset.test)
    monitor = _stages(task.folder)
    trained = max(
        seconds, sum(stage["seconds"] for stage in monitor.values())
    )  # a resumed run counts all its parts
    finished = begun.model_copy(
        update={"status": "done", "seconds": trained, "evaluations": evaluations, "monitor": monitor}
    )
    finished.write(task.folder / "run.json")
    return finished


@contextmanager
def computing_on(threads: int) -> Iterator[None]:
    """Fix the number of threads: sums split over other threads round otherwise, and training amplifies it."""
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    with threadpool_limits(limits=threads):
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def _evaluations(scores: Mapping[str, Any], validation: Rows, test: Rows) -> dict[str, dict[str, Any]]:
    held_out = (scores["validation_scores"], validation.Y)
    return {
        protocol: metrics.evaluate(
            scores["test_scores"], test.Y, protocol=protocol, validation=held_out
        ).to_dict()
        for protocol in PROTOCOLS
    }


def _stages(folder: Path) -> dict[str, dict[str, float]]:
    """Per stage: epochs, seconds, and the monitor of its last epoch."""
    last = {entry["stage"]: entry for entry in read_history(folder / "history.jsonl")}
    return {
        stage: {"epochs": entry["epoch"], "seconds": entry["seconds"], **entry["monitor"]}
        for stage, entry in last.items()
    }
