"""Ranks that are forks of the test's process, over gloo: they start at once, as nothing is imported again."""

from __future__ import annotations

import os
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist


def on_ranks(world: int, folder: Path, computed: Callable[[int], Any]) -> list[Any]:
    """What each of ``world`` ranks computes, in their order; tensors in lists and dicts.

    Parameters
    ----------
    world : int
    folder : Path
        Empty; where the ranks meet and leave what they computed.
    computed : callable (rank) -> tensors
        Called in a process of the rank's own, which has joined ``dist.group.WORLD``.
    """
    processes = [_fork(rank, world, folder, computed) for rank in range(world)]
    codes = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]
    assert codes == [0] * world, "see what the ranks wrote"
    return [torch.load(folder / f"rank-{rank}.pt", weights_only=True) for rank in range(world)]


def _fork(rank: int, world: int, folder: Path, computed: Callable[[int], Any]) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forks of processes with threads
        process = os.fork()
    if process == 0:
        code = 1
        try:
            torch.set_num_threads(1)
            dist.init_process_group(
                "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=world
            )
            torch.save(computed(rank), folder / f"rank-{rank}.pt")
            dist.barrier()  # nobody leaves while another still talks to it
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return process
