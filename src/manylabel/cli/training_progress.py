"""Progress of one training: a live bar on a terminal, plain lines in a log."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Any

from manylabel.printable import clock, printable

if TYPE_CHECKING:
    from rich.console import Console

    from manylabel.training import Progress


class TrainingDisplay:
    """A listener of a training that shows how far it is; use as a context manager.

    Parameters
    ----------
    console : rich.console.Console
    every : float, default 5
        Seconds between two plain lines.
    """

    def __init__(self, console: Console, every: float = 5.0) -> None:
        from manylabel.study.progress import Pace

        self.console, self.every = console, every
        self.pace, self.last = Pace(), -float("inf")
        self.bars: Any = None

    def __enter__(self) -> TrainingDisplay:
        if self.console.is_terminal:
            from rich.progress import BarColumn, Progress, TextColumn

            columns = (
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[left]}"),
            )
            self.bars = Progress(*columns, console=self.console, transient=True)
            self.task = self.bars.add_task("getting ready", total=1.0, left="")
            self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bars is not None:
            self.bars.stop()

    def __call__(self, progress: Progress) -> None:
        from manylabel.study.progress import state_of

        now = time.monotonic()
        self.pace.update(progress, now)
        state = state_of(progress)
        left = "" if self.pace.left is None else f"about {clock(self.pace.left)} left in this stage"
        if self.bars is not None:
            self.bars.update(self.task, completed=self.pace.share, description=printable(state), left=left)
        elif now - self.last >= self.every:
            self.last = now
            line = f"training: {state}" + (f", {left}" if left else "")
            self.console.print(printable(line), highlight=False, soft_wrap=True, markup=False)
