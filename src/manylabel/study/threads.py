"""Threads of a computation, fixed so that it repeats."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def computing_on(threads: int) -> Iterator[None]:
    """Fix the number of threads: sums split over other threads round otherwise, and training amplifies it."""
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    with threadpool_limits(limits=threads):
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)
