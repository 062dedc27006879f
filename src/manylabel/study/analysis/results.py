"""Results: the finished cells of one or many studies, read back and asked for values, means, spreads, differences."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Generic, TypeAlias, TypeVar

import numpy as np

from manylabel.errors import ManyLabelError
from manylabel.files.spreadsheet import csv_text
from manylabel.study.analysis.statistics import (
    LEVEL,
    Array,
    Difference,
    Summary,
    defined,
    holm,
    paired_p_value,
)
from manylabel.study.folder import StudyFolder
from manylabel.study.records import RunRecord

K = TypeVar("K", bound=Hashable)
Columns: TypeAlias = Mapping[str, Callable[[K], object]]


class Results(Generic[K]):
    """Finished runs, grouped by all but the seed.

    Parameters
    ----------
    runs : mapping of group to its runs
        A group is a method of a study, or a data set and what was trained on it; they are shown in this order.
    protocol : str, default "tuned"
        Of the values where none is named.
    missing : sequence of (group, seed)
        Cells that were asked for and are not finished.
    """

    def __init__(
        self,
        runs: Mapping[K, Sequence[RunRecord]],
        protocol: str = "tuned",
        missing: Sequence[tuple[K, int]] = (),
    ) -> None:
        self.protocol, self.missing = protocol, tuple(missing)
        self._runs = {group: list(each) for group, each in runs.items() if each}

    @classmethod
    def read(cls, folders: Mapping[K, Mapping[int, Path]], protocol: str = "tuned") -> Results[K]:
        """The results in the folders of runs, given by group and seed.

        Raises
        ------
        ManyLabelError
            If a record is damaged.
        """
        runs: dict[K, list[RunRecord]] = {group: [] for group in folders}
        missing = []
        for group, by_seed in folders.items():
            for seed, folder in by_seed.items():
                path = folder / "run.json"
                run = RunRecord.read(path) if path.exists() else None
                if run is not None and run.status == "done":
                    runs[group].append(run)
                else:
                    missing.append((group, seed))
        return cls(runs, protocol, missing)

    @property
    def groups(self) -> tuple[K, ...]:
        """The groups that have runs."""
        return tuple(self._runs)

    @property
    def runs(self) -> tuple[RunRecord, ...]:
        """The runs of all groups."""
        return tuple(run for each in self._runs.values() for run in each)

    @property
    def is_empty(self) -> bool:
        """Whether no run is finished."""
        return not self._runs

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that were recorded."""
        return tuple(self.runs[0].evaluations[self.protocol]["values"]) if self._runs else ()

    def of(self, group: K) -> list[RunRecord]:
        """The runs of a group, by seed."""
        return self._runs.get(group, [])

    def by_seed(self, group: K, metric: str, protocol: str | None = None) -> dict[int, float]:
        """Seed -> value of a metric on the test rows, or of a measure; NaN where it is not defined."""
        protocol = protocol or self.protocol
        return {run.seed: _value(run, metric, protocol) for run in self.of(group)}

    def summary(self, group: K, metric: str, protocol: str | None = None) -> Summary:
        """Mean and spread of a metric over the seeds that are there."""
        return Summary.of(list(self.by_seed(group, metric, protocol).values()))

    def seconds(self, *groups: K) -> Summary:
        """Training time of a run."""
        return Summary.of([run.seconds for group in groups for run in self.of(group)])

    def ranking(self, metric: str) -> list[K]:
        """Groups from the highest mean to the lowest, then those without; of equal ones the earlier goes first."""
        means = {group: self.summary(group, metric).mean for group in self.groups}
        return sorted(self.groups, key=lambda group: (math.isnan(means[group]), -means[group]))

    def difference(self, ours: K, theirs: K, metric: str) -> Difference | None:
        """Paired over the seeds for which both are defined; None where there is none."""
        values = self._common(ours, theirs, metric)
        return Difference.of(*values) if values[0] else None

    def _common(self, ours: K, theirs: K, metric: str) -> tuple[list[float], list[float]]:
        """Values of both for the seeds for which both are defined."""
        a, b = self.by_seed(ours, metric), self.by_seed(theirs, metric)
        seeds = [seed for seed in sorted(a.keys() & b.keys()) if not math.isnan(a[seed] + b[seed])]
        return [a[seed] for seed in seeds], [b[seed] for seed in seeds]

    def level_with_best(self, metric: str) -> set[K]:
        """Groups that the best one does not beat significantly: paired t-tests over seeds, with Holm's correction.

        Without those of fewer than two seeds in common, of which nothing can be said.
        """
        best, *others = self.ranking(metric)
        found = {other: paired_p_value(*self._common(best, other, metric)) for other in others}
        told = {other: p for other, p in found.items() if not math.isnan(p)}
        return {other for other, p in zip(told, holm(list(told.values())), strict=True) if p >= LEVEL}

    def per_label(self, group: K, key: str) -> tuple[Array, Array]:
        """Mean and spread over seeds of a value per label ("f1", "ap"), each (C,), NaN where undefined."""
        rows = [run.evaluations[self.protocol]["per_label"][key] for run in self.of(group)]
        values = np.array(rows, dtype=np.float64)  # (seeds, C); None becomes NaN
        spread = values.std(axis=0, ddof=1) if len(values) > 1 else np.full(values.shape[1], np.nan)
        return values.mean(axis=0), spread

    def csv(self, before: Columns[K], after: Columns[K] | None = None) -> str:
        """Every value of every run, a line each, between columns that tell of its group."""
        after = after or {}
        lines: list[tuple[object, ...]] = [
            (*before, "seed", "protocol", "metric", "value", "seconds", *after)
        ]
        for group, values in self._values():
            told = [tuple(column(group) for column in columns.values()) for columns in (before, after)]
            lines.append((*told[0], *values, *told[1]))
        return csv_text(lines)

    def _values(self) -> Iterator[tuple[K, tuple[object, ...]]]:
        for group, runs in self._runs.items():
            for run in runs:
                for protocol, evaluation in run.evaluations.items():
                    for metric, value in evaluation["values"].items():
                        yield group, (run.seed, protocol, metric, value, run.seconds)
                for name, value in run.measures.items():
                    yield group, (run.seed, "tuned", name, value, run.seconds)

    def check_protocol(self, who: str) -> None:
        """Refuse runs that an earlier version finished without the protocol.

        Raises
        ------
        ManyLabelError
        """
        for run in self.runs:
            if self.protocol not in run.evaluations:
                got = f"{run.method} seed {run.seed} with {', '.join(run.evaluations)} alone"
                hint = "Ask for one of these as `protocol`, or run again in another folder."
                raise ManyLabelError(who, f"runs under the {self.protocol} protocol", got, hint)


def every_value(runs: Mapping[tuple[str, float, str], Sequence[RunRecord]]) -> str:
    """Every value of every run as CSV, given by data set, share of the training rows and method."""
    return Results(runs).csv({"set": lambda k: k[0], "fraction": lambda k: k[1], "method": lambda k: k[2]})


def _value(run: RunRecord, metric: str, protocol: str) -> float:
    """A metric of the protocol, or else a measure; NaN where it is not defined."""
    values = run.evaluations[protocol]["values"]
    if metric in values or not run.measures:
        return defined(values[metric])
    return defined(run.measures.get(metric))  # none of a slice without rows


def read_study(folder: StudyFolder, protocol: str | None = None) -> Results[str]:
    """The results of a study by method, under the protocol that it asked for by default.

    Raises
    ------
    ManyLabelError
        If the folder is not that of a study.
    """
    record = folder.record()
    folders = {m: {seed: folder.run_folder(m, seed) for seed in record.seeds} for m in record.methods}
    return Results.read(folders, protocol or record.protocol)
