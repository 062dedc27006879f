"""Rounds of a search: trials drawn together, their parts run by an executor, their values kept in order."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from manylabel import files
from manylabel.errors import ManyLabelError
from manylabel.printable import clock
from manylabel.study.cell import CellKey
from manylabel.study.executors.base import Advanced, Event, Executor, Failed, Finished
from manylabel.study.search import trials
from manylabel.study.search.part import PARTS, Part
from manylabel.study.search.search import Search

if TYPE_CHECKING:
    import optuna

Tell: TypeAlias = Callable[[str], None]

EVERY = 10.0  # seconds between two lines of progress


def make_round(search: Search, study: optuna.Study, number: int, tell: Tell, executor: Executor) -> None:
    """Draw some trials, run their parts, and keep what they reached; a round that is cut short is given back.

    Parts that are done are not done again by the next call.
    """
    begun: list[tuple[optuna.Trial, list[Part]]] = []
    try:
        for _ in range(number):
            trial = trials.begin(study)
            if trial is not None:
                begun.append((trial, []))
                begun[-1][1].extend(_parts(search, trial))
        watch = _Watch(search, study, [part for _, parts in begun for part in parts], tell)
        failed = _measured(search, watch, executor)
        refused = [_ended(study, trial, parts, failed, watch) for trial, parts in begun]
    except BaseException:
        for trial, _ in begun:
            if study.trials[trial.number].state.name == "RUNNING":
                trials.give_back(study, trial.number)
        raise
    errors = [error for error in refused if error is not None]
    if errors and not trials.best_first(study):
        raise errors[0]  # the first trial already cannot be made


def _parts(search: Search, trial: optuna.Trial) -> list[Part]:
    """The parts of a trial, whose settings are drawn now."""
    found = {name: choice.suggest(name, trial) for name, choice in search.choices.items()}
    drawn_as = trials.drawn_as(trial)
    return [Part.of(search, place, drawn_as, found) for place in range(len(search.problems))]


def _measured(search: Search, watch: _Watch, executor: Executor) -> dict[CellKey, str]:
    """Run the parts that are not done yet, data set by data set; how those failed that ended their process.

    Raises
    ------
    ManyLabelError
        Where the machine or the input is to blame, and no settings.
    """
    files.usable_folder(search.out / PARTS, "`out`")
    failed: list[Failed] = []
    for source in {id(problem.source): problem.source for problem in search.problems}.values():
        left = [p for p in watch.parts if search.problems[p.place].source is source and p.found() is None]
        failed += executor.run(left, source, watch)
    for failure in failed:
        if failure.by_input:
            expected = "a place and data that can be used"
            got = failure.message.rstrip(".")
            raise ManyLabelError(f"{failure.key.method} on {failure.key.data}", expected, got)
    return {failure.key: failure.message for failure in failed}


def _ended(
    study: optuna.Study, trial: optuna.Trial, parts: Sequence[Part], failed: dict[CellKey, str], watch: _Watch
) -> Exception | None:
    """Keep what a trial reached; why it cannot be made, if so."""
    values: dict[str, list[float]] = {}
    for part in parts:
        record = part.found()
        error = RuntimeError(failed[part.key]) if record is None else record.error()
        if error is not None:
            trials.fail(study, trial, error)
            watch.tell(f"trial {trial.number} failed: {error}")
            return error
        assert record is not None
        assert record.value is not None
        values.setdefault(part.data, []).append(record.value)
    means = {name: sum(each) / len(each) for name, each in values.items()}
    value = sum(means.values()) / len(means)
    trials.end(study, trial, value, means, watch.seconds)
    watch.end(trial.number, value)
    return None


class _Watch:
    """Says how far the search is, every few seconds and after each trial; a listener of executors."""

    def __init__(self, search: Search, study: optuna.Study, parts: Sequence[Part], tell: Tell) -> None:
        self.search, self.study, self.parts, self.tell = search, study, parts, tell
        self.began = self.last = time.monotonic()
        self.shares = dict.fromkeys((part.key for part in parts), 0.0)

    @property
    def seconds(self) -> float:
        """Of a trial, since the round began."""
        return (time.monotonic() - self.began) * len(self.search.problems) / max(len(self.parts), 1)

    def __call__(self, event: Event) -> None:
        if isinstance(event, Finished):
            self.shares[event.key] = 1.0
        if not isinstance(event, Advanced):
            return
        progress, now = event.progress, time.monotonic()
        stage = progress.stages.index(progress.stage) + progress.step / progress.steps
        self.shares[event.key] = stage / len(progress.stages)
        if now - self.last >= EVERY:
            self.last = now
            part = next(part for part in self.parts if part.key == event.key)
            own = [share for key, share in self.shares.items() if key.method == event.key.method]
            share = sum(own) / len(own)
            self.tell(
                f"{event.key.method}: {part}, {progress.stage}, {share:.0%} of the trial; {self._left()}"
            )

    def end(self, number: int, value: float) -> None:
        """Say what a trial reached."""
        best, took = self.study.best_trial, clock(self.seconds)
        reached = (
            f"{self.search.objective} {value:.4f} in {took} (best {best.value:.4f}, trial {best.number})"
        )
        self.shares = dict.fromkeys(self.shares, 0.0)
        self.tell(f"trial {number}: {reached}; {self._left()}")

    def _left(self) -> str:
        """Trials and time left by the pace of the finished ones, or of these."""
        done, share = trials.seconds(self.study), sum(self.shares.values()) / max(len(self.shares), 1)
        number = self.search.trials - len(trials.taken(self.study))
        if number <= 0 and not share:
            return "nothing left"
        if not done and not share:
            return f"{self.search.trials} trials left"
        each = sum(done) / len(done) if done else self.seconds / share
        running = (1 - share) * len(self.parts) / len(self.search.problems) if share else 0
        return f"about {clock((max(0, number) + running) * each)} left"
