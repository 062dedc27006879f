"""The verdict of a study: which method won on which metric, by how much; what lies within the spread is a tie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import takewhile

from manylabel.metrics import DISPLAY_NAMES
from manylabel.printable import count
from manylabel.study.analysis.results import Results
from manylabel.study.analysis.statistics import Summary, lead, score

HEADLINE = ("map", "macro_f1", "micro_f1", "example_f1")
BASELINES = ("sklearn_baseline", "neighbour_votes")  # families of what costs seconds


def verdict(results: Results[str], data: str, headline: Sequence[str] = HEADLINE) -> str:
    """One sentence: which method won on which metric and by how much; before it one of the baselines that won, if any.

    The spread is the larger of two methods' standard deviations over seeds. With several methods the best is compared
    with the next best. Those whose difference to the best is within the spread tie with it; of a single seed the spread
    is unknown, and methods tie where three decimals show no difference.
    """
    metrics = [metric for metric in headline if metric in results.metrics]
    oracle = " with oracle thresholds (chosen on the test rows)" if results.protocol == "oracle" else ""
    start = f"On {data}{oracle}, "
    if len(results.groups) == 1:
        method = results.groups[0]
        parts = [f"{DISPLAY_NAMES[m]} {results.summary(method, m)}" for m in metrics]
        number = count(len(results.of(method)), "seed")
        return f"{start}{method} reached {_and(parts)} over {number}; name a second method to compare."
    first = _of_baselines(results, metrics)
    clauses: list[str] = []
    before: tuple[str, ...] = ()
    for metric in metrics:
        clause, before = _clause(results, metric, before)
        clauses.append(clause)
    return f"{first}{start}{_and(clauses)}."


def _of_baselines(results: Results[str], metrics: Sequence[str]) -> str:
    """Which baselines won, as a sentence of their own; "" where none did or nothing else was compared."""
    baselines = {m for m in results.groups if results.of(m)[0].recipe.get("family") in BASELINES}
    won: dict[str, list[str]] = {}
    for metric in metrics:
        best, *others = _level(results, metric)
        if best in baselines and not others and len(baselines) < len(results.groups):
            won.setdefault(best, []).append(DISPLAY_NAMES[metric])
    if not won:
        return ""
    told = _and([f"{baseline} on {_and(names)}" for baseline, names in won.items()])
    return f"A baseline is ahead: {told}. "


def _level(results: Results[str], metric: str) -> list[str]:
    """The best method, and those that come next to it as far as they tie with it."""
    best, *others = results.ranking(metric)
    ours = results.summary(best, metric)
    return [best, *takewhile(lambda m: _tie(ours, results.summary(m, metric)), others)]


def _tie(ours: Summary, theirs: Summary) -> bool:
    by, spread = lead(ours.mean, theirs.mean), _spread(ours, theirs)
    return by == 0 or (not math.isnan(by + spread) and lead(by, spread) <= 0)


def _spread(ours: Summary, theirs: Summary) -> float:
    """The larger of two spreads, NaN where one is unknown."""
    return math.nan if math.isnan(ours.spread + theirs.spread) else max(ours.spread, theirs.spread)


def _clause(results: Results[str], metric: str, before: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """What is said of a metric, and of whom; where that was said of the same just before, it is not repeated."""
    name = DISPLAY_NAMES[metric]
    best, second, *_ = results.ranking(metric)
    ours, theirs = results.summary(best, metric), results.summary(second, metric)
    if math.isnan(ours.mean):
        return f"{name} is not defined", ()
    if math.isnan(theirs.mean):
        return f"{name} is defined for {best} alone ({score(ours.mean)})", ()
    level = _level(results, metric)
    if len(level) > 1:
        return _tied(results, metric, level, before)
    by = lead(ours.mean, theirs.mean)
    who = ("won", best, second)
    start = (
        f"on {name} by {score(by)}" if who == before else f"{best} won on {name} by {score(by)} over {second}"
    )
    return f"{start} ({score(ours.mean)} against {score(theirs.mean)}, {_weight(ours, theirs)})", who


def _tied(
    results: Results[str], metric: str, level: list[str], before: tuple[str, ...]
) -> tuple[str, tuple[str, ...]]:
    """What is said of those that tie, in the order of the table."""
    even = [method for method in results.groups if method in level]
    found = [results.summary(method, metric) for method in even]
    reached = dict.fromkeys(score(each.mean) for each in found)
    spread = max(each.spread for each in found)
    differ = any(lead(each.mean, found[0].mean) for each in found)
    within = f", within the spread of {score(spread)} over {_seeds(found)}" if differ else ""
    said = f"on {DISPLAY_NAMES[metric]} ({' against '.join(reached)}{within})"
    who = ("tied", *even)
    return said if who == before else f"{_and(even)} tied {said}", who


def _weight(ours: Summary, theirs: Summary) -> str:
    spread = _spread(ours, theirs)
    if math.isnan(spread):
        one = ours.n == theirs.n == 1
        return (
            "one seed, so the spread is unknown"
            if one
            else f"{_seeds([ours, theirs])}, so one spread is unknown"
        )
    return f"more than the spread of {score(spread)} over {_seeds([ours, theirs])}"


def _seeds(found: Sequence[Summary]) -> str:
    """How many seeds, of all alike or of each."""
    numbers = [each.n for each in found]
    return count(numbers[0], "seed") if len(set(numbers)) == 1 else f"{_and(list(map(str, numbers)))} seeds"


def _and(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
