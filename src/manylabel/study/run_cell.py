"""Run one cell of a study: train a method with one seed, score the test rows, put it on disk."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from manylabel import data, methods, metrics
from manylabel.data.dataset import DataSet, Rows
from manylabel.labels import LabelMatrix
from manylabel.methods import Predictor
from manylabel.methods.estimator_state import NotWritten
from manylabel.methods.recipe_files import kept
from manylabel.methods.scorer import scores_of
from manylabel.methods.setting_paths import digest_at
from manylabel.methods.start import like_of_encoder
from manylabel.methods.versions import versions
from manylabel.metrics.report import Protocol
from manylabel.metrics.thresholds import Rule
from manylabel.study.cell import Cell, CellKey
from manylabel.study.folder_names import MODEL
from manylabel.study.measures import measures
from manylabel.study.records import RunRecord, read_history, write_arrays
from manylabel.study.threads import computing_on
from manylabel.training import Progress

PROTOCOLS: dict[str, tuple[Protocol, Rule]] = {
    "learnt": ("tuned", "per_metric"),
    "tuned": ("tuned", "shared"),
    "fixed": ("fixed", "shared"),
    "oracle": ("oracle", "shared"),
}
"""What is recorded of the test rows: where thresholds come from, and of what kind they are."""


@dataclass(frozen=True)
class Job:
    """A cell to run: everything it needs but the data; see :class:`manylabel.study.Plan`.

    ``files`` is what recipe files hold, for a process that may not see them; see :func:`.recipe_files.kept`.
    """

    cell: Cell
    folder: Path
    threads: int
    measures: bool = False
    files: Mapping[str, dict[str, Any]] = field(default_factory=dict, hash=False)

    @property
    def key(self) -> CellKey:
        """That of its cell."""
        return self.cell.key

    @property
    def marker(self) -> Path:
        """The record of the study."""
        return self.folder.parent.parent / "study.json"

    def run(self, dataset: DataSet, tell: Callable[[Progress], None]) -> RunRecord:
        """Run the cell and leave its folder finished; what a killed run left there is taken up."""
        with kept(self.files):
            return run_cell(self, dataset, tell)

    def found(self) -> RunRecord | None:
        """The record of a finished run."""
        path = self.folder / "run.json"
        record = RunRecord.read(path) if path.exists() else None
        return record if record is not None and record.status == "done" else None

    def settled(self) -> Job:
        """The same with whole paths, and with what recipe files hold."""
        with kept(self.files) as tables:
            methods.get(self.cell.recipe, **self.cell.changed)
        return replace(self, cell=self.cell.settled(), files=tables, folder=self.folder.resolve())


def begun(cell: Cell, threads: int, dataset: DataSet) -> RunRecord:
    """The record of a cell before it runs.

    Raises
    ------
    ManyLabelError
        If the method or one of its settings is unknown, or of no use for these data, or a model to start from knows
        their features by other names.
    """
    recipe = methods.get(cell.recipe, **cell.changed).recipe.resolve(dataset.kind)
    like = like_of_encoder(cell.changed)
    if like is not None and dataset.feature_names is not None:
        like.check_features(dataset.feature_names, dataset.name)
    record = RunRecord(
        method=cell.name,
        recipe=recipe.model_dump(mode="json", exclude={"expected"}, exclude_none=True),
        seed=cell.seed,
        digest=dataset.digest,
        fraction=cell.fraction,
        wrong_labels=cell.wrong_labels,
        threads=threads,
        versions=versions(),
    )
    return record.model_copy(update={"start_digest": digest_at(record.settings)})


def run_cell(job: Job, dataset: DataSet, tell: Callable[[Progress], None]) -> RunRecord:
    """Run a cell and leave its folder finished; what a killed run left there is taken up."""
    cell, folder = job.cell, job.folder
    record = begun(cell, job.threads, dataset)
    folder.mkdir(parents=True, exist_ok=True)
    record.write(folder / "run.json")
    with computing_on(job.threads):
        part = data.take_fraction(dataset, cell.fraction, cell.seed)
        part = data.with_wrong_labels(part, cell.wrong_labels, cell.seed)
        train, validation = data.split_validation(part, cell.seed)
        started = time.perf_counter()
        method, names = methods.get(cell.recipe, **cell.changed), dataset.label_names
        train, validation, test = (method.encoded(each) for each in (train, validation, dataset.test))
        predictor = method.fit(
            train, validation, seed=cell.seed, folder=folder, progress=tell, label_names=names
        )
        predictor.keep_origin(dataset.feature_names, dataset.reading)
        seconds = time.perf_counter() - started
        held_out, truth = held_out_scores(predictor, validation)
        scores = {
            "validation": held_out,
            "test": scores_of(predictor.scores, test.X, test.Y.n_labels),
        }
        largest = np.finfo(np.float16).max
        embedding = np.clip(predictor.embed(test.X), -largest, largest).astype(np.float16)
        unsaved = _saved(predictor, folder / MODEL)
        kept = {name: array for part, made in scores.items() for name, array in _kept(part, made)}
        write_arrays(folder / "scores.npz", kept | {"test_embedding": embedding})
        evaluations = _evaluations(scores, truth, test)
        measured = _measured(predictor, scores["test"], evaluations, test, train) if job.measures else {}
    monitor = _stages(folder)
    trained = max(
        seconds, sum(stage["seconds"] for stage in monitor.values())
    )  # a resumed run counts all its parts
    found: dict[str, Any] = {
        "seconds": trained,
        "evaluations": evaluations,
        "monitor": monitor,
        "unsaved": unsaved,
    }
    if predictor.evidence is not None:
        found |= {"learners": predictor.evidence.sentence(), "evidence": predictor.evidence}
    finished = record.model_copy(update={"status": "done", "measures": measured, **found})
    finished.write(folder / "run.json")
    return finished


def held_out_scores(predictor: Predictor, validation: Rows) -> tuple[Any, LabelMatrix]:
    """Scores and labels that thresholds are learnt from: out-of-fold ones of a method that cross-fits itself.

    Its validation rows trained it like the others.
    """
    if predictor.held_out is not None:
        return predictor.held_out.scores, predictor.held_out.Y
    return scores_of(predictor.scores, validation.X, validation.Y.n_labels), validation.Y


def _kept(part: str, scores: Any) -> Iterator[tuple[str, Any]]:
    """What the records keep of scores: all of an array, else labels and values of the highest of each row."""
    if not isinstance(scores, metrics.StreamedScores):
        yield f"{part}_scores", scores
        return
    top = metrics.TopScores.of(scores, metrics.KEPT)
    yield f"{part}_top_labels", top.labels
    yield f"{part}_top_scores", top.values


def _saved(predictor: Predictor, folder: Path) -> str:
    """Save a model; why it cannot be saved where an estimator cannot be written without code: its scores stay."""
    try:
        predictor.save(folder)
    except NotWritten as error:
        return str(error)
    return ""


def _evaluations(scores: Mapping[str, Any], truth: LabelMatrix, test: Rows) -> dict[str, dict[str, Any]]:
    held_out = (scores["validation"], truth)
    found = metrics.evaluate_protocols(scores["test"], test.Y, PROTOCOLS, held_out)
    return {protocol: evaluation.to_dict() for protocol, evaluation in found.items()}


def _measured(
    predictor: Predictor, scores: Any, evaluations: Mapping[str, Any], test: Rows, train: Rows
) -> dict[str, float | None]:
    embeddings = predictor.embed(test.X), predictor.embed(train.X)
    return measures(scores, evaluations["tuned"]["thresholds"], embeddings, test, train)


def _stages(folder: Path) -> dict[str, dict[str, float]]:
    """Per stage: epochs, seconds, and the monitor of its last epoch."""
    last = {entry["stage"]: entry for entry in read_history(folder / "history.jsonl")}
    return {
        stage: {"epochs": entry["epoch"], "seconds": entry["seconds"], **entry["monitor"]}
        for stage, entry in last.items()
    }
