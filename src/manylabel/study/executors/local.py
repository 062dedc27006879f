"""The local executor: cells one after another in this process, or side by side in several."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext
from typing import Any

import torch

from manylabel.data.dataset import DataSet
from manylabel.errors import ManyLabelError
from manylabel.study.executors.base import (
    Advanced,
    Failed,
    Finished,
    Listener,
    Source,
    Work,
    attempt,
    loaded_again,
    message,
)


@dataclass(frozen=True)
class Local:
    """Runs cells on this machine, in ``jobs`` processes (None: as many as cores, or 1 where there is a GPU)."""

    jobs: int | None = None

    def run(self, jobs: Sequence[Work], source: Source, listener: Listener) -> list[Failed]:
        """Run cells; see :class:`manylabel.study.executors.base.Executor`."""
        side_by_side = min(self.jobs or _default_jobs(), len(jobs))
        if side_by_side > 1:
            return in_processes(jobs, source, side_by_side, listener)
        return in_this_process(jobs, source.dataset, listener)


def _default_jobs() -> int:
    if torch.cuda.is_available():  # runs train on the first one
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_this_process(jobs: Sequence[Work], dataset: DataSet, listener: Listener) -> list[Failed]:
    """Run cells one after another."""
    failed = []
    for job in jobs:
        outcome = attempt(job, dataset, listener)
        listener(outcome)
        if isinstance(outcome, Failed):
            failed.append(outcome)
    return failed


def in_processes(jobs: Sequence[Work], source: Source, number: int, listener: Listener) -> list[Failed]:
    """Run cells in a number of processes, each of which loads the data once.

    A process that dies takes one run with it; a new one carries on with the next.
    """
    context = multiprocessing.get_context("spawn")
    waiting: deque[Work] = deque(jobs)
    failed: list[Failed] = []
    workers = [_Worker(context, source) for _ in range(number)]
    try:
        for worker in workers:
            worker.take_next(waiting)
        while busy := {worker.connection: worker for worker in workers if worker.job is not None}:
            for connection in wait(list(busy)):
                worker = busy[connection]  # type: ignore[index]
                event = worker.hear()
                listener(event)
                if isinstance(event, Failed):
                    failed.append(event)
                if not isinstance(event, Advanced):
                    worker.take_next(waiting)
    finally:
        for worker in workers:
            worker.stop()
    return failed


class _Worker:
    """A worker process, which runs one cell at a time, and the cell that it is running."""

    def __init__(self, context: SpawnContext, source: Source) -> None:
        self.context = context
        self.source = source.where, source.dataset.digest
        self.job: Work | None = None
        self._start()

    def _start(self) -> None:
        self.connection, theirs = self.context.Pipe()
        self.process = self.context.Process(target=_serve, args=(theirs, *self.source))
        with _interrupts_ignored():
            self.process.start()
        theirs.close()

    def take_next(self, waiting: deque[Work]) -> None:
        self.job = waiting.popleft() if waiting else None
        if self.job is not None:
            with suppress(ConnectionError):  # a process that is gone is noticed by hear
                self.connection.send(self.job)

    def hear(self) -> Advanced | Finished | Failed:
        """The next event; a process that died is replaced and its run counted as failed."""
        assert self.job is not None
        try:
            event: Advanced | Finished | Failed = self.connection.recv()
        except (EOFError, ConnectionError):
            self.process.join()
            code = self.process.exitcode
            why = " (killed, often for want of memory)" if code == -9 else ""
            text = f"its process ended with exit code {code}{why}"
            event = Failed(self.job.key, text, by_input=False)
            self._start()
        return event

    def stop(self) -> None:
        self.connection.close()
        self.process.terminate()
        self.process.join()


def _serve(connection: Connection, where: tuple[Any, ...], digest: str) -> None:
    """Run the cells that arrive until the other end closes."""
    warnings.simplefilter("ignore")  # the parent has loaded the same data and shown its warnings
    threading.Thread(target=_end_with_parent, daemon=True).start()
    dataset: DataSet | None = None
    try:
        while True:
            job = connection.recv()
            try:
                dataset = dataset or loaded_again(where, digest)
            except (ManyLabelError, OSError) as error:
                connection.send(Failed(job.key, message(error), by_input=True))
                continue
            connection.send(attempt(job, dataset, connection.send))
    except (EOFError, ConnectionError):
        return


def _end_with_parent() -> None:
    """End at once when the parent is killed, as the next call may start the same run at once."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Processes begun inside never see Ctrl-C: the parent alone decides when they stop.

    The signal is held back, not dropped: a Ctrl-C that comes meanwhile reaches the parent afterwards.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
    elif hasattr(signal, "pthread_sigmask"):
        resource_tracker.ensure_running()  # it unblocks the signal when it starts
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    else:
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, handler)
