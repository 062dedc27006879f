"""A request for a reproduction: what replaces its defaults, the plan of its cells, and their results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from manylabel import data, methods
from manylabel.errors import ManyLabelError
from manylabel.reproduction import catalogue
from manylabel.reproduction.experiment import Place, Point, Reproduction
from manylabel.reproduction.held_out import write_training_rows
from manylabel.reproduction.scaling import fitted
from manylabel.study.analysis.results import Results
from manylabel.study.cell import Cell
from manylabel.study.folder import StudyFolder
from manylabel.study.folder_names import name_of_data, name_of_study
from manylabel.study.plan import MOST_THREADS, Plan, check_number, check_seeds
from manylabel.study.variants import Variant

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
            raise ManyLabelError("`epochs_scale`", expected, f"{self.epochs_scale:g}")
        check_number("jobs", 1 if self.jobs is None else self.jobs, MOST_THREADS)
        check_number("threads", self.threads, MOST_THREADS)
        if self.seeds is not None:
            check_seeds("seeds", self.seeds)

    @cached_property
    def usual(self) -> Reproduction:
        """The reproduction with its own data sets and seeds."""
        return catalogue.get(self.name, catalogue.Asked(self.methods, self.at))

    @cached_property
    def reproduction(self) -> Reproduction:
        """The reproduction with the data sets, as folders call them, the seeds and the budget that are asked for."""
        return replace(
            self.usual,
            sets=tuple(map(name_of_data, self.sets or self.usual.sets)),
            seeds=self.seeds or self.usual.seeds,
            budget="" if self.epochs_scale == 1 else f"{self.epochs_scale:g} x the epochs of the recipes",
        )

    @property
    def folder(self) -> Path:
        scaled = self.epochs_scale != 1
        return self.out / (f"{self.name}-epochs-x{self.epochs_scale:g}" if scaled else self.name)

    @property
    def results(self) -> Results[Place]:
        """What is finished by now."""
        asked = self.reproduction
        places = [
            (name, point)
            for data, name in zip(self.sets or self.usual.sets, asked.sets, strict=True)
            for point in asked.points
            if self._holds_enough(data, point)
        ]
        return Results.read({place: self._folders(place) for place in places})

    def _folders(self, place: Place) -> dict[int, Path]:
        """The folder of each seed."""
        name, point = place
        method, part = Variant.parse(point.method).name, (point.fraction, point.wrong_labels)
        studies = {seed: name_of_study(name, *part, self._split(seed)) for seed in self.reproduction.seeds}
        return {
            seed: StudyFolder(self.folder / study).run_folder(method, seed) for seed, study in studies.items()
        }

    def _split(self, seed: int) -> int | None:
        """What draws the test rows of a seed; None for the published ones."""
        return seed if self.usual.random_splits else None

    @property
    def plan(self) -> Plan:
        """The cells: every point with every seed on every data set.

        Raises
        ------
        ManyLabelError
            For an unknown method, or a data set that cannot be read.
        """
        for method in dict.fromkeys(Variant.parse(point.method).method for point in self.usual.points):
            methods.get(method)  # refuses unknown ones before data are read
        return Plan(
            tuple(self._cells()),
            self.folder,
            protocol="tuned",
            jobs=self.jobs,
            threads=self.threads,
            data_dir=self.data_dir,
            nested=True,
            rows=self._rows,
            measures=self.usual.measures,
        )

    @cached_property
    def _rows(self) -> dict[str, int]:
        """Training rows of each data set; of those that stand for their training part, as files of their own."""
        names = self.sets or self.usual.sets
        if self.usual.held_out:
            folder = self.folder / "training-rows"
            names = tuple(write_training_rows(name, self.data_dir, folder) for name in names)
        return {name: len(data.load(name, self.data_dir).train) for name in names}

    def _holds_enough(self, name: str, point: Point) -> bool:
        """Whether the share of a point holds as many training rows as the reproduction wants."""
        fewest = self.usual.fewest_rows
        return fewest == 0 or point.fraction * self._rows[name] >= fewest

    def _cells(self) -> Iterator[Cell]:
        """Study by study: what shares rows and labels, with the first seed, then with the next."""
        parts = dict.fromkeys((point.fraction, point.wrong_labels) for point in self.usual.points)
        for name in self._rows:
            for part in parts:
                shared = [p for p in self.usual.points if (p.fraction, p.wrong_labels) == part]
                asked = dict.fromkeys(p.method for p in shared if self._holds_enough(name, p))
                settings = {method: self._fitted(method, part[0], name) for method in asked}
                for seed in self.reproduction.seeds:
                    split = self._split(seed)
                    yield from (Cell(name, m, seed, settings[m], *part, split) for m in asked)

    def _fitted(self, method: str, fraction: float, name: str) -> dict[str, Any]:
        scales = self.usual.scales_variants
        return fitted(method, self.epochs_scale, fraction, self._rows[name], scales_variants=scales)
