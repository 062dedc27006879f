"""Early stop: the epoch that held-out training rows find best, and progress of the two trainings that it takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from manylabel.training import Listener, Progress

SEARCH = "early-stop"
"""Folder of the training that looks for the epoch, within that of the training of all rows."""


def best_epoch(history: Iterable[Mapping[str, Any]], stage: str, select: str) -> int:
    """The epoch of a stage that was best by a measurement, counted from 1; the first of several.

    Parameters
    ----------
    history : iterable of records
        As a run keeps them.
    stage : str
    select : str
        ``loss`` is lower-is-better, a metric higher-is-better.
    """
    seen = {
        record["epoch"]: record["monitor"][select]
        for record in history
        if record["stage"] == stage and select in record["monitor"]
    }
    sign = 1 if select == "loss" else -1
    found: int = min(seen, key=lambda epoch: (sign * seen[epoch], epoch))
    return found


def told_in_turn(
    progress: Listener | None, stages: tuple[str, ...]
) -> tuple[Listener | None, Listener | None]:
    """Listeners of the training that looks for the epoch, and of that of all rows, whose stages are told as of one."""
    if progress is None:
        return None, None
    every = (*(f"{SEARCH} {stage}" for stage in stages), *stages)

    def search(told: Progress) -> None:
        progress(replace(told, stage=f"{SEARCH} {told.stage}", stages=every, record=None))

    def refit(told: Progress) -> None:
        progress(replace(told, stages=every))

    return search, refit
