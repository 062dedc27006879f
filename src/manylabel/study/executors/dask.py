"""The Dask executor: cells on the workers of a Dask cluster, results through folders that all of them see."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from queue import Empty, Queue
from typing import Any
from uuid import uuid4

from manylabel import files
from manylabel.data.dataset import DataSet
from manylabel.data.loading import seen_from
from manylabel.errors import ManyLabelError, missing_extra
from manylabel.study.executors.base import (
    Advanced,
    Event,
    Failed,
    Finished,
    Listener,
    Source,
    Work,
    attempt,
    loaded_again,
    message,
)
from manylabel.training import Progress

MOST_DEATHS = 3
_ATTEMPTS = "attempts.txt"  # in the folder of a cell, a line for each time that it began and did not end
_BETWEEN = 1.0  # seconds between two looks whether a task is still wanted
_ENDING = 60.0  # seconds to wait for a worker that was given up and is still ending
_one_at_a_time = threading.Lock()  # the threads of a training are set for the whole process


@dataclass(frozen=True)
class Dask:
    """Runs cells on a Dask cluster whose workers see the folder of the study and the data.

    A lost worker's cells run again elsewhere; a cell that ends its worker three times fails, and the others finish.

    Attributes
    ----------
    address : str
        Of the scheduler, such as ``"tcp://host:8786"``.
    resources : mapping of str to float, default none
        What each cell takes of what the workers declare, such as ``{"GPU": 1}``.
    patience : float, default 30
        Seconds to wait for the scheduler and for a first worker.
    """

    address: str
    resources: Mapping[str, float] = field(default_factory=dict)
    patience: float = 30.0

    def run(self, jobs: Sequence[Work], source: Source, listener: Listener) -> list[Failed]:
        """Run cells; see :class:`manylabel.study.executors.base.Executor`.

        Raises
        ------
        ManyLabelError
            If Dask is not installed, no scheduler answers, no worker comes, or the scheduler is lost. Finished cells
            are kept.
        """
        if not jobs:
            return []
        client = self._connected()
        try:
            return _Call(client, source, self.resources).run(jobs, listener)
        finally:
            client.close(timeout=5)

    def _connected(self) -> Any:
        """A client of the scheduler, which has a worker."""
        try:
            from distributed import Client
        except ImportError:
            raise missing_extra("`scheduler`", "dask[distributed]", "cluster") from None
        who = f"`scheduler` {self.address}"
        try:
            client = Client(self.address, timeout=self.patience, set_as_default=False)
        except (OSError, ValueError) as error:
            hint = "Start one with: dask scheduler."
            raise ManyLabelError(who, "the address of a Dask scheduler", _told(error), hint) from None
        try:
            client.wait_for_workers(1, timeout=self.patience)
        except TimeoutError:
            client.close(timeout=5)
            hint = f"Start one with: dask worker {self.address}."
            raise ManyLabelError(who, "a scheduler with at least one worker", "none", hint) from None
        return client


class _Call:
    """The cells of one call on a cluster: those that wait for an end, and what is heard of them."""

    def __init__(self, client: Any, source: Source, resources: Mapping[str, float]) -> None:
        self.client, self.resources = client, resources
        name = seen_from(Path.cwd(), source.data, source.data_dir)
        folder = None if source.data_dir is None else source.data_dir.resolve()
        self.where = name, folder, source.split, source.labels, tuple(source.read.items())
        self.digest, self.topic = source.dataset.digest, f"manylabel-{uuid4().hex}"
        self.heard: Queue[Any] = Queue()
        self.running: dict[Any, Work] = {}

    def run(self, jobs: Sequence[Work], listener: Listener) -> list[Failed]:
        self.client.subscribe_topic(self.topic, lambda event: self.heard.put(event[1]))
        failed: list[Failed] = []
        try:
            for job in jobs:
                self._submit(job)
            while self.running:
                event = self._next()
                if event is not None:
                    listener(event)
                if isinstance(event, Failed):
                    failed.append(event)
        finally:
            with suppress(Exception):  # the scheduler may be gone
                self.client.cancel(list(self.running))
        return failed

    def _submit(self, job: Work) -> None:
        key = f"{self.topic}-{uuid4().hex}"
        settled = job.settled(), self.where, self.digest, self.topic
        resources = dict(self.resources) or None
        future = self.client.submit(run_there, *settled, key=key, pure=False, resources=resources)
        self.running[future] = job
        future.add_done_callback(self.heard.put)

    def _next(self) -> Advanced | Finished | Failed | None:
        """The next event; None for what says nothing."""
        try:
            told = self.heard.get(timeout=1.0)
        except Empty:
            if self.client.status != "running":
                raise self._lost() from None
            return None
        if isinstance(told, dict):
            return self._advanced(told)
        job = self.running.get(told)
        if job is None:
            return None
        outcome = self._outcome(told, job)
        del self.running[told]
        if outcome is None:
            self._submit(job)
        return outcome

    def _advanced(self, told: dict[str, Any]) -> Advanced | None:
        progress = told["progress"] | {"stages": tuple(told["progress"]["stages"])}
        wanted = (job for future, job in self.running.items() if future.key == told["task"])
        job = next(wanted, None)  # an end may overtake what came before it
        return None if job is None else Advanced(job.key, Progress(**progress))

    def _outcome(self, future: Any, job: Work) -> Finished | Failed | None:
        """How a cell ended; None where it is to run again."""
        from distributed import KilledWorker

        key = job.key
        if future.status == "finished":
            found = future.result()
            return _read(job) if found is None else Failed(key, *found)
        if future.status != "error":
            raise self._lost()
        error = future.exception()
        if isinstance(error, KilledWorker):
            # Dask counts the deaths of a worker for all cells that waited there; their folders know which one ran.
            deaths = _attempts(job.folder, self.topic)
            return None if 0 < deaths < MOST_DEATHS else _deadly(job)
        return Failed(key, message(error), by_input=False)

    def _lost(self) -> ManyLabelError:
        hint = "Start it, then run the same command again: finished cells are kept."
        return ManyLabelError("`scheduler`", "a scheduler until the end", "a lost one", hint)


def _read(job: Work) -> Finished | Failed:
    """The record that a worker has left on the storage that is shared."""
    record = job.found()
    if record is None:
        return Failed(job.key, _not_shared(job.folder), by_input=True)
    return Finished(job.key, record)


def _not_shared(folder: Path) -> str:
    hint = "Name an `out` on storage that all workers see under the same path."
    return str(ManyLabelError(str(folder), "a folder that the workers share", "one of its own", hint))


def _deadly(job: Work) -> Failed:
    (job.folder / _ATTEMPTS).unlink(missing_ok=True)
    text = f"its worker ended {MOST_DEATHS} times while it ran, often for want of memory"
    return Failed(job.key, text, by_input=False)


def _told(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def run_there(job: Work, where: tuple[Any, ...], digest: str, topic: str) -> tuple[str, bool] | None:
    """Run a cell in a worker; None once its record is written, else why it failed and whether by its input."""
    with _one_at_a_time:
        if not job.marker.exists():
            return _not_shared(job.folder), True
        job.folder.mkdir(parents=True, exist_ok=True)
        with files.Lock(job.folder, str(job.folder), _ENDING):
            return _attempted(job, where, digest, topic)


def _attempted(job: Work, where: tuple[Any, ...], digest: str, topic: str) -> tuple[str, bool] | None:
    """One attempt, written down before it begins, as it may end the process."""
    counted = job.folder / _ATTEMPTS
    if _attempts(job.folder, topic) >= MOST_DEATHS:
        failure = _deadly(job)
        return failure.message, failure.by_input
    before = counted.read_text("utf-8") if counted.exists() else ""
    files.write(counted, f"{before}{topic}\n".encode())
    try:
        outcome = attempt(job, _dataset(where, digest), _teller(topic))
    except (ManyLabelError, OSError) as error:
        if isinstance(error, ConnectionError):
            raise
        outcome = Failed(job.key, message(error), by_input=True)
    finally:
        counted.unlink(missing_ok=True)
    return (outcome.message, outcome.by_input) if isinstance(outcome, Failed) else None


def _attempts(folder: Path, topic: str) -> int:
    """How often a call began a cell that did not end."""
    path = folder / _ATTEMPTS
    return path.read_text("utf-8").splitlines().count(topic) if path.exists() else 0


@lru_cache(maxsize=1)
def _dataset(where: tuple[Any, ...], digest: str) -> DataSet:
    """The data, which a worker loads once."""
    return loaded_again(where, digest)


def _teller(topic: str) -> Callable[[Event], None]:
    """Hands progress to the scheduler: the end of each epoch, and between them once a second.

    It stops a training that nobody waits for any more.
    """
    from distributed import get_worker

    worker = get_worker()
    task, last = worker.get_current_task(), 0.0

    def tell(event: Event) -> None:
        nonlocal last
        now = time.monotonic()
        if not isinstance(event, Advanced) or (event.progress.record is None and now - last < _BETWEEN):
            return
        last = now
        state = worker.state.tasks.get(task)
        if state is None or state.state not in ("executing", "long-running"):
            raise ConnectionAbortedError("the task was given up")
        worker.log_event(topic, {"task": task, "progress": asdict(event.progress)})

    return tell
