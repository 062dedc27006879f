"""Comparing methods over seeds and over data sets: means, spreads, differences, the one-sentence verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from manylabel.metrics import DISPLAY_NAMES
from manylabel.study.records import RunRecord

Array: TypeAlias = NDArray[np.float64]

HEADLINE = ("map", "macro_f1")
HIGHER_IS_BETTER_BY = 1e-12  # closer values are a tie: they differ by rounding alone
TIE = 0.0005  # two means on a data set that differ by less look alike in three decimals


@dataclass(frozen=True)
class Summary:
    """Mean and spread of one metric over seeds.

    Attributes
    ----------
    mean : float
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
        return f"{self.mean:.3f}" if math.isnan(self.spread) else f"{self.mean:.3f} ± {self.spread:.3f}"


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
        Seeds in which the first method is better, equal, worse.
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
        wins, losses = int((d > HIGHER_IS_BETTER_BY).sum()), int((d < -HIGHER_IS_BETTER_BY).sum())
        mean = float(d.mean())
        return cls(mean, mean - half, mean + half, wins, len(d) - wins - losses, losses)


@dataclass(frozen=True)
class WinTieLoss:
    """One method against another over data sets, a mean over seeds for each.

    Attributes
    ----------
    wins, ties, losses : int
        Data sets in which the first method is better, closer than ``TIE``, worse.
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
        wins, losses = int((d >= TIE).sum()), int((d <= -TIE).sum())
        return cls(wins, len(d) - wins - losses, losses, float(d.mean()), _signed_rank(d))


def _signed_rank(d: Array) -> float:
    from scipy.stats import wilcoxon

    unequal = d[np.abs(d) > HIGHER_IS_BETTER_BY]
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
        """Seed -> value of a metric."""
        return {run.seed: run.evaluations[self.protocol]["values"][metric] for run in self.of(method)}

    def summary(self, method: str, metric: str) -> Summary:
        return Summary.of(list(self.by_seed(method, metric).values()))

    def seconds(self, method: str) -> Summary:
        """Training time."""
        return Summary.of([run.seconds for run in self.of(method)])

    def ranking(self, metric: str) -> list[str]:
        """Methods from the highest mean to the lowest; of equal ones the earlier goes first."""
        return sorted(self.methods, key=lambda method: -self.summary(method, metric).mean)

    def difference(self, ours: str, theirs: str, metric: str) -> Difference | None:
        """Paired over common seeds; None where there is none."""
        a, b = self.by_seed(ours, metric), self.by_seed(theirs, metric)
        seeds = sorted(a.keys() & b.keys())
        return Difference.of([a[s] for s in seeds], [b[s] for s in seeds]) if seeds else None


def verdict(results: Results, data: str, headline: Sequence[str] = HEADLINE) -> str:
    """One sentence: which method won on which metric, by how much, and whether that exceeds the spread.

    The spread is the larger of the two methods' standard deviations over seeds. With several methods the
    best is compared with the next best.
    """
    metrics = [metric for metric in headline if metric in results.metrics]
    oracle = " with oracle thresholds (chosen on the test rows)" if results.protocol == "oracle" else ""
    start = f"On {data}{oracle}, "
    if len(results.methods) == 1:
        method = results.methods[0]
        parts = [f"{DISPLAY_NAMES[m]} {results.summary(method, m)}" for m in metrics]
        number = _seeds(results.summary(method, metrics[0]).n)
        return f"{start}{method} reached {_and(parts)} over {number}; name a second method to compare."
    clauses: list[str] = []
    before = None
    for metric in metrics:
        pair = results.ranking(metric)[:2]
        clauses.append(_clause(results, metric, *pair, repeated=pair == before))
        before = pair
    return f"{start}{_and(clauses)}."


def _clause(results: Results, metric: str, best: str, second: str, *, repeated: bool) -> str:
    ours, theirs = results.summary(best, metric), results.summary(second, metric)
    by = ours.mean - theirs.mean
    name = DISPLAY_NAMES[metric]
    if by < HIGHER_IS_BETTER_BY:
        return f"{best} and {second} tied on {name} ({ours.mean:.3f})"
    lead = f"on {name} by {by:.3f}" if repeated else f"{best} won on {name} by {by:.3f} over {second}"
    return f"{lead} ({ours.mean:.3f} against {theirs.mean:.3f}, {_weight(by, ours, theirs)})"


def _weight(by: float, ours: Summary, theirs: Summary) -> str:
    spread = max(ours.spread, theirs.spread)
    if math.isnan(ours.spread) or math.isnan(theirs.spread):
        return "one seed, so the spread is unknown"
    over = _seeds(ours.n) if ours.n == theirs.n else f"{ours.n} and {theirs.n} seeds"
    if by > spread:
        return f"more than the spread of {spread:.3f} over {over}"
    return f"within the spread of {spread:.3f} over {over}"


def _seeds(n: int) -> str:
    return "1 seed" if n == 1 else f"{n} seeds"


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def per_label(results: Results, method: str, key: str) -> tuple[Array, Array]:
    """Mean and spread over seeds of a value per label ("f1", "ap"), each (C,), NaN where undefined."""
    rows = [run.evaluations[results.protocol]["per_label"][key] for run in results.of(method)]
    values = np.array(rows, dtype=np.float64)  # (seeds, C); None becomes NaN
    spread = values.std(axis=0, ddof=1) if len(values) > 1 else np.full(values.shape[1], np.nan)
    return values.mean(axis=0), spread
