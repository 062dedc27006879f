"""Statistics over seeds and over data sets: means, spreads, paired differences, wins and the signed-rank test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]

ROUNDING = 1e-12  # values closer than this differ by rounding alone
DECIMALS = 3  # of every value that is shown
LEVEL = 0.05  # of significance, in every test


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
        NaN where the metric is not defined for some seed, or without seeds.
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
        if not len(values):
            return cls(math.nan, math.nan, 0)
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


def paired_p_value(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Of Student's two-sided t-test of paired differences: how surprising their mean were if neither were better.

    NaN for fewer than two pairs. Differences that are all alike have no spread: 0, or 1 where there is none.
    """
    from scipy.stats import ttest_rel

    d = np.asarray(ours, dtype=np.float64) - np.asarray(theirs, dtype=np.float64)
    if len(d) < 2:
        return math.nan
    if np.ptp(d) < ROUNDING:
        return float(abs(d[0]) < ROUNDING)
    return float(ttest_rel(ours, theirs).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number by the step-down method of Holm, in the order given.

    The smallest of m is multiplied by m, the next by m - 1, and so on; none is below one that was smaller, or above 1.

    References
    ----------
    Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6 (1979).
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    corrected = np.empty(len(p))
    steps = np.arange(len(p), 0, -1) * p[order]
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0) if len(p) else steps
    return [float(value) for value in corrected]


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
