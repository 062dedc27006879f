"""Time and memory of functions that are compared with each other."""

from __future__ import annotations

import ctypes
import gc
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from manylabel.errors import ManyLabelError


@dataclass(frozen=True)
class Effort:
    """How long functions are measured.

    Attributes
    ----------
    rounds : int, default 10
    seconds : float, default 20.0
        A case that takes longer gets fewer rounds.
    shortest : float, default 0.05
        Seconds of one sample; quicker functions are repeated within it.
    """

    rounds: int = 10
    seconds: float = 20.0
    shortest: float = 0.05


USUAL = Effort()


def seconds(
    functions: Mapping[str, Callable[[], object]], threads: int, effort: Effort = USUAL
) -> dict[str, float]:
    """Seconds a call of each function takes: the smallest of several samples, taken in turn.

    The order is turned round from one turn to the next, so that none always meets the caches that a certain other left.
    With one thread the time of the processor is taken, which a busy machine hardly disturbs; with more, the
    time of the clock.
    """
    clock = time.process_time if threads == 1 else time.perf_counter
    torch.set_num_threads(threads)
    calls, best = {}, {}
    for name, function in functions.items():
        function()
        began = time.perf_counter()
        function()
        calls[name] = max(1, round(effort.shortest / (time.perf_counter() - began)))
        best[name] = float("inf")
    started = time.perf_counter()
    for turn in range(effort.rounds):
        for name in sorted(functions, reverse=bool(turn % 2)):
            began = clock()
            for _ in range(calls[name]):
                functions[name]()
            best[name] = min(best[name], (clock() - began) / calls[name])
        if time.perf_counter() - started > effort.seconds:
            break
    return best


def extra_bytes(function: Callable[[], object]) -> int:
    """Growth of the process at its highest during one call, what the call returns included.

    Only in a fresh process, and on Linux: memory freed before may be used again unseen.
    """
    if sys.platform != "linux":
        raise ManyLabelError("bench", "Linux, whose /proc tells the peak of a process", sys.platform)
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    result = function()
    peak = _status("VmHWM")
    del result
    return peak - before


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))
