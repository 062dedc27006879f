"""Stop a run dead, with nothing tidied up, as a kill would."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from manylabel.training import Run


class Killed(Exception):
    """What ends a run."""


@contextmanager
def killed_after(steps: int) -> Iterator[None]:
    """Write a checkpoint after every step, and see the run inside stop after so many."""
    count, original = itertools.count(1), Run._after_step

    def after_step(self, loop, record):
        self.checkpoint_seconds = 0.0
        original(self, loop, record)
        if next(count) == steps:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "_after_step", after_step)
        try:
            yield
        except Killed:
            return
    raise AssertionError(f"the run ended before step {steps}")
