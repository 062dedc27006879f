"""Tables of best_against_picks: every method on every set, ``best`` against the pick and the highest of the others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from manylabel.metrics import DISPLAY_NAMES
from manylabel.study.analysis.statistics import Summary, WinTieLoss, lead

METRICS = ("map", "macro_f1", "micro_f1", "example_f1", "hamming_accuracy", "subset_accuracy")
JUDGED = METRICS[:5]
BY_RULE = {"example_f1_by_rule": "example-F1, by rule", "seen_sets": "subset accuracy, seen sets"}
"""Decisions on calibrated probabilities: each row's set of the highest expected F1, where held-out rows are better
decided so than by a threshold; the most probable seen label set."""
NAMES = DISPLAY_NAMES | BY_RULE
BEST = "best"


class Lines:
    """The lines of finished cells, by data set and method; of several recipes of a method the last is shown."""

    def __init__(self, lines: Sequence[dict[str, Any]]) -> None:
        last = {(line["set"], line["method"]): line["recipe"] for line in lines if line["status"] == "done"}
        self.of: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
        for line in lines:
            place = line["set"], line["method"]
            if line["status"] == "done" and line["recipe"] == last[place]:
                self.of[place].append(line)

    def values(self, data: str, method: str, metric: str, part: str = "test") -> Summary:
        """Over seeds; of no seed where there is none."""
        return Summary.of([line[part][metric] for line in self.of[data, method] if metric in line[part]])

    def seconds(self, data: str, method: str, what: str = "seconds") -> float:
        return float(np.mean([line[what] for line in self.of[data, method]]))


def report(lines: Sequence[dict[str, Any]], sets: Sequence[str], methods: Sequence[str]) -> Iterator[str]:
    """The page in Markdown, line by line."""
    found = Lines(lines)
    yield from _of_each(found, sets, methods)
    yield from _not_finished(lines, sets, methods)
    others = [method for method in methods if method != BEST]
    shown = [data for data in sets if found.of[data, BEST] and any(found.of[data, m] for m in others)]
    if not shown:
        return
    for metric in JUDGED:
        yield from _against(found, shown, others, metric)
    yield from _speed(found, shown, others)


def _of_each(found: Lines, sets: Sequence[str], methods: Sequence[str]) -> Iterator[str]:
    shown = (*METRICS, *BY_RULE)
    yield from _row("set", "method", *(NAMES[metric] for metric in shown), "CPU s: one fit", "all", "from")
    yield from _row(*["---"] * (5 + len(shown)))
    for data in sets:
        for method in (method for method in methods if found.of[data, method]):
            values = [str(found.values(data, method, metric)) for metric in shown]
            seconds = [f"{found.seconds(data, method, what):.1f}" for what in ("fit_seconds", "seconds")]
            how = ", ".join(dict.fromkeys(line["how"] for line in found.of[data, method]))
            yield from _row(data, f"`{method}`", *values, *seconds, how)


def _not_finished(
    lines: Sequence[dict[str, Any]], sets: Sequence[str], methods: Sequence[str]
) -> Iterator[str]:
    yield ""
    for line in lines:
        if line["status"] != "done" and line["set"] in sets and line["method"] in methods:
            why = f"over {line['minutes']:g} CPU minutes" if line["status"] == "limit" else line["error"]
            yield f"- {line['set']}, `{line['method']}`, seed {line['seed']}: {why}"


def _against(found: Lines, sets: Sequence[str], others: Sequence[str], metric: str) -> Iterator[str]:
    """One metric: ``best``, what held-out rows would have picked, and the highest on test rows."""
    yield f"\n**{NAMES[metric]}**\n"
    yield from _row("set", "best", "picked on held-out rows", "difference", "highest on test rows")
    yield from _row(*["---"] * 5)
    ours, picked, highest, behind = [], [], [], []
    for data in sets:
        here = [method for method in others if found.of[data, method]]
        pick = max(here, key=lambda m: found.values(data, m, metric, "held_out").mean)
        top = max(here, key=lambda m: found.values(data, m, metric).mean)
        mine, theirs, its = (found.values(data, m, metric) for m in (BEST, pick, top))
        by = lead(mine.mean, theirs.mean)
        spread = np.nan_to_num(max(mine.spread, theirs.spread))
        behind += [data] if lead(by, -spread) < 0 else []
        yield from _row(data, mine, f"{theirs} `{pick}`", f"{by:+.3f}", f"{its} `{top}`")
        for values, one in zip((ours, picked, highest), (mine, theirs, its), strict=True):
            values.append(one.mean)
    result, means = (
        WinTieLoss.of(ours, picked),
        f"{np.mean(ours):.4f}, highest on test rows {np.mean(highest):.4f}",
    )
    yield (
        f"\n{result.wins} won, {result.ties} tied, {result.losses} lost against the pick, mean difference "
        f"{result.mean:+.4f}, two-sided Wilcoxon signed-rank p = {result.p_value:.3g}; behind by more than one "
        f"spread on {', '.join(behind) or 'none'}. Means: best {means}."
    )


def _speed(found: Lines, sets: Sequence[str], others: Sequence[str]) -> Iterator[str]:
    yield "\n**CPU seconds**\n"
    yield from _row("set", "best", "slowest comparator", "ratio", "ratio to its single fit")
    yield from _row(*["---"] * 5)
    ratios = []
    for data in sets:
        here = [method for method in others if found.of[data, method]]
        slowest = max(here, key=lambda m: found.seconds(data, m))
        ours, theirs = found.seconds(data, BEST), found.seconds(data, slowest)
        ratios.append(ours / theirs)
        single = ours / max(found.seconds(data, m, "fit_seconds") for m in here)
        yield from _row(
            data, f"{ours:.1f}", f"{theirs:.1f} `{slowest}`", f"{ratios[-1]:.2f}", f"{single:.2f}"
        )
    yield f"\nMean ratio over the sets: {np.mean(ratios):.2f}."


def _row(*cells: Any) -> Iterator[str]:
    yield f"| {' | '.join(map(str, cells))} |"
