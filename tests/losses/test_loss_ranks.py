"""Two processes with unequal shards give the value and the gradients of one process with the whole batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from tests.losses.registry import case
from torch import Tensor

from manylabel import losses

WORLD, CUT = 2, (5, 3)  # anchors and keys of the first rank
CONTRASTIVE = (
    "supcon",
    "all",
    "any",
    "mulsupcon",
    "mulsupcon_weighted",
    "mulsupcon_both",
    "decoupled",
    "base",
    "jaccard",
    "similarity_dissimilarity",
    "pair_weighted",
)
IN_BATCH = ("mulsupcon_inbatch", "mulsupcon_soft", "msc", "proto", "reg", "wrg", "reg_alpha", "wrg_alpha")
CASES = [(name, way) for name in CONTRASTIVE for way in ("keys", "in_batch")]
CASES += [(name, "in_batch") for name in IN_BATCH] + [("msc", "keys")]
VARIANTS = [  # labels, engine, type of the rows
    ("dense", "dense", torch.float64),
    ("dense", "streamed", torch.float64),
    ("sparse", "dense", torch.float64),
    ("sparse", "streamed", torch.float64),
    ("dense", "streamed", torch.float32),
    ("sparse", "dense", torch.float32),
    ("unknown", "dense", torch.float64),
    ("unknown", "streamed", torch.float64),
    ("unknown, sparse", "streamed", torch.float64),
]
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-5}
SETTINGS: dict[str, dict[str, object]] = {
    "reg_alpha": {"alpha": 1.5},
    "wrg_alpha": {"alpha": -1.0},
    "mulsupcon_both": {"negatives": "label_aware", "frequency_power": 0.5},
}


def inputs(name: str) -> tuple[list[Tensor], Tensor, Tensor]:
    """Anchors, keys and prototypes; the labels of anchors and keys."""
    c = case("supcon" if name == "supcon" else "any", b=13, n=8, c=6, density=0.35, seed=3)
    prototypes = torch.randn(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    soft = 0.5 if name == "mulsupcon_soft" else 1
    return [c.x, c.keys, prototypes], c.Y * soft, c.T * soft


def hidden(Y: Tensor, first: int) -> Tensor:
    """Labels of which some entries are unknown, on the second rank alone."""
    unknown = torch.rand(Y.shape, generator=torch.Generator().manual_seed(5)) < 0.4
    unknown[:first] = False
    return torch.where(unknown, float("nan"), Y.double())


def computed(
    name: str,
    way: str,
    layout: str,
    engine: str,
    dtype: torch.dtype,
    rank: int | None = None,
    **settings: object,
) -> list[Tensor]:
    """Value, divisor and gradients of all inputs, of this rank's shard where there are ranks."""
    tensors, Y, T = inputs(name)
    if layout.startswith("unknown"):
        Y, T = (hidden(y, first) for y, first in zip((Y, T), CUT, strict=True))
        settings["unknown"] = "leave_out"
    if rank is not None:
        rows, keys = (slice(None, n) if rank == 0 else slice(n, None) for n in CUT)
        tensors, Y, T = [tensors[0][rows], tensors[1][keys], tensors[2]], Y[rows], T[keys]
    if layout.endswith("sparse"):
        Y, T = Y.double().to_sparse(), T.double().to_sparse()
    z, k, P = (t.to(dtype, copy=True).requires_grad_() for t in tensors)
    base = name.removesuffix("_soft").removesuffix("_alpha").removesuffix("_both")
    loss = losses.get(base, temperature=0.2, engine=engine, **SETTINGS.get(name, {}), **settings)
    with_prototypes = (P,) if base in ("proto", "msc", "reg", "wrg") else ()
    with_keys = (k, T) if way == "keys" else ()
    value = loss(z, Y, *with_prototypes, *with_keys)
    value.backward()
    return [
        value.detach(),
        loss.divisor,
        *(torch.zeros_like(t) if t.grad is None else t.grad for t in (z, k, P)),
    ]


def sharp(shard: slice = slice(None), **settings: object) -> Tensor:
    """MulSupCon at a temperature at which small batches are widened to float64."""
    generator = torch.Generator().manual_seed(0)
    z, Y = torch.randn(2048, 64, generator=generator), torch.rand(2048, 5, generator=generator) < 0.3
    loss = losses.get("mulsupcon", temperature=0.012, **settings)
    return loss(z[shard], Y[shard])


EMPTY = [
    (name, way, engine)
    for name, way in CASES
    if name != "mulsupcon_inbatch"
    for engine in ("dense", "streamed")
]


def with_an_empty_rank(
    name: str, way: str, engine: str, rank: int | None = None, **settings: object
) -> list[Tensor]:
    """As :func:`computed` under a learnt temperature, where one rank has all anchors and the other all keys."""
    tensors, Y, T = inputs(name)
    if rank == 0:
        tensors, Y = [tensors[0][:0], *tensors[1:]], Y[:0]
    if rank == 1:
        tensors, T = [tensors[0], tensors[1][:0], tensors[2]], T[:0]
    z, k, P = (t.clone().requires_grad_() for t in tensors)
    tau = torch.nn.Parameter(torch.tensor(0.2, dtype=torch.float64))
    base = name.removesuffix("_soft").removesuffix("_alpha").removesuffix("_both")
    loss = losses.get(base, temperature=tau, engine=engine, **SETTINGS.get(name, {}), **settings)
    with_prototypes = (P,) if base in ("proto", "msc", "reg", "wrg") else ()
    value = loss(z, Y, *with_prototypes, *((k, T) if way == "keys" else ()))
    value.backward()
    return [value.detach(), tau.grad, torch.zeros_like(P) if P.grad is None else P.grad]


def run_rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=WORLD)
    results = {
        f"{name} {way} {variant}": computed(name, way, *variant, rank, group=dist.group.WORLD)
        for name, way in CASES
        for variant in VARIANTS
    }
    for case_of in EMPTY:
        found = with_an_empty_rank(*case_of, rank, group=dist.group.WORLD)
        results[f"empty {case_of}"] = found
    results["sharp"] = [sharp(slice(1000) if rank == 0 else slice(1000, None), group=dist.group.WORLD)]
    torch.save(results, Path(folder) / f"rank-{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, list[Tensor]]]:
    folder = tmp_path_factory.mktemp("ranks")
    torch.multiprocessing.spawn(run_rank, (str(folder),), nprocs=WORLD)
    return [torch.load(folder / f"rank-{rank}.pt") for rank in range(WORLD)]


@pytest.mark.parametrize(("name", "way"), CASES)
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: f"{v[0]}-{v[1]}-{8 * v[2].itemsize}")
def test_two_ranks_are_one_process(name, way, variant, ranks):
    value, divisor, z, keys, prototypes = computed(name, way, *variant)
    first, second = (results[f"{name} {way} {variant}"] for results in ranks)
    rtol = TOLERANCE[variant[2]]
    for rank in (first, second):
        torch.testing.assert_close(rank[:2], [value, divisor], rtol=rtol, atol=0)
    for place, want in ((2, z), (3, keys)):  # the mean over ranks that DistributedDataParallel takes
        got = torch.cat([first[place], second[place]]) / WORLD
        torch.testing.assert_close(got, want, rtol=rtol, atol=rtol * float(want.abs().max()))
    mean = (first[4] + second[4]) / WORLD
    torch.testing.assert_close(mean, prototypes, rtol=rtol, atol=rtol * float(prototypes.abs().max()))


@pytest.mark.parametrize("case_of", EMPTY, ids=lambda c: "-".join(c))
def test_a_rank_without_rows_and_a_learnt_temperature(case_of, ranks):
    value, tau, prototypes = with_an_empty_rank(*case_of)
    first, second = (results[f"empty {case_of}"] for results in ranks)
    torch.testing.assert_close(first[0], value)
    torch.testing.assert_close(second[0], value)
    torch.testing.assert_close((first[1] + second[1]) / WORLD, tau)
    torch.testing.assert_close((first[2] + second[2]) / WORLD, prototypes)


def test_ranks_agree_on_the_precision(ranks):
    """One shard is small enough to be widened, the other is not."""
    for rank in ranks:
        torch.testing.assert_close(rank["sharp"][0], sharp(), rtol=1e-4, atol=0)
