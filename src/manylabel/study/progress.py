"""Progress of a plan: live bars on a terminal, plain lines in a log."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any

from manylabel.metrics import DISPLAY_NAMES
from manylabel.printable import clock, count, printable
from manylabel.study.analysis.statistics import defined, score
from manylabel.study.cell import CellKey
from manylabel.study.executors.base import Advanced, Event, Failed, Finished, Loaded, Started

if TYPE_CHECKING:
    from rich.console import Console

    from manylabel.training import Progress

LEAST = 0.002
"""Share of the work by whose pace the time that is left can be told."""


@dataclass
class Pace:
    """How far one run is, and how long its stage will still take."""

    stage: str = ""
    first_step: int = 0
    since: float = 0.0
    share: float = 0.0
    left: float | None = None

    def update(self, progress: Progress, now: float) -> None:
        """Take in progress; a resumed stage is timed from where it was taken up."""
        if progress.stage != self.stage:
            self.stage, self.first_step, self.since = progress.stage, progress.step, now
        done = progress.step / max(1, progress.steps)
        self.share = (progress.stages.index(progress.stage) + done) / len(progress.stages)
        taken = progress.step - self.first_step
        self.left = (now - self.since) * (progress.steps - progress.step) / taken if taken > 0 else None


@dataclass
class Overview:
    """Where all runs together stand.

    Attributes
    ----------
    weights : dict of CellKey to float
        Work in each cell, in comparable units.
    began : float or None
        When the first run got further, by the monotonic clock.
    """

    weights: Mapping[CellKey, float]
    began: float | None = None
    paces: dict[CellKey, Pace] = field(default_factory=dict)
    finished: int = 0
    spared: float = 0.0

    def advance(self, event: Advanced, now: float) -> Pace:
        self.began = now if self.began is None else self.began
        pace = self.paces.setdefault(event.key, Pace())
        pace.update(event.progress, now)
        return pace

    def end(self, event: Finished | Failed) -> None:
        self.finished += 1
        self.paces[event.key] = Pace(share=1.0)
        if event.earlier:
            self.spared += self.weights[event.key]

    @property
    def share(self) -> float:
        """Share of the work that is done, in [0, 1]."""
        return self._done() / sum(self.weights.values())

    def left(self, now: float) -> float | None:
        """Seconds left by the pace so far; None where too little is done to tell."""
        if self.began is None:
            return None
        done, work = self._done() - self.spared, sum(self.weights.values())
        if done <= LEAST * (work - self.spared):
            return None
        return (now - self.began) * (work - self._done()) / done

    def _done(self) -> float:
        return sum(self.weights[key] * pace.share for key, pace in self.paces.items())


class Display:
    """A listener of a plan that shows how far its cells are; use as a context manager.

    Parameters
    ----------
    console : rich.console.Console
        Bars where it is a terminal, plain lines otherwise.
    weights : dict of CellKey to float
        All cells of a plan, with the work in each.
    protocol : str
        Of the results shown.
    every : float, default 5
        Seconds between two plain lines of one run.
    """

    def __init__(
        self, console: Console, weights: Mapping[CellKey, float], protocol: str, every: float = 5.0
    ) -> None:
        self.console, self.protocol = console, protocol
        self.overview, self.began = Overview(weights), time.monotonic()
        lines: type[_Bars | _Lines] = _Bars if console.is_terminal else _Lines
        self._lines = lines(console, len(weights), every)

    def __enter__(self) -> Display:
        self._lines.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.stop()

    def __call__(self, event: Event) -> None:
        now = time.monotonic()
        if isinstance(event, Started):
            self._show_study(event, now)
            return
        if isinstance(event, Loaded):
            self._show_data(event)
            return
        if isinstance(event, Advanced):
            pace = self.overview.advance(event, now)
            self._lines.advance(event, pace, self.overview, now)
            return
        self.overview.end(event)
        self._lines.end(event, self.overview, now)
        self.console.print(self._outcome(event), highlight=False, soft_wrap=True)

    def _show_study(self, event: Started, now: float) -> None:
        left = self.overview.left(now)
        rest = "" if left is None else f", about {clock(left)} left"
        line = f"study {event.place} of {event.of}: {event.name} ({clock(now - self.began)} so far{rest})"
        self.console.print(printable(line), highlight=False, soft_wrap=True, markup=False)

    def _show_data(self, event: Loaded) -> None:
        card = event.card
        rows = f"{card.rows['train']} training and {card.rows['test']} test rows"
        sizes = f"{count(len(card.label_names), 'label')}; {count(event.runs, 'run')}"
        for line in (
            f"{card.name}: {rows} ({card.features}), {sizes}",
            *(f"note: {remark}" for remark in card.remarks),
        ):
            self.console.print(printable(line), highlight=False, soft_wrap=True, markup=False)

    def _outcome(self, event: Finished | Failed) -> str:
        from rich.markup import escape

        if isinstance(event, Failed):
            when = " in an earlier call" if event.earlier else ""
            return f"[red]failed[/]  {escape(str(event.key))}{when}: {escape(event.message)}"
        values = event.record.evaluations[self.protocol]["values"]
        scores = ", ".join(f"{DISPLAY_NAMES[m]} {score(defined(values[m]))}" for m in ("map", "macro_f1"))
        when = "by an earlier call" if event.earlier else f"in {clock(event.record.seconds)}"
        return f"[green]done[/]    {escape(str(event.key))} {when}: {scores}"


class _Bars:
    """One live line per running run, and one for all."""

    def __init__(self, console: Console, n_runs: int, every: float) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        self.n_runs = n_runs
        columns = (
            TextColumn("[bold]{task.description}"),
            TextColumn("{task.fields[state]}"),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[left]}"),
        )
        self.bars = Progress(*columns, console=console, transient=True)
        self.lines: dict[CellKey, Any] = {}

    def start(self) -> None:
        self.all = self.bars.add_task("all runs", total=1.0, state=f"0 of {self.n_runs} done", left="")
        self.bars.start()

    def stop(self) -> None:
        self.bars.stop()

    def advance(self, event: Advanced, pace: Pace, overview: Overview, now: float) -> None:
        from rich.markup import escape

        if event.key not in self.lines:
            self.lines[event.key] = self.bars.add_task(escape(str(event.key)), total=1.0, state="", left="")
        progress = event.progress
        done = progress.step / max(1, progress.steps)
        self.bars.update(
            self.lines[event.key], completed=done, state=state_of(progress), left=f"{_left(pace.left)} left"
        )
        self._all(overview, now)

    def end(self, event: Finished | Failed, overview: Overview, now: float) -> None:
        if event.key in self.lines:
            self.bars.remove_task(self.lines.pop(event.key))
        self._all(overview, now)

    def _all(self, overview: Overview, now: float) -> None:
        state, left = f"{overview.finished} of {self.n_runs} done", f"{_left(overview.left(now))} left"
        self.bars.update(self.all, completed=overview.share, state=state, left=left)


class _Lines:
    """A plain line per run every few seconds: for logs."""

    def __init__(self, console: Console, n_runs: int, every: float) -> None:
        self.console, self.n_runs, self.every = console, n_runs, every
        self.last: dict[CellKey, float] = {}

    def start(self) -> None:
        return

    def stop(self) -> None:
        return

    def advance(self, event: Advanced, pace: Pace, overview: Overview, now: float) -> None:
        if now - self.last.get(event.key, -math.inf) < self.every:
            return
        self.last[event.key] = now
        rest = f"all: {overview.finished} of {self.n_runs} done, {_left(overview.left(now))} left"
        line = f"running {event.key}: {state_of(event.progress)}, {_left(pace.left)} left ({rest})"
        self.console.print(line, highlight=False, soft_wrap=True, markup=False)

    def end(self, event: Finished | Failed, overview: Overview, now: float) -> None:
        return


def state_of(progress: Progress) -> str:
    """Stage, epoch and loss of a training, in words."""
    number = progress.stages.index(progress.stage) + 1
    stage = (
        progress.stage if len(progress.stages) == 1 else f"{progress.stage} {number}/{len(progress.stages)}"
    )
    loss = "" if math.isnan(progress.loss) else f", loss {progress.loss:.3f}"
    return f"{stage}, epoch {progress.epoch}/{progress.epochs}{loss}"


def _left(seconds: float | None) -> str:
    if seconds is None:
        return "-:--"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
