"""Blocks of rows worked on side by side, where torch may use several threads of a CPU.

Operators on a tile are too short to be divided among threads; blocks of rows are not.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from threading import Barrier
from typing import TypeVar

import torch

T = TypeVar("T")

_MOST_SHARES = 8


def each_block(work: Callable[[T], None], blocks: Iterable[T], device: torch.device) -> None:
    """Do the work on every block; blocks must not write to the same memory."""
    blocks = list(blocks)
    threads = min(torch.get_num_threads(), len(blocks))
    if device.type != "cpu" or threads < 2:
        for block in blocks:
            work(block)
        return
    inference = torch.is_inference_mode_enabled()

    def run(block: T) -> None:
        with torch.inference_mode(inference), torch.no_grad():
            work(block)

    list(_pool(os.getpid(), torch.get_num_threads()).map(run, blocks))


@lru_cache(maxsize=1)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Threads of this process in each of which torch's operators use one thread."""
    started = Barrier(threads)

    def start() -> None:
        torch.set_num_threads(1)  # in this thread, and in those that torch meets for the first time later
        started.wait()

    pool = ThreadPoolExecutor(threads, "manylabel", start)
    list(pool.map(lambda _: None, range(threads)))
    torch.set_num_threads(threads)
    return pool


def shares(blocks: Iterable[T], device: torch.device) -> list[list[T]]:
    """Blocks of growing work dealt out about evenly: a share for each thread that :func:`each_block` may use.

    Shares are few, since what works on one keeps sums of its own.
    """
    blocks = list(blocks)
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    n = max(min(threads, len(blocks), _MOST_SHARES), 1)
    dealt: list[list[T]] = [[] for _ in range(n)]
    for turn, block in enumerate(reversed(blocks)):
        place = turn % (2 * n)
        dealt[min(place, 2 * n - 1 - place)].append(block)
    return dealt
