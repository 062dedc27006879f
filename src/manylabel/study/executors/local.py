"""Runs side by side in processes, and what is told of them while they go."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext
from pathlib import Path
from typing import TypeAlias

from manylabel import data, files
from manylabel.data.dataset import DataSet
from manylabel.errors import ManyLabelError
from manylabel.study.records import DataCard, RunRecord
from manylabel.study.run_cell import RunKey, Task, execute
from manylabel.training import Progress


@dataclass(frozen=True)
class Loaded:
    """The data are there, the runs begin."""

    card: DataCard


@dataclass(frozen=True)
class Advanced:
    """A run got further."""

    key: RunKey
    progress: Progress


@dataclass(frozen=True)
class Finished:
    """A run is done, now or by an earlier call."""

    key: RunKey
    record: RunRecord
    earlier: bool = False


@dataclass(frozen=True)
class Failed:
    """A run stopped with an error; ``by_input``: the input or the machine is to blame, not the program."""

    key: RunKey
    message: str
    by_input: bool


Event: TypeAlias = Loaded | Advanced | Finished | Failed
Listener: TypeAlias = Callable[[Event], None]


def in_this_process(tasks: Sequence[Task], dataset: DataSet, listener: Listener) -> list[Failed]:
    """Make the runs one after another."""
    failed = []
    for task in tasks:
        outcome = _attempt(task, dataset, listener)
        listener(outcome)
        if isinstance(outcome, Failed):
            failed.append(outcome)
    return failed


def in_processes(
    tasks: Sequence[Task], name: str, data_dir: Path | None, digest: str, jobs: int, listener: Listener
) -> list[Failed]:
    """Make the runs in ``jobs`` processes, each of which loads the data once.

    A process that dies takes one run with it; a new one carries on with the next.
    """
    context = multiprocessing.get_context("spawn")
    waiting, failed = deque(tasks), []
    workers = [_Worker(context, name, data_dir, digest) for _ in range(jobs)]
    try:
        for worker in workers:
            worker.take_next(waiting)
        while busy := {worker.connection: worker for worker in workers if worker.task is not None}:
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
    """A process that makes one run at a time, and the task it is at."""

    def __init__(self, context: SpawnContext, name: str, data_dir: Path | None, digest: str) -> None:
        self.context, self.source = context, (name, data_dir, digest)
        self.task: Task | None = None
        self._start()

    def _start(self) -> None:
        self.connection, theirs = self.context.Pipe()
        self.process = self.context.Process(target=_serve, args=(theirs, *self.source))
        with _interrupts_ignored():
            self.process.start()
        theirs.close()

    def take_next(self, waiting: deque[Task]) -> None:
        self.task = waiting.popleft() if waiting else None
        if self.task is not None:
            with suppress(ConnectionError):  # a process that is gone is noticed by hear
                self.connection.send(self.task)

    def hear(self) -> Advanced | Finished | Failed:
        """The next event; a process that died is replaced and its run counted as failed."""
        assert self.task is not None
        try:
            event: Advanced | Finished | Failed = self.connection.recv()
        except (EOFError, ConnectionError):
            self.process.join()
            code = self.process.exitcode
            message = f"its process ended with exit code {code} (-9: killed, often for want of memory)"
            event = Failed(self.task.key, message, by_input=False)
            self._start()
        return event

    def stop(self) -> None:
        self.connection.close()
        self.process.terminate()
        self.process.join()


def _serve(connection: Connection, name: str, data_dir: Path | None, digest: str) -> None:
    """Make the runs that arrive until the other end closes."""
    warnings.simplefilter("ignore")  # the parent has loaded the same data and shown its warnings
    threading.Thread(target=_end_with_parent, daemon=True).start()
    dataset: DataSet | None = None
    try:
        while True:
            task = connection.recv()
            try:
                dataset = dataset or _loaded_again(name, data_dir, digest)
            except (ManyLabelError, OSError) as error:
                connection.send(Failed(task.key, _message(error), by_input=True))
                continue
            connection.send(_attempt(task, dataset, connection.send))
    except (EOFError, ConnectionError):
        return


def _end_with_parent() -> None:
    """End at once when the parent is killed, as the next call may start the same run at once."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _loaded_again(name: str, data_dir: Path | None, digest: str) -> DataSet:
    dataset = data.load(name, data_dir)
    if dataset.digest != digest:
        raise ManyLabelError(name, "the data that the study began with", "other data", "Run again.")
    return dataset


def _attempt(task: Task, dataset: DataSet, tell: Listener) -> Finished | Failed:
    """One run; an error of it is put into its folder and handed back."""
    report = task.folder / "error.txt"
    try:
        record = execute(task, dataset, lambda progress: tell(Advanced(task.key, progress)))
    except ConnectionError:
        raise  # nobody listens any more
    except (ManyLabelError, OSError) as error:
        return Failed(task.key, _message(error), by_input=True)
    except Exception as error:
        with suppress(ManyLabelError):  # a place that cannot be written any more must not hide the error
            files.write(report, traceback.format_exc().encode())
        return Failed(task.key, f"{_message(error)} (traceback in {report})", by_input=False)
    with suppress(OSError):
        report.unlink(missing_ok=True)
    return Finished(task.key, record)


def _message(error: Exception) -> str:
    if isinstance(error, ManyLabelError) and not isinstance(error.__cause__, OSError):
        return str(error)
    if isinstance(error, OSError | ManyLabelError):
        hint = "Make room or free the place, then run the same command again: finished runs are kept."
        return f"{str(error).rstrip('.')}. {hint}"
    return f"{type(error).__name__}: {error}"


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
