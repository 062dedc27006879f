"""A run of several stages that can be killed at any moment and goes on where it was."""

from __future__ import annotations

import time
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from manylabel import files
from manylabel.training import checkpoint
from manylabel.training.distributed import Ranks
from manylabel.training.loop import Loop
from manylabel.training.progress import Listener, Reporter, write_history
from manylabel.training.stage import Stage, Task


class Run:
    """Trains stages one after the other, keeping a checkpoint and a history.

    Parameters
    ----------
    stages : tuple of str
        Names of the stages, in their order.
    seed : int
    folder : str, Path or None
        Where ``checkpoint.safetensors`` and ``history.jsonl`` are kept, made if it is not there; None keeps nothing.
        No other process may work there until the last stage has ended.
    fingerprint : str
        Of recipe and data. A checkpoint with another fingerprint is refused rather than continued.
    listener : callable or None
        Receives :class:`Progress`.
    checkpoint_seconds : float, default 20
        Longest time that a kill can cost; 0 writes after every step.

    Raises
    ------
    ManyLabelError
        If the folder holds a checkpoint that cannot be read or belongs to another recipe or data set, cannot be
        written, or is in use by another process.
    """

    def __init__(
        self,
        stages: tuple[str, ...],
        seed: int,
        folder: str | Path | None = None,
        fingerprint: str = "",
        listener: Listener | None = None,
        checkpoint_seconds: float = 20.0,
    ) -> None:
        self.stages, self.seed, self.fingerprint = stages, seed, fingerprint
        self.reporter, self.checkpoint_seconds = Reporter(listener), checkpoint_seconds
        self.ranks = Ranks.current()
        self.folder = None if folder is None else Path(folder)
        self.history: list[dict[str, Any]] = []
        self._lock = self._occupy()
        self._resumed = self._read()
        self._saved = time.monotonic()

    @property
    def checkpoint_path(self) -> Path | None:
        return None if self.folder is None else self.folder / "checkpoint.safetensors"

    def left_behind(self, name: str) -> bool:
        """Whether the checkpoint stands in a later stage than this one."""
        if self._resumed is None:
            return False
        return self.stages.index(self._resumed[1]["stage"]) > self.stages.index(name)

    def train(self, name: str, task: Task, stage: Stage) -> None:
        """Train a stage to its end, or take it over from the checkpoint.

        Every stage starts from a random state of its own, made from ``seed``, so that it does not depend on what was
        drawn before. A stage that the checkpoint has left behind is not entered: the stage that it stands in restores
        every parameter.
        """
        if self.left_behind(name):
            return
        index = self.stages.index(name)
        loop = Loop(name, task, stage, self.seed, self.ranks, self.checkpoint_path)
        torch.manual_seed(self.seed * 7919 + index * 101 + self.ranks.rank)
        if self._resumed:
            self._take_up(loop, *self._resumed)
            self._resumed = None
        task.module.train()
        for record in loop.run():
            self._after_step(loop, record)
        self.reporter.send(loop.progress(self.stages))
        task.module.eval()
        if name == self.stages[-1] and self._lock is not None:
            self._lock.release()

    def _take_up(self, loop: Loop, tensors: checkpoint.Tensors, facts: dict[str, Any]) -> None:
        world = len(tensors.get("random.cpu", ()))
        if world not in (0, self.ranks.world):
            hint = f"Start {world} again, or delete the file to start this run anew."
            expected = f"a checkpoint of {self.ranks.world} processes"
            raise files.Unusable(str(self.checkpoint_path), expected, f"one of {world}", hint)
        try:
            loop.load(tensors, facts["loop"])
        except (KeyError, RuntimeError, TypeError, ValueError) as error:
            got = f"one of another version ({type(error).__name__}: {str(error)[:100]})"
            hint = "Delete the file to start this run anew."
            raise files.Unusable(
                str(self.checkpoint_path), "a checkpoint of this version", got, hint
            ) from error

    def _after_step(self, loop: Loop, record: dict[str, Any] | None) -> None:
        if record is not None:
            self.history.append(record)
            loop.task.module.train()
        if self.reporter.listener is not None and (record is not None or self.reporter.due):
            self.reporter.send(replace(loop.progress(self.stages), record=record))
        if self.folder is None:
            return
        if self.ranks.agree(loop.done or time.monotonic() - self._saved >= self.checkpoint_seconds):
            self._write(loop)

    def _write(self, loop: Loop) -> None:
        tensors, facts = loop.state()
        if self.ranks.first and self.folder is not None and self.checkpoint_path is not None:
            meta = {
                "stage": loop.name,
                "fingerprint": self.fingerprint,
                "loop": facts,
                "history": self.history,
            }
            checkpoint.save(self.checkpoint_path, tensors, meta)
            write_history(self.folder / "history.jsonl", self.history)
        self._saved = time.monotonic()

    def _occupy(self) -> files.Lock | None:
        """Make the folder and keep other processes out of it, before any work is done for nothing."""
        if self.folder is None or not self.ranks.first:
            return None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            got = error.strerror or str(error)
            raise files.Unusable(str(self.folder), "a folder that can be written", got) from None
        lock = files.Lock(self.folder, str(self.folder))
        weakref.finalize(self, lock.release)  # where an error ends the run
        return lock

    def _read(self) -> tuple[checkpoint.Tensors, dict[str, Any]] | None:
        path = self.checkpoint_path
        if path is None or not path.exists():
            return None
        tensors, meta = checkpoint.load(path)
        if meta.get("fingerprint") != self.fingerprint:
            hint = "Choose another output folder, or delete this one."
            raise files.Unusable(
                str(path), "a checkpoint of this recipe and data set", "one of another", hint
            )
        self.history = meta["history"]
        if self.ranks.first and self.folder is not None:  # a kill may have come between the two files
            write_history(self.folder / "history.jsonl", self.history)
        return tensors, meta
