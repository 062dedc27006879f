"""Carry out a study: methods x seeds on one data set, in several processes, resumable at any moment."""

from __future__ import annotations

import os

import torch

from manylabel import data
from manylabel.data.dataset import DataSet
from manylabel.study.executors.local import Failed, Finished, Listener, Loaded, in_processes, in_this_process
from manylabel.study.opening import leave_nothing_behind, occupied, open_folder, sort_tasks
from manylabel.study.plan import Plan
from manylabel.study.records import DataCard
from manylabel.study.run_cell import RunKey, Task


def run(plan: Plan, listener: Listener) -> list[Failed]:
    """Make the runs of a plan that are not finished yet.

    A script that asks for several jobs keeps this call under ``if __name__ == "__main__":``, as each process
    imports the script anew.

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
        For input that cannot be used, and a folder in use by another process; nothing is written then.
    KeyboardInterrupt
        After the runs in progress were stopped; the folder can be taken up.
    """
    dataset = data.load(plan.data, plan.data_dir)
    sort_tasks(plan, dataset)  # refuses before anything is written
    card = DataCard.of(dataset)
    with occupied(plan):
        done, to_do = sort_tasks(plan, dataset)  # again: who held the folder until now may have changed it
        fresh = not plan.folder.study_file.exists()
        open_folder(plan, dataset, card)
        listener(Loaded(card))
        for record in done:
            listener(Finished(RunKey(record.method, record.seed), record, earlier=True))
        failed = _make(plan, to_do, dataset, listener)
        if fresh and len(failed) == len(plan.tasks):
            leave_nothing_behind(plan)
    return failed


def _make(plan: Plan, to_do: list[Task], dataset: DataSet, listener: Listener) -> list[Failed]:
    jobs = min(plan.jobs or _default_jobs(), len(to_do))
    if jobs > 1:
        return in_processes(to_do, plan.data, plan.data_dir, dataset.digest, jobs, listener)
    return in_this_process(to_do, dataset, listener)


def _default_jobs() -> int:
    if torch.cuda.is_available():  # runs train on the first one
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
