"""Threads: blocks of rows worked on side by side, where torch may use several threads of a CPU.

Operators on a tile are too short to be divided among threads; blocks of rows are not.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from threading import local
from typing import TypeVar

import torch
from torch import Tensor

T = TypeVar("T")

_MOST_SHARES = 8
_FEW = 1024  # rows
_blocks = local()


def threads_for(x: Tensor) -> int:
    """How many threads of torch's operators blocks of these rows may have instead; 1 where all is left to torch."""
    if torch.compiler.is_compiling() or x.device.type != "cpu" or not x.dim() or len(x) < _FEW:
        return 1
    return torch.get_num_threads()


@contextmanager
def side_by_side(x: Tensor) -> Iterator[None]:
    """Give torch's operators one thread meanwhile, and :func:`each_block` as many as they had.

    OpenMP's threads look out for the next operator for some milliseconds after each, on cores that blocks would have to
    share with them. Where the rows are few, all is left to torch's operators.
    """
    threads = threads_for(x)
    if threads < 2:
        yield
        return
    _blocks.threads = threads
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        _blocks.threads = 1


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
