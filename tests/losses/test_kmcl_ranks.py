"""KMCL on two processes with unequal shards: the value and the gradients of one process with the whole batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from tests.losses.registry import ENTRIES, Size
from torch import Tensor

from manylabel import losses

WORLD, CUT = 2, 5
FORMS = {entry.form: entry for entry in ENTRIES if entry.loss == "kmcl"}
CASES = [
    (form, engine, reduction, cut)
    for form in FORMS
    for engine in ("dense", "streamed")
    for reduction in ("mean", "none")
    for cut in (CUT, 0)  # anchors of the first rank
]


def computed(
    form: str, engine: str, reduction: str, cut: int, rank: int | None, **settings: object
) -> list[Tensor]:
    """Value and gradients of all inputs, of this rank's shard where there are ranks."""
    entry = FORMS[form]
    floats, (Y,), _ = entry.draw(Size(b=12))
    rows = slice(None) if rank is None else slice(None, cut) if rank == 0 else slice(cut, None)
    leaves = [t[rows].clone().requires_grad_() for t in floats]
    loss = losses.get("kmcl", engine=engine, reduction=reduction, **entry.settings, **settings)
    value = loss(*leaves, Y[rows])
    value.sum().backward()
    return [value.detach(), *(leaf.grad for leaf in leaves)]


def run_rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=WORLD)
    results = {str(case): computed(*case, rank, group=dist.group.WORLD) for case in CASES}
    torch.save(results, Path(folder) / f"rank-{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, list[Tensor]]]:
    folder = tmp_path_factory.mktemp("ranks")
    torch.multiprocessing.spawn(run_rank, (str(folder),), nprocs=WORLD)
    return [torch.load(folder / f"rank-{rank}.pt") for rank in range(WORLD)]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_two_ranks_are_one_process(case, ranks):
    value, *grads = computed(*case, None)
    first, second = (results[str(case)] for results in ranks)
    alone = case[2] == "none"  # values of this rank's anchors; their sum has the gradient of the sum
    if alone:
        torch.testing.assert_close(torch.cat([first[0], second[0]]), value, rtol=1e-6, atol=0)
    else:
        for rank in (first, second):
            torch.testing.assert_close(rank[0], value, rtol=1e-6, atol=0)
    for place, want in enumerate(grads, 1):
        got = torch.cat([first[place], second[place]]) / (1 if alone else WORLD)
        torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-6 * float(want.abs().max()))
