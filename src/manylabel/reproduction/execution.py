"""Carry out a reproduction: its studies one after another, resumable at any moment."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from manylabel import data, methods
from manylabel.errors import ManyLabelError
from manylabel.printable import clock
from manylabel.reproduction import catalogue
from manylabel.reproduction.experiment import Reproduction
from manylabel.reproduction.findings import Findings, study_folder
from manylabel.reproduction.scaling import fitted
from manylabel.study import runner
from manylabel.study.executors.local import Failed
from manylabel.study.plan import MOST_THREADS, Plan, check_number, check_seeds
from manylabel.study.progress import Display
from manylabel.study.variants import Variant

if TYPE_CHECKING:
    from rich.console import Console

MOST_EPOCHS_SCALE = 1000


@dataclass(frozen=True)
class Request:
    """What is to be reproduced, and what replaces its defaults.

    Attributes
    ----------
    name : str
        One of :data:`catalogue.ITEMS`.
    out : Path
        Its studies go into the folder of its name in there.
    sets, methods, seeds : tuple or None
        None: those of the reproduction.
    at : tuple of float or None
        Values of the horizontal axis.
    epochs_scale : float, default 1
        Multiplies the epochs of all trainings. With a value other than 1 the folder has another name and all headings
        tell it.
    data_dir, jobs, threads
        As in :class:`manylabel.study.Plan`.
    """

    name: str
    out: Path
    sets: tuple[str, ...] | None = None
    methods: tuple[str, ...] | None = None
    seeds: tuple[int, ...] | None = None
    at: tuple[float, ...] | None = None
    epochs_scale: float = 1.0
    data_dir: Path | None = None
    jobs: int | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        if not 0 < self.epochs_scale <= MOST_EPOCHS_SCALE:
            expected = f"a number above 0 and up to {MOST_EPOCHS_SCALE}"
            raise ManyLabelError("epochs_scale", expected, f"{self.epochs_scale:g}")
        check_number("jobs", 1 if self.jobs is None else self.jobs, MOST_THREADS)
        check_number("threads", self.threads, MOST_THREADS)
        if self.seeds is not None:
            check_seeds("seeds", self.seeds)

    @cached_property
    def reproduction(self) -> Reproduction:
        return catalogue.get(self.name, catalogue.Asked(self.methods, self.at))

    @property
    def all_sets(self) -> tuple[str, ...]:
        return self.sets or self.reproduction.sets

    @property
    def all_seeds(self) -> tuple[int, ...]:
        return self.seeds or tuple(range(self.reproduction.seeds))

    @property
    def folder(self) -> Path:
        scaled = self.epochs_scale != 1
        return self.out / (f"{self.name}-epochs-x{self.epochs_scale:g}" if scaled else self.name)

    @property
    def findings(self) -> Findings:
        """What is there by now."""
        budget = "" if self.epochs_scale == 1 else f"{self.epochs_scale:g} x the epochs of the recipes"
        return Findings(self.reproduction, self.folder, self.all_sets, self.all_seeds, budget)

    def plans(self) -> Iterator[tuple[Plan, float]]:
        """A study for each data set and each share of its rows, with the work in it in comparable units."""
        points = self.reproduction.points
        for method in dict.fromkeys(Variant.parse(point.method).method for point in points):
            methods.get(method)  # refuses unknown ones before data are read
        sizes = {name: len(data.load(name, self.data_dir).train) for name in self.all_sets}
        for name, n_rows in sizes.items():
            for fraction in dict.fromkeys(point.fraction for point in points):
                asked = tuple(dict.fromkeys(p.method for p in points if p.fraction == fraction))
                settings = {m: fitted(m, self.epochs_scale, fraction, n_rows) for m in asked}
                plan = Plan(
                    data=name,
                    methods=asked,
                    seeds=self.all_seeds,
                    out=study_folder(self.folder, name, fraction).path,
                    settings=settings,
                    jobs=self.jobs,
                    threads=self.threads,
                    data_dir=self.data_dir,
                    fraction=fraction,
                )
                yield plan, float(n_rows * len(asked))


def carry_out(request: Request, console: Console) -> list[Failed]:
    """Make the runs that are not finished yet.

    Parameters
    ----------
    request : Request
    console : rich.console.Console
        Shows progress and the time left.

    Returns
    -------
    list of Failed
        Runs that could not be made; the others are finished.

    Raises
    ------
    ManyLabelError
        For input that cannot be used, a missing data set among it, before anything is trained.
    KeyboardInterrupt
        After the runs in progress were stopped; the folder can be taken up.
    """
    studies = list(request.plans())
    total, done, began = sum(work for _, work in studies), 0.0, time.monotonic()
    spared = 0.0
    failed: list[Failed] = []
    for i, (plan, work) in enumerate(studies, start=1):
        taken = time.monotonic() - began
        left = f", about {clock(taken * (total - done) / (done - spared))} left" if done > spared else ""
        line = f"study {i} of {len(studies)}: {plan.out.name} ({clock(taken)} so far{left})"
        console.print(line, highlight=False, soft_wrap=True, markup=False)
        finished = len(plan.folder.finished_runs()) if plan.folder.study_file.exists() else 0
        with Display(console, plan.weights, plan.protocol) as display:
            failed += runner.run(plan, display)
        done += work
        spared += work * min(1.0, finished / len(plan.tasks))
    return failed
