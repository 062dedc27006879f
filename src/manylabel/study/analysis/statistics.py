"""Comparing methods over seeds and over data sets: means, spreads, differences, the one-sentence verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from manylabel.metrics import DISPLAY_NAMES
from manylabel.printable import count
from manylabel.study.records import RunRecord

Array: TypeAlias = NDArray[np.float64]

HEADLINE = ("map", "macro_f1")
ROUNDING = 1e-12  # values closer than this differ by rounding alone
DECIMALS = 3  # of every value that is shown


def lead(ours: float, theirs: float) -> float:
    """Ours less theirs; exactly 0 for a tie, that is where a reader of three decimals sees no difference.

    Values tie where they look alike (0.5004 and 0.4996), and where their difference looks like 0 (0.5006 and 0.5004).
    """
    by = ours - theirs
    look_alike = f"{ours:.{DECIMALS}f}" == f"{theirs:.{DECIMALS}f}"
    return 0.0 if look_alike or round(by, DECIMALS) == 0 else by


def score(value: float) -> str:
    """A value as it is shown: three decimals, or n/a where it is not defined."""
    return "n/a" if math.isnan(value) else f"{value + 0.0:.{DECIMALS}f}"


def defined(value: float | None) -> float:
    """A value of a record, which keeps what is not defined as null."""
    return math.nan if value is None else value


@dataclass(frozen=True)
class Summary:
    """Mean and spread of one metric over seeds.

    Attributes
    ----------
    mean : float
        NaN where the metric is not defined for some seed.
    spread : float
        Standard deviation with divisor n - 1; NaN for one seed.
    n : int
        Seeds.
    """

    mean: float
    spread: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Summary:
        array = np.asarray(values, dtype=np.float64)
        spread = float(array.std(ddof=1)) if len(array) > 1 else math.nan
        return cls(float(array.mean()), spread, len(array))

    def __str__(self) -> str:
        return score(self.mean) if math.isnan(self.spread) else f"{score(self.mean)} ± {score(self.spread)}"


@dataclass(frozen=True)
class Difference:
    """One method minus another over the seeds that both have, seed by seed.

    Attributes
    ----------
    mean : float
    low, high : float
        95 % interval of the mean by Student's t with n - 1 degrees of freedom, which is exact for normally
        distributed differences and wide, as it should be, for a few seeds; NaN for one seed.
    wins, ties, losses : int
        Seeds in which the first method is better, tied as :func:`lead` has it, worse.
    """

    mean: float
    low: float
    high: float
    wins: int
    ties: int
    losses: int

    @classmethod
    def of(cls, ours: Sequence[float], theirs: Sequence[float]) -> Difference:
        d = np.asarray(ours, dtype=np.float64) - np.asarray(theirs, dtype=np.float64)
        half = _half_width(d)
        mean = float(d.mean())
        return cls(mean, mean - half, mean + half, *_counts(ours, theirs))


@dataclass(frozen=True)
class WinTieLoss:
    """One method against another over data sets, a mean over seeds for each.

    Attributes
    ----------
    wins, ties, losses : int
        Data sets in which the first method is better, tied as :func:`lead` has it, worse.
    mean : float
        Mean difference, first minus second.
    p_value : float
        Of the two-sided Wilcoxon signed-rank test: how often differences of these sizes would lie so much on one
        side if neither method were better. Equal sets are left out; 1 where all are equal.

    References
    ----------
    Demsar, Statistical comparisons of classifiers over multiple data sets, JMLR 7 (2006).
    """

    wins: int
    ties: int
    losses: int
    mean: float
    p_value: float

    @classmethod
    def of(cls, ours: Sequence[float], theirs: Sequence[float]) -> WinTieLoss:
        d = np.asarray(ours, dtype=np.float64) - np.asarray(theirs, dtype=np.float64)
        return cls(*_counts(ours, theirs), float(d.mean()), _signed_rank(d))


def _counts(ours: Sequence[float], theirs: Sequence[float]) -> tuple[int, int, int]:
    """How often ours is better, tied, worse."""
    leads = np.array([lead(a, b) for a, b in zip(ours, theirs, strict=True)])
    wins, losses = int((leads > 0).sum()), int((leads < 0).sum())
    return wins, len(leads) - wins - losses, losses


def _signed_rank(d: Array) -> float:
    from scipy.stats import wilcoxon

    unequal = d[np.abs(d) > ROUNDING]
    return float(wilcoxon(unequal).pvalue) if len(unequal) else 1.0


def _half_width(d: Array, level: float = 0.95) -> float:
    from scipy.stats import t

    if len(d) < 2:
        return math.nan
    return float(t.ppf((1 + level) / 2, len(d) - 1) * d.std(ddof=1) / math.sqrt(len(d)))


class Results:
    """The finished runs of a study under one protocol.

    Parameters
    ----------
    runs : sequence of RunRecord
        In the order in which methods are shown.
    protocol : str
    """

    def __init__(self, runs: Sequence[RunRecord], protocol: str) -> None:
        self.runs, self.protocol = tuple(runs), protocol
        self.methods = tuple(dict.fromkeys(run.method for run in runs))
        first = runs[0].evaluations[protocol]["values"] if runs else {}
        self.metrics = tuple(first)

    def of(self, method: str) -> list[RunRecord]:
        """The runs of one method, by seed."""
        return [run for run in self.runs if run.method == method]

    def by_seed(self, method: str, metric: str) -> dict[int, float]:
        """Seed -> value of a metric; NaN where it is not defined."""
        return {
            run.seed: defined(run.evaluations[self.protocol]["values"][metric]) for run in self.of(method)
        }

    def summary(self, method: str, metric: str) -> Summary:
        return Summary.of(list(self.by_seed(method, metric).values()))

    def seconds(self, method: str) -> Summary:
        """Training time."""
        return Summary.of([run.seconds for run in self.of(method)])

    def ranking(self, metric: str) -> list[str]:
        """Methods from the highest mean to the lowest, then those without; of equal ones the earlier goes first."""
        means = {method: self.summary(method, metric).mean for method in self.methods}
        return sorted(self.methods, key=lambda method: (math.isnan(means[method]), -means[method]))

    def difference(self, ours: str, theirs: str, metric: str) -> Difference | None:
        """Paired over the seeds for which both are defined; None where there is none."""
        a, b = self.by_seed(ours, metric), self.by_seed(theirs, metric)
        seeds = [seed for seed in sorted(a.keys() & b.keys()) if not math.isnan(a[seed] + b[seed])]
        return Difference.of([a[s] for s in seeds], [b[s] for s in seeds]) if seeds else None


def verdict(results: Results, data: str, headline: Sequence[str] = HEADLINE) -> str:
    """One sentence: which method won on which metric, by how much, and whether that exceeds the spread.

    The spread is the larger of the two methods' standard deviations over seeds. With several methods the
    best is compared with the next best; all that tie with the best are named.
    """
    metrics = [metric for metric in headline if metric in results.metrics]
    oracle = " with oracle thresholds (chosen on the test rows)" if results.protocol == "oracle" else ""
    start = f"On {data}{oracle}, "
    if len(results.methods) == 1:
        method = results.methods[0]
        parts = [f"{DISPLAY_NAMES[m]} {results.summary(method, m)}" for m in metrics]
        number = count(len(results.of(method)), "seed")
        return f"{start}{method} reached {_and(parts)} over {number}; name a second method to compare."
    clauses: list[str] = []
    before: tuple[str, ...] = ()
    for metric in metrics:
        clause, before = _clause(results, metric, before)
        clauses.append(clause)
    return f"{start}{_and(clauses)}."


def _clause(results: Results, metric: str, before: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """What is said of a metric, and of whom; where that was said of the same just before, it is not repeated."""
    name = DISPLAY_NAMES[metric]
    best, second, *_ = results.ranking(metric)
    ours, theirs = results.summary(best, metric), results.summary(second, metric)
    if math.isnan(ours.mean):
        return f"{name} is not defined", ()
    if math.isnan(theirs.mean):
        return f"{name} is defined for {best} alone ({score(ours.mean)})", ()
    by = lead(ours.mean, theirs.mean)
    if by == 0:
        even = [m for m in results.methods if lead(ours.mean, results.summary(m, metric).mean) == 0]
        reached = dict.fromkeys(score(results.summary(m, metric).mean) for m in even)
        said = f"on {name} ({' against '.join(reached)})"
        who = ("tied", *even)
        return said if who == before else f"{_and(even)} tied {said}", who
    who = ("won", best, second)
    start = (
        f"on {name} by {score(by)}" if who == before else f"{best} won on {name} by {score(by)} over {second}"
    )
    return f"{start} ({score(ours.mean)} against {score(theirs.mean)}, {_weight(by, ours, theirs)})", who


def _weight(by: float, ours: Summary, theirs: Summary) -> str:
    spread = max(ours.spread, theirs.spread)
    if math.isnan(ours.spread) or math.isnan(theirs.spread):
        return "one seed, so the spread is unknown"
    over = count(ours.n, "seed") if ours.n == theirs.n else f"{ours.n} and {theirs.n} seeds"
    exceeds = lead(by, spread)
    size = "as large as" if exceeds == 0 else "more than" if exceeds > 0 else "within"
    return f"{size} the spread of {score(spread)} over {over}"


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def per_label(results: Results, method: str, key: str) -> tuple[Array, Array]:
    """Mean and spread over seeds of a value per label ("f1", "ap"), each (C,), NaN where undefined."""
    rows = [run.evaluations[results.protocol]["per_label"][key] for run in results.of(method)]
    values = np.array(rows, dtype=np.float64)  # (seeds, C); None becomes NaN
    spread = values.std(axis=0, ddof=1) if len(values) > 1 else np.full(values.shape[1], np.nan)
    return values.mean(axis=0), spread
