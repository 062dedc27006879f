"""Two to eight processes with unequal and empty shards: every loss is that of one process with the whole batch."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from tests.losses.forked_ranks import on_ranks
from tests.losses.registry import ENTRIES, Entry, Inputs, Size
from torch import Tensor

from manylabel import losses

SIZE = Size(b=11, n=13, c=4, d=5)
SEED_OF_CUTS = 7
CASES = [(entry, engine) for entry in ENTRIES for engine in entry.engines if engine != "flash"]
WORLDS = [3, *(pytest.param(world, marks=pytest.mark.slow) for world in (2, 4, 5, 6, 7, 8))]


def cuts(n: int, world: int, seed: int) -> list[slice]:
    """Consecutive shards of n rows, some of them empty where there are more than two ranks."""
    generator = torch.Generator().manual_seed(SEED_OF_CUTS + seed)
    places = torch.randint(0, n + 1, (world - 1,), generator=generator).sort().values.tolist()
    if world > 2:
        places[1] = places[0]  # the second rank has no row
    if world == 2:
        places = [max(1, min(n // 2 - 1, places[0]))]
    ends = [0, *places, n]
    return [slice(a, b) for a, b in pairwise(ends)]


def shard(entry: Entry, inputs: Inputs, rank: int | None, world: int) -> tuple[list[Tensor], list[Tensor]]:
    """The rows of a rank: anchors, and keys where there are any; prototypes are everybody's. Labels likewise."""
    tensors = [*inputs.floats, *inputs.constants]
    if rank is None:
        return tensors, list(inputs.labels)
    anchors, keys = cuts(SIZE.b, world, 0)[rank], cuts(SIZE.n, world, 1)[rank]

    def own(t: Tensor) -> Tensor:
        if entry.loss == "debiased" and len(t) == SIZE.b + SIZE.n:  # the other views first, then further keys
            return torch.cat([t[: SIZE.b][anchors], t[SIZE.b :][keys]])
        part = {SIZE.b: anchors, SIZE.n: keys}.get(len(t), slice(None))
        return t[part]

    return [own(t) for t in tensors], [own(y) for y in inputs.labels]


def computed(
    case: tuple[Entry, str | None], rank: int | None, world: int, **settings: object
) -> list[Tensor]:
    """Value and gradients."""
    entry, engine = case
    inputs = entry.draw(SIZE)
    own, labels = shard(entry, inputs, rank, world)
    n = len(inputs.floats)
    leaves = [t.clone().requires_grad_() for t in own[:n]]
    value = entry.called(entry.build(engine=engine, **settings), Inputs(leaves, labels, own[n:]))
    value.backward()
    return [value.detach(), *(torch.zeros_like(t) if t.grad is None else t.grad for t in leaves)]


def of_one_process(grads: list[list[Tensor]], entry: Entry, world: int) -> list[Tensor]:
    """Gradients of ranks, as the mean that DistributedDataParallel takes, in the places of the whole batch."""
    inputs, whole = entry.draw(SIZE), []
    for place, t in enumerate(inputs.floats):
        of_ranks = [g[place] for g in grads]
        if len(t) not in (SIZE.b, SIZE.n, SIZE.b + SIZE.n):
            whole.append(sum(of_ranks) / world)
            continue
        if entry.loss == "debiased" and len(t) == SIZE.b + SIZE.n:
            sizes = [c.stop - c.start for c in cuts(SIZE.b, world, 0)]
            views = [g[:n] for g, n in zip(of_ranks, sizes, strict=True)]
            of_ranks = [*views, *(g[n:] for g, n in zip(of_ranks, sizes, strict=True))]
        whole.append(torch.cat(of_ranks) / world)
    return whole


@pytest.fixture(scope="module", params=WORLDS)
def ranks(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[int, list[list[list[Tensor]]]]:
    world = request.param
    group = lambda: dist.group.WORLD  # noqa: E731

    def every(rank: int) -> list[list[Tensor]]:
        return [computed(case, rank, world, group=group()) for case in CASES]

    return world, on_ranks(world, Path(tmp_path_factory.mktemp("ranks")), every)


def test_the_table_has_every_loss() -> None:
    assert {entry.loss for entry, _ in CASES} == set(losses.names())


def test_some_ranks_have_no_rows() -> None:
    for world in range(3, 9):
        assert any(c.start == c.stop for c in cuts(SIZE.b, world, 0))
        assert any(c.start == c.stop for c in cuts(SIZE.n, world, 1))


@pytest.mark.parametrize("at", range(len(CASES)), ids=lambda at: "-".join(map(str, CASES[at])))
def test_all_ranks_together_are_one_process(ranks: tuple[int, list[list[list[Tensor]]]], at: int) -> None:
    world, found = ranks
    value, *grads = computed(CASES[at], None, 1)
    for of_rank in found:
        torch.testing.assert_close(of_rank[at][0], value, rtol=1e-6, atol=1e-12)
    together = of_one_process([of_rank[at][1:] for of_rank in found], CASES[at][0], world)
    for got, want in zip(together, grads, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-6 * float(want.abs().max()) + 1e-12)
