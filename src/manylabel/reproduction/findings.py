"""What the runs of a reproduction reached, read back from its folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from manylabel.printable import count
from manylabel.reproduction.experiment import Point, Reproduction
from manylabel.study.analysis.spreadsheet import csv_text
from manylabel.study.analysis.statistics import Summary, defined
from manylabel.study.folder_names import name_of_data
from manylabel.study.records import RunRecord, StudyFolder
from manylabel.study.variants import Variant

COLUMNS = ("set", "line", "method", "x", "fraction", "seed", "protocol", "metric", "value", "seconds")


class Findings:
    """The finished runs of a reproduction.

    Parameters
    ----------
    reproduction : Reproduction
    folder : Path
        Of its studies.
    sets : sequence of str
        Names or paths of data sets; a path is called by its last part.
    seeds : sequence of int
    budget : str, default ""
        What a heading says of training that was cut short.
    """

    def __init__(
        self,
        reproduction: Reproduction,
        folder: Path,
        sets: Sequence[str],
        seeds: Sequence[int],
        budget: str = "",
    ) -> None:
        self.reproduction, self.budget = reproduction, budget
        self.sets, self.seeds = tuple(map(name_of_data, sets)), tuple(seeds)
        self._runs = {
            (data, point): list(_finished(study_folder(folder, data, point.fraction), point.method, seeds))
            for data in self.sets
            for point in reproduction.points
        }

    def runs(self, data: str, point: Point) -> list[RunRecord]:
        """The finished runs of a point on a data set, by seed."""
        return self._runs[data, point]

    def by_seed(self, data: str, point: Point, metric: str, protocol: str) -> dict[int, float]:
        """Seed -> value of a metric on the test rows; NaN where it is not defined."""
        runs = self.runs(data, point)
        return {run.seed: defined(run.evaluations[protocol]["values"][metric]) for run in runs}

    def summary(self, data: str, point: Point, metric: str, protocol: str) -> Summary | None:
        """Mean and spread over the seeds that are there; None without any."""
        values = list(self.by_seed(data, point, metric, protocol).values())
        return Summary.of(values) if values else None

    def seconds(self, data: str, points: Sequence[Point]) -> Summary | None:
        """Training time of a run."""
        seconds = [run.seconds for point in points for run in self.runs(data, point)]
        return Summary.of(seconds) if seconds else None

    @property
    def missing(self) -> int:
        """Runs that are not there."""
        return len(self._runs) * len(self.seeds) - sum(map(len, self._runs.values()))

    @property
    def is_empty(self) -> bool:
        """Whether no run is there."""
        return not any(self._runs.values())

    def heading(self, text: str) -> str:
        """A heading with the number of seeds and the budget."""
        budget = f", {self.budget}" if self.budget else ""
        return f"{text}, {count(len(self.seeds), 'seed')}{budget}"

    def csv(self) -> str:
        """Every value of every run, a line each."""
        return csv_text([(*COLUMNS, "budget"), *((*row, self.budget) for row in self._rows())])

    def _rows(self) -> Iterator[tuple[object, ...]]:
        for (data, point), runs in self._runs.items():
            for run in runs:
                for protocol, evaluation in run.evaluations.items():
                    for metric, value in evaluation["values"].items():
                        where = (data, point.line, point.method, point.x, point.fraction, run.seed)
                        yield (*where, protocol, metric, value, run.seconds)


def study_folder(folder: Path, data: str, fraction: float) -> StudyFolder:
    """Where the runs on a data set, or on a share of it, are kept."""
    name = name_of_data(data)
    return StudyFolder(folder / (name if fraction == 1 else f"{name}-{100 * fraction:g}-percent"))


def _finished(study: StudyFolder, method: str, seeds: Sequence[int]) -> Iterator[RunRecord]:
    for seed in seeds:
        run = study.run_record(Variant.parse(method).name, seed)
        if run is not None and run.status == "done":
            yield run
