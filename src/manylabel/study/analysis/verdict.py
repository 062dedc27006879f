"""The verdict of a study: one sentence that says which method won, by how much, and whether that exceeds the spread."""

from __future__ import annotations

import math
from collections.abc import Sequence

from manylabel.metrics import DISPLAY_NAMES
from manylabel.printable import count
from manylabel.study.analysis.results import Results
from manylabel.study.analysis.statistics import Summary, lead, score

HEADLINE = ("map", "macro_f1")


def verdict(results: Results[str], data: str, headline: Sequence[str] = HEADLINE) -> str:
    """One sentence: which method won on which metric, by how much, and whether that exceeds the spread.

    The spread is the larger of the two methods' standard deviations over seeds. With several methods the
    best is compared with the next best; all that tie with the best are named.
    """
    metrics = [metric for metric in headline if metric in results.metrics]
    oracle = " with oracle thresholds (chosen on the test rows)" if results.protocol == "oracle" else ""
    start = f"On {data}{oracle}, "
    if len(results.groups) == 1:
        method = results.groups[0]
        parts = [f"{DISPLAY_NAMES[m]} {results.summary(method, m)}" for m in metrics]
        number = count(len(results.of(method)), "seed")
        return f"{start}{method} reached {_and(parts)} over {number}; name a second method to compare."
    clauses: list[str] = []
    before: tuple[str, ...] = ()
    for metric in metrics:
        clause, before = _clause(results, metric, before)
        clauses.append(clause)
    return f"{start}{_and(clauses)}."


def _clause(results: Results[str], metric: str, before: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
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
        even = [m for m in results.groups if lead(ours.mean, results.summary(m, metric).mean) == 0]
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
