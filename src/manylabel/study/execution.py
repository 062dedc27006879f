"""Carry out a study: methods x seeds on one data set, in several processes, resumable at any moment."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from manylabel import data, methods
from manylabel.data.dataset import DataSet
from manylabel.errors import ManyLabelError
from manylabel.study.one_run import PROTOCOLS, RunKey, Task
from manylabel.study.processes import Failed, Finished, Listener, Loaded, in_processes, in_this_process
from manylabel.study.records import DataCard, RunRecord, StudyFolder, StudyRecord, versions

SPARE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Plan:
    """What to run.

    Attributes
    ----------
    data : str
        Name of a catalogue data set, or a path.
    methods : tuple of str
    seeds : tuple of int
        A seed drives the validation split, initialisation, the order of rows and augmentation.
    out : Path
        Folder of the study. Runs finished there are kept, unfinished ones are taken up.
    settings : mapping from method to settings that replace those of its recipe
    protocol : {"tuned", "fixed", "oracle"}
        How thresholds are chosen in what is shown; all three are recorded.
    jobs : int or None
        Runs made at the same time; None: as many as cores (1 where there is a GPU).
        Results do not depend on it.
    threads : int
        Threads of each run.
    data_dir : Path or None
        Folder with local copies of data sets.
    """

    data: str
    methods: tuple[str, ...]
    seeds: tuple[int, ...]
    out: Path
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    protocol: str = "tuned"
    jobs: int | None = None
    threads: int = 1
    data_dir: Path | None = None

    def __post_init__(self) -> None:
        _check_choice("--protocol", self.protocol, PROTOCOLS)
        _check_at_least_one("--methods", len(self.methods))
        _check_at_least_one("--seeds", len(self.seeds))
        _check_at_least_one("--jobs", 1 if self.jobs is None else self.jobs)
        _check_at_least_one("--threads", self.threads)
        for method in self.settings:
            _check_choice("--set", method, self.methods)

    @property
    def folder(self) -> StudyFolder:
        return StudyFolder(self.out)

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """All runs asked for: every method with the first seed, then with the second, and so on."""
        keys = [RunKey(method, seed) for seed in self.seeds for method in self.methods]
        return tuple(
            Task(key, self.settings.get(key.method, {}), self.folder.run_folder(*key), self.threads)
            for key in keys
        )

    @property
    def weights(self) -> dict[RunKey, float]:
        """Expected minutes of each run where all recipes name them for this data set, else equal weights."""
        minutes = {method: _minutes(method, self.data) for method in self.methods}
        known = all(minutes.values())
        return {task.key: minutes[task.key.method] if known else 1.0 for task in self.tasks}

    @property
    def command(self) -> str:
        """The command line that asks for this plan."""
        words = [
            "manylabel",
            "run",
            self.data,
            "--methods",
            ",".join(self.methods),
            "--seeds",
            _seeds(self.seeds),
        ]
        for method, settings in self.settings.items():
            for name, value in settings.items():
                words += ["--set", f"{method}.{name}={value}"]
        if self.protocol != "tuned":
            words += ["--protocol", self.protocol]
        if self.threads != 1:
            words += ["--threads", str(self.threads)]
        if self.data_dir is not None:
            words += ["--data-dir", str(self.data_dir)]
        return shlex.join([*words, "--out", str(self.out)])


def run(plan: Plan, listener: Listener) -> list[Failed]:
    """Make the runs of a plan that are not finished yet.

    Parameters
    ----------
    plan : Plan
    listener : callable
        Is told of the data once they are loaded, and of every Advanced, Finished and Failed.

    Returns
    -------
    list of Failed
        Runs that could not be made; the others are finished.

    Raises
    ------
    ManyLabelError
        For input that cannot be used; nothing is written then.
    KeyboardInterrupt
        After the runs in progress were stopped; the folder can be taken up.
    """
    dataset = data.load(plan.data, plan.data_dir)
    done, to_do = _sort(plan, dataset)
    fresh, card = not plan.folder.study_file.exists(), DataCard.of(dataset)
    _open_folder(plan, dataset, card)
    listener(Loaded(card))
    for record in done:
        listener(Finished(RunKey(record.method, record.seed), record, earlier=True))
    jobs = min(plan.jobs or _default_jobs(), len(to_do))
    if jobs > 1:
        failed = in_processes(to_do, plan.data, plan.data_dir, dataset.digest, jobs, listener)
    else:
        failed = in_this_process(to_do, dataset, listener)
    if fresh and len(failed) == len(plan.tasks):
        _leave_nothing_behind(plan)
    return failed


def _sort(plan: Plan, dataset: DataSet) -> tuple[list[RunRecord], list[Task]]:
    """Finished records and tasks to do; refuses a folder that holds something else."""
    _check_folder(plan, dataset)
    done, to_do = [], []
    for task in plan.tasks:
        asked = task.record(dataset)
        found = plan.folder.run_record(*task.key)
        if found is not None and not found.asks_for_the_same(asked):
            got = f"{task.key} there with {_difference(found, asked)}"
            hint = "Choose another --out, or delete the folder of that run."
            raise ManyLabelError(f"--out {plan.out}", "runs of the same recipe", got, hint)
        if found is not None and found.status == "done":
            done.append(found)
        else:
            to_do.append(task)
    return done, to_do


def _check_folder(plan: Plan, dataset: DataSet) -> None:
    who, hint = f"--out {plan.out}", "Choose another --out."
    if plan.folder.study_file.exists():
        card = plan.folder.record().card
        if card.digest != dataset.digest:
            raise ManyLabelError(
                who, f"a study of {dataset.name} as it is now", f"one of other data ({card.name})", hint
            )
    elif plan.out.is_dir() and any(plan.out.iterdir()):
        raise ManyLabelError(
            who, "a new or empty folder, or one of a study", "a folder with other files", hint
        )


def _difference(found: RunRecord, asked: RunRecord) -> str:
    old, new = found.settings, asked.settings
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    if not names:
        return "other data"
    return ", ".join(f"{name} = {old.get(name)} instead of {new.get(name)}" for name in names[:3])


def _open_folder(plan: Plan, dataset: DataSet, card: DataCard) -> None:
    """Make the folder and its study.json, after a probe that it can be written and has room."""
    made = _missing_parents(plan.out)
    folder = plan.folder
    record = StudyRecord(
        card=card,
        methods=plan.methods,
        seeds=plan.seeds,
        protocol=plan.protocol,
        command=plan.command,
        versions=versions(),
    )
    try:
        plan.out.mkdir(parents=True, exist_ok=True)
        _probe(plan.out)
        folder.write_test_labels(dataset.test.Y)
        (folder.record().joined(record) if folder.study_file.exists() else record).write(folder.study_file)
    except OSError as error:
        for parent in made:
            shutil.rmtree(parent, ignore_errors=True)
        reason = error.strerror or str(error)
        hint = "Name a folder that can be written, on a disk with room, with --out."
        raise ManyLabelError(f"--out {plan.out}", "a folder that can be written", reason, hint) from None


def _probe(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < SPARE_BYTES:
        raise OSError(f"a disk with {free / 2**20:.0f} MiB left")
    probe = folder / f".probe.{os.getpid()}"
    try:
        probe.write_bytes(bytes(2**20))  # a quota shows only when bytes are written
    finally:
        probe.unlink(missing_ok=True)


def _missing_parents(path: Path) -> list[Path]:
    return [parent for parent in (path, *path.parents) if not parent.exists()][-1:]


def _leave_nothing_behind(plan: Plan) -> None:
    """Remove what an attempt wrote that failed before any training."""
    if (
        any(plan.out.rglob("history.jsonl"))
        or any(plan.out.rglob("checkpoint*"))
        or any(plan.out.rglob("error.txt"))
    ):
        return
    for task in plan.tasks:
        (task.folder / "run.json").unlink(missing_ok=True)
    for file in ("study.json", "test_labels.npz"):
        (plan.out / file).unlink(missing_ok=True)
    for folder in [*sorted((p for p in plan.out.rglob("*") if p.is_dir()), reverse=True), plan.out]:
        if not any(folder.iterdir()):
            folder.rmdir()


def _default_jobs() -> int:
    if torch.cuda.is_available():  # runs train on the first one
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _minutes(method: str, name: str) -> float:
    expected = (e.minutes for e in methods.get(method).recipe.expected if e.data == name)
    return next(expected, 0.0)


def _seeds(seeds: tuple[int, ...]) -> str:
    return str(len(seeds)) if seeds == tuple(range(len(seeds))) else ",".join(map(str, seeds))


def _check_at_least_one(option: str, number: int) -> None:
    if number < 1:
        raise ManyLabelError(option, "at least 1", str(number))


def _check_choice(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ManyLabelError(option, "one of " + ", ".join(choices), repr(value))
