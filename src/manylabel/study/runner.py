"""The runner of plans: finished cells are kept, an executor runs the others, a kill at any moment loses nothing."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from manylabel import files
from manylabel.data.dataset import DataSet
from manylabel.data.rows.registry import KINDS
from manylabel.errors import ManyLabelError
from manylabel.methods.versions import versions
from manylabel.study.cell import Cell
from manylabel.study.executors.base import (
    Event,
    Executor,
    Failed,
    Finished,
    Listener,
    Loaded,
    Source,
    Started,
    loaded,
)
from manylabel.study.executors.local import Local
from manylabel.study.folder import is_begun
from manylabel.study.folder_names import check_folder_names
from manylabel.study.plan import Plan
from manylabel.study.records import DataCard, RunRecord, StudyRecord
from manylabel.study.run_cell import Job, begun
from manylabel.study.tracking import Tracking
from manylabel.training import trackers


def run(plan: Plan, listener: Listener, executor: Executor | None = None, retry: bool = True) -> list[Failed]:
    """Run the cells of a plan that are not finished yet, one study after another.

    A script that asks for several jobs keeps this call under ``if __name__ == "__main__":``, as each process
    imports the script anew.

    Parameters
    ----------
    plan : Plan
    listener : callable
        Is told of each study, of its data once they are loaded, and of every Advanced, Finished and Failed.
    executor : Executor, optional
        By default processes of this machine, as many as ``plan.jobs``.
    retry : bool, default True
        Whether runs that failed in an earlier call are tried again; else they are reported as failed.

    Returns
    -------
    list of Failed
        Runs that could not be made; the others are finished.

    Raises
    ------
    ManyLabelError
        For input that cannot be used, and a folder in use by another process; nothing is written into it then.
    KeyboardInterrupt
        After the runs in progress were stopped; the folder can be taken up.
    """
    trackers.check(plan.track)
    if plan.nested:
        _check_all(plan)
    failed = []
    for i, study in enumerate(plan.studies, start=1):
        if plan.nested:
            listener(Started(study.out.name, i, len(plan.studies)))
        failed += _run_study(study, listener, executor or Local(plan.jobs), retry)
    return failed


def _check_all(plan: Plan) -> None:
    """Refuse what cannot be used in a later study before the first one trains."""
    dataset, of = None, None
    for study in plan.studies:
        if dataset is None or of != (study.data, study.split):  # those of one data set follow each other
            of = study.data, study.split
            dataset = _loaded(study)
        _sort(study, dataset)
        check_folder_names("`methods`", study.names)


def _loaded(study: Plan) -> DataSet:
    return loaded(study.data, study.data_dir, study.split, study.labels, study.read)


def _run_study(study: Plan, listener: Listener, executor: Executor, retry: bool) -> list[Failed]:
    dataset = _loaded(study)
    _sort(study, dataset)  # refuses before anything is written
    check_folder_names("`methods`", study.names)
    record, folder = _record(study, dataset), study.folder
    with folder.occupied():
        done, to_do = _sort(study, dataset)  # again: who held the folder until now may have changed it
        fresh = not folder.study_file.exists()
        folder.begin(record, dataset.test.Y)
        tell = _to_all(_FailureRecords(study, dataset), listener, Tracking(study))
        listener(Loaded(record.card, len(study.cells)))
        for cell, found in done:
            tell(Finished(cell.key, found, earlier=True))
        earlier = (
            []
            if retry
            else [failure for job in to_do if (failure := _failed_earlier(job, dataset)) is not None]
        )
        for failure in earlier:
            tell(failure)
        left = {failure.key for failure in earlier}
        source = Source(study.data, study.data_dir, dataset, study.split, study.labels, study.read)
        failed = executor.run([job for job in to_do if job.cell.key not in left], source, tell)
        if fresh and len(failed) == len(study.cells):
            folder.leave_nothing_behind([job.folder for job in to_do])
    return earlier + failed


def _failed_earlier(job: Job, dataset: DataSet) -> Failed | None:
    """How a cell failed in an earlier call that asked for the same; None where it did not."""
    path = job.folder / "run.json"
    found = RunRecord.read(path) if path.exists() else None
    if found is None or found.status != "failed":
        return None
    if not found.asks_for_the_same(begun(job.cell, job.threads, dataset)):
        return None
    return Failed(job.cell.key, found.failure, found.by_input, earlier=True)


class _FailureRecords:
    """A listener that records in the folder of a run why it failed."""

    def __init__(self, study: Plan, dataset: DataSet) -> None:
        self.study, self.dataset = study, dataset
        self.cells = {cell.key: cell for cell in study.cells}

    def __call__(self, event: Event) -> None:
        if not isinstance(event, Failed) or event.earlier:
            return
        record = begun(self.cells[event.key], self.study.threads, self.dataset)
        told = {"status": "failed", "failure": event.message, "by_input": event.by_input}
        folder = self.study.folder.run_folder(event.key.method, event.key.seed)
        with suppress(ManyLabelError, OSError):  # a place that cannot be written must not hide the failure
            folder.mkdir(parents=True, exist_ok=True)
            record.model_copy(update=told).write(folder / "run.json")


def _to_all(*listeners: Listener) -> Listener:
    """A listener that hands every event to several."""

    def tell(event: Event) -> None:
        for listener in listeners:
            listener(event)

    return tell


def _record(study: Plan, dataset: DataSet) -> StudyRecord:
    return StudyRecord(
        card=DataCard.of(dataset),
        methods=study.names,
        seeds=study.seeds,
        fraction=study.fraction,
        wrong_labels=study.wrong_labels,
        start=study.start,
        protocol=study.protocol,
        asked=study.asked,
        seen_from=os.path.relpath(Path.cwd(), study.out.absolute()),
        versions=versions(),
    )


def _sort(study: Plan, dataset: DataSet) -> tuple[list[tuple[Cell, RunRecord]], list[Job]]:
    """Finished cells and those to run; refuses settings of no use, and a folder that holds something else."""
    _check_folder(study, dataset)
    done, to_do = [], []
    for cell in study.cells:
        asked = begun(cell, study.threads, dataset)
        found = study.folder.run_record(cell.name, cell.seed)
        job = Job(cell, study.folder.run_folder(cell.name, cell.seed), study.threads, study.measures)
        if found is not None and not found.asks_for_the_same(asked) and is_begun(job.folder):
            got = f"{cell.key} there with {_difference(found, asked)}"
            hint = "Choose another `out`, or delete the folder of that run."
            raise ManyLabelError(f"`out` {study.out}", "runs of the same recipe", got, hint)
        if found is not None and found.status == "done":
            done.append((cell, found))
        else:
            to_do.append(job)
    return done, to_do


def _check_folder(study: Plan, dataset: DataSet) -> None:
    who, hint = f"`out` {study.out}", "Choose another `out`."
    if study.folder.study_file.exists():
        record = study.folder.record()
        card = record.card
        for name in ("fraction", "wrong_labels", "start"):
            wanted = getattr(study, name)
            if getattr(record, name) != wanted:
                told = (wanted or "none") if isinstance(wanted, str) else f"{wanted:g}"
                raise ManyLabelError(who, f"a study with `{name}` {told}", f"one of {record.title}", hint)
        if card.digest != dataset.digest:
            raise ManyLabelError(
                who, f"a study of {dataset.name} as it is now", f"one of other data ({card.name})", hint
            )
    elif study.out.is_dir() and not all(files.is_own(path.name) for path in study.out.iterdir()):
        raise ManyLabelError(
            who, "a new or empty folder, or one of a study", "a folder with other files", hint
        )


def _difference(found: RunRecord, asked: RunRecord) -> str:
    version = found.versions.get("manylabel", "an earlier one")
    if KINDS.keys() & found.recipe.keys():
        return f"the settings of all kinds of data in one record, as version {version} wrote them"
    old, new = found.compared, asked.compared
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    if not found.starts_like(asked):
        return "the model that it starts from as it was before it was trained anew"
    if not names:
        return "other data"
    told = ", ".join(f"{name} = {old.get(name)} instead of {new.get(name)}" for name in names[:3])
    renamed = old.keys() != new.keys() or "family" in names
    return f"{told}, as version {version} wrote it" if renamed else told
