"""Blocks of rows worked on side by side, where torch may use several threads of a CPU.

Operators on a tile are too short to be divided among threads; blocks of rows are not.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, wraps
from threading import local
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
T = TypeVar("T")

_MOST_SHARES = 8
_FEW = 1024  # rows
_blocks = local()


def for_blocks(function: Callable[P, T]) -> Callable[P, T]:
    """Run a function with one thread for torch's operators, and as many as they had for :func:`each_block`.

    OpenMP's threads look out for the next operator for some milliseconds after each, on cores that blocks would have to
    share with them. Where the first tensor among the arguments has few rows, all is left to torch's operators.
    """

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        if torch.compiler.is_compiling():
            return function(*args, **kwargs)
        x, threads = next((a for a in args if isinstance(a, Tensor)), None), torch.get_num_threads()
        if threads == 1 or x is None or x.device.type != "cpu" or len(x) < _FEW:
            return function(*args, **kwargs)
        _blocks.threads = threads
        torch.set_num_threads(1)
        try:
            return function(*args, **kwargs)
        finally:
            torch.set_num_threads(threads)
            _blocks.threads = 1

    return run


def each_block(work: Callable[[T], None], blocks: Iterable[T], device: torch.device) -> None:
    """Do the work on every block; blocks must not write to the same memory."""
    blocks = list(blocks)
    threads = threads_of(device)
    if min(threads, len(blocks)) < 2:
        for block in blocks:
            work(block)
        return
    inference = torch.is_inference_mode_enabled()

    def run(block: T) -> None:
        with torch.inference_mode(inference), torch.no_grad():
            work(block)

    list(_pool(os.getpid(), threads).map(run, blocks))


def threads_of(device: torch.device) -> int:
    """How many blocks are worked on side by side."""
    return getattr(_blocks, "threads", 1) if device.type == "cpu" else 1


@lru_cache(maxsize=1)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Threads of this process in each of which torch's operators use one thread."""
    return ThreadPoolExecutor(threads, "manylabel", _use_one_thread)


def _use_one_thread() -> None:
    torch.get_num_threads()  # torch gives a thread the common number when it first meets it, not later on
    torch.set_num_threads(1)


def shares(blocks: Iterable[T], device: torch.device) -> list[list[T]]:
    """Blocks of growing work dealt out about evenly: a share for each thread that :func:`each_block` may use.

    Shares are few, since what works on one keeps sums of its own.
    """
    blocks = list(blocks)
    n = max(min(threads_of(device), len(blocks), _MOST_SHARES), 1)
    dealt: list[list[T]] = [[] for _ in range(n)]
    for turn, block in enumerate(reversed(blocks)):
        place = turn % (2 * n)
        dealt[min(place, 2 * n - 1 - place)].append(block)
    return dealt
