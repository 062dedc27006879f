"""The folder of a study before and after its runs: what is there, can it be written, was it a false start."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from manylabel import files
from manylabel.data.dataset import DataSet
from manylabel.data.rows.registry import KINDS
from manylabel.errors import ManyLabelError
from manylabel.study.folder_names import check_folder_names
from manylabel.study.one_run import Task
from manylabel.study.plan import Plan
from manylabel.study.records import DataCard, RunRecord, StudyRecord, versions

SPARE_BYTES = 64 * 2**20


def sort_tasks(plan: Plan, dataset: DataSet) -> tuple[list[RunRecord], list[Task]]:
    """Finished records and tasks to do; refuses settings of no use, and a folder that holds something else."""
    _check_folder(plan, dataset)
    done, to_do = [], []
    for task in plan.tasks:
        asked = task.record(dataset)
        found = plan.folder.run_record(*task.key)
        if found is not None and not found.asks_for_the_same(asked) and _is_begun(task.folder):
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
        record = plan.folder.record()
        card = record.card
        if record.fraction != plan.fraction:
            got = f"one of {record.title}"
            raise ManyLabelError(who, f"a study with --fraction {plan.fraction:g}", got, hint)
        if card.digest != dataset.digest:
            raise ManyLabelError(
                who, f"a study of {dataset.name} as it is now", f"one of other data ({card.name})", hint
            )
    elif plan.out.is_dir() and not all(files.is_own(path.name) for path in plan.out.iterdir()):
        raise ManyLabelError(
            who, "a new or empty folder, or one of a study", "a folder with other files", hint
        )


def _difference(found: RunRecord, asked: RunRecord) -> str:
    if KINDS.keys() & found.recipe.keys():
        version = found.versions.get("manylabel", "an earlier one")
        return f"the settings of all kinds of data in one record, as version {version} wrote them"
    old, new = found.settings, asked.settings
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    if not names:
        return "other data"
    return ", ".join(f"{name} = {old.get(name)} instead of {new.get(name)}" for name in names[:3])


@contextmanager
def occupied(plan: Plan) -> Iterator[None]:
    """The folder of a study made, if it was not there, and kept from other processes.

    Raises
    ------
    ManyLabelError
        If it cannot be made or written, or another process works in it.
    """
    check_folder_names("--methods", plan.names)
    made = missing_folders(plan.out)
    try:
        plan.out.mkdir(parents=True, exist_ok=True)
        with files.Lock(plan.out, f"--out {plan.out}"):
            yield
    except OSError as error:
        raise _cannot_be_written(plan, error.strerror or str(error)) from None
    finally:
        _remove_empty(made)


def open_folder(plan: Plan, dataset: DataSet, card: DataCard) -> None:
    """Write study.json and the labels of the test rows, after a probe that the folder can be written and has room."""
    folder, fresh = plan.folder, not plan.folder.study_file.exists()
    record = StudyRecord(
        card=card,
        methods=plan.names,
        seeds=plan.seeds,
        fraction=plan.fraction,
        protocol=plan.protocol,
        command=plan.command,
        versions=versions(),
    )
    try:
        _probe(plan.out)
        # The record comes first: whatever a kill leaves beside it belongs to a study.
        (record if fresh else folder.record().joined(record)).write(folder.study_file)
        folder.write_test_labels(dataset.test.Y)
    except ManyLabelError as error:
        if fresh:
            _remove_files(plan)
        if isinstance(error.__cause__, OSError):
            raise _cannot_be_written(plan, error.got) from None
        raise


def _cannot_be_written(plan: Plan, reason: str) -> ManyLabelError:
    hint = "Name a folder that can be written, on a disk with room, with --out."
    return ManyLabelError(f"--out {plan.out}", "a folder that can be written", reason, hint)


def _probe(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < SPARE_BYTES:
        reason = OSError(f"a disk with {free / 2**20:.0f} MiB left")
        raise ManyLabelError(str(folder), "a disk with room", str(reason)) from reason
    probe = folder / ".probe"
    files.write(probe, bytes(2**20))  # a quota shows only when bytes are written
    probe.unlink(missing_ok=True)


def leave_nothing_behind(plan: Plan) -> None:
    """Remove what a false start wrote, unless a run got as far as training."""
    if any(_is_begun(task.folder) for task in plan.tasks):
        return
    for task in plan.tasks:
        for file in ("run.json", files.DIGESTS):
            (task.folder / file).unlink(missing_ok=True)
        _remove_empty([task.folder, task.folder.parent])
    _remove_files(plan)


def _remove_files(plan: Plan) -> None:
    """The record last: until then, the folder is one of a study."""
    for file in ("test_labels.npz", "study.json", files.DIGESTS):
        (plan.out / file).unlink(missing_ok=True)


def missing_folders(path: Path) -> list[Path]:
    """The folder and its parents as far as they are not there, the deepest first."""
    return [folder for folder in (path, *path.parents) if not folder.exists()]


def _is_begun(folder: Path) -> bool:
    """Whether a run has trained, has scored, or has left word of a bug."""
    return any(
        (folder / file).exists()
        for file in ("checkpoint.safetensors", "history.jsonl", "scores.npz", "error.txt")
    )


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
