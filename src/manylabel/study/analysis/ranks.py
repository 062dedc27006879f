"""Methods ranked over data sets: average ranks, the Friedman test, Nemenyi's critical difference, Wilcoxon and Holm."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from manylabel.study.analysis.statistics import DECIMALS, LEVEL, ROUNDING, Array, WinTieLoss, holm

FEWEST_SETS, FEWEST_METHODS = 2, 3  # that the Friedman test takes


@dataclass(frozen=True)
class Ranks:
    """Methods ranked on each data set, and whether they differ at all.

    Attributes
    ----------
    average : (k,) float64 array
        Mean over data sets of each method's rank; 1 is the best, methods that tie share the mean of their places.
    n_sets : int
    chi_square : float
        Friedman's statistic, corrected for ties; NaN for fewer than three methods or two data sets.
    f : float
        Iman and Davenport's statistic made of it, which is less conservative.
    p_value : float
        Of ``f``, with k - 1 and (k - 1)(N - 1) degrees of freedom; where all data sets rank the methods alike and ``f``
        is infinite, the share of such rankings among all that are possible.

    Notes
    -----
    Values are ranked as tables show them, to three decimals: what a reader cannot tell apart shares a rank.

    References
    ----------
    Demsar, Statistical comparisons of classifiers over multiple data sets, JMLR 7 (2006).
    Iman and Davenport, Approximations of the critical region of the Friedman statistic, Communications in Statistics
    9 (1980).
    """

    average: Array
    n_sets: int
    chi_square: float
    f: float
    p_value: float

    @classmethod
    def of(cls, values: Array) -> Ranks:
        """Ranks of (N, k) values, a row per data set and a column per method; higher is better."""
        from scipy.stats import rankdata

        shown = np.round(np.asarray(values, dtype=np.float64), DECIMALS)
        ranks = rankdata(-shown, axis=1)  # (N, k)
        return cls(ranks.mean(axis=0), len(ranks), *_friedman(ranks))

    @property
    def n_methods(self) -> int:
        return len(self.average)

    @property
    def critical_difference(self) -> float:
        """By how much average ranks must differ for two methods to be told apart; see :func:`critical_difference`."""
        return critical_difference(self.n_methods, self.n_sets)

    def first(self) -> int:
        """The number of the method with the best average rank; of equal ones the earlier."""
        return int(self.average.argmin())

    def is_level(self, one: int, other: int) -> bool:
        """Whether two methods lie within the critical difference."""
        return bool(abs(self.average[one] - self.average[other]) < self.critical_difference)

    def level_groups(self) -> list[tuple[float, float]]:
        """Best and worst average rank of each largest group of methods that are not told apart, best group first."""
        order = np.sort(self.average)
        groups: list[tuple[float, float]] = []
        for low in order:
            high = order[order - low < self.critical_difference][-1]
            if high - low > ROUNDING and (not groups or high > groups[-1][1] + ROUNDING):
                groups.append((float(low), float(high)))
        return groups


def _orders(ranks: Array) -> int:
    """In how many ways so many methods can be ranked with these ties."""
    _, tied = np.unique(ranks, return_counts=True)
    return math.factorial(len(ranks)) // math.prod(map(math.factorial, tied.tolist()))


def _friedman(ranks: Array) -> tuple[float, float, float]:
    """Friedman's statistic, Iman and Davenport's, and the p-value of the latter."""
    from scipy.stats import f, friedmanchisquare

    n_sets, n_methods = ranks.shape
    if n_sets < FEWEST_SETS or n_methods < FEWEST_METHODS:
        return math.nan, math.nan, math.nan
    if np.ptp(ranks) < ROUNDING:  # all methods tie on all data sets
        return 0.0, 0.0, 1.0
    chi_square = float(friedmanchisquare(*ranks.T).statistic)
    rest = n_sets * (n_methods - 1) - chi_square
    if rest < ROUNDING:  # every data set ranks them alike
        return chi_square, math.inf, _orders(ranks[0]) ** (1.0 - n_sets)
    statistic = (n_sets - 1) * chi_square / rest
    freedom = n_methods - 1, (n_methods - 1) * (n_sets - 1)
    return chi_square, statistic, float(f.sf(statistic, *freedom))


def critical_difference(n_methods: int, n_sets: int, level: float = LEVEL) -> float:
    """Nemenyi's critical difference of average ranks, ``q * sqrt(k (k + 1) / (6 N))``.

    Parameters
    ----------
    n_methods, n_sets : int
        k and N.
    level : float, default 0.05

    Notes
    -----
    ``q`` is the quantile of the studentized range with infinite degrees of freedom, divided by the square root of 2.
    """
    from scipy.stats import studentized_range

    q = studentized_range.ppf(1 - level, n_methods, np.inf) / math.sqrt(2)
    return float(q * math.sqrt(n_methods * (n_methods + 1) / (6 * n_sets)))


@dataclass(frozen=True)
class Pair:
    """Two methods over data sets; ``p_value`` is corrected for the number of pairs by Holm's method."""

    ours: str
    theirs: str
    found: WinTieLoss
    p_value: float


def pairs(values: Array, methods: Sequence[str]) -> list[Pair]:
    """Every two methods by Wilcoxon's signed-rank test over (N, k) values, corrected by Holm's method."""
    numbers = list(combinations(range(len(methods)), 2))
    found = [WinTieLoss.of(list(values[:, i]), list(values[:, j])) for i, j in numbers]
    corrected = holm([each.p_value for each in found])
    return [
        Pair(methods[i], methods[j], each, p)
        for (i, j), each, p in zip(numbers, found, corrected, strict=True)
    ]
