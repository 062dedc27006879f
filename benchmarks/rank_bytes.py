"""Bytes that each rank sends for one call of each loss, forward and backward, beside the cost model of docs/scale.md.

Run with ``unshare --net python -m benchmarks.rank_bytes`` (or as root of a container): in a network of its own, the
counter of the loopback device counts what gloo sends, headers of TCP included, and nothing else. Ranks are forks of
this process. Differences of two batch sizes are shown, so that the messages that do not grow, of which every call has
some, drop out; they are in the last column.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from manylabel import losses

D, LABELS, PER_ROW = 256, 64, 4  # numbers of an embedding, labels, and labels of each row
ROWS = 512, 2048  # of each rank, in the two calls that are compared
FLOAT, INDEX, PLACE = 4, 4, 8  # bytes
OF_PAIRS = tuple(
    n for n in losses.names() if n not in ("kmcl", "bce", "focal", "asl", "zlpr", "twoway", "proto")
)


def gathered(numbers: float) -> float:
    """Bytes of each row and each other rank for a gather with gradient: once forward, twice in the sum of gradients."""
    return 3 * FLOAT * numbers


def of_labels(per_row: int = PER_ROW) -> float:
    """The same for labels as columns of a sparse matrix: the length of each row, and its columns."""
    return INDEX * (1 + per_row)


def model(name: str) -> float:
    """Bytes that a rank sends for each row that it holds and each other rank."""
    if name in OF_PAIRS:
        pair = PLACE * (name == "debiased")  # which rows are views of each other
        return gathered(D) + of_labels(1 if name == "supcon" else PER_ROW) + pair
    if name == "twoway":
        return gathered(LABELS) + FLOAT * LABELS  # logits, and labels as numbers
    if name == "kmcl":
        return gathered(2 * LABELS) + of_labels()  # a mean and a variance of each label
    return 0.0


def call(name: str, n: int) -> Callable[[], Tensor]:
    """A loss of n rows of this rank, over all ranks."""
    generator = torch.Generator().manual_seed(dist.get_rank())
    z = torch.randn(n, D, generator=generator, requires_grad=True)
    Y = torch.zeros(n, LABELS, dtype=torch.uint8)
    Y.scatter_(
        1, torch.rand(n, LABELS, generator=generator).topk(1 if name == "supcon" else PER_ROW).indices, 1
    )
    x = torch.randn(n, LABELS, generator=generator, requires_grad=True)
    loss = losses.get(name, group=dist.group.WORLD)
    if name == "kmcl":
        v = torch.full((n, LABELS), 1.5).requires_grad_()
        return lambda: loss(z, x, x * 0.1, v, Y)
    if name in ("bce", "focal", "asl", "zlpr", "twoway"):
        return lambda: loss(x, Y)
    if name in ("proto", "msc", "reg", "wrg"):
        P = torch.randn(LABELS, D, generator=torch.Generator().manual_seed(7), requires_grad=True)
        return lambda: loss(z, Y, P)
    return lambda: loss(z, Y)


def sent() -> int:
    """Bytes over the loopback device of this network so far."""
    lines = Path("/proc/net/dev").read_text().splitlines()
    (own,) = (line for line in lines if line.strip().startswith("lo:"))
    return int(own.split(":")[1].split()[8])


def measured(name: str, n: int, world: int) -> float:
    """Bytes that a rank sends for one call with its gradient, mean over the ranks."""
    compute = call(name, n)
    compute().backward()  # gloo has met everybody by now
    dist.barrier()
    before = sent()
    dist.barrier()
    quiet = sent() - before  # of a barrier
    dist.barrier()
    before = sent()
    compute().backward()
    dist.barrier()
    return (sent() - before - quiet) / world


def rank(number: int, world: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=number, world_size=world)
    rows = {name: [measured(name, n, world) for n in ROWS] for name in losses.names()}
    if number == 0:
        torch.save(rows, Path(folder) / "found.pt")
    dist.barrier()
    os._exit(0)


def measure(world: int) -> dict[str, list[float]]:
    """Loss -> bytes of a rank at the two sizes."""
    with tempfile.TemporaryDirectory() as folder:
        processes = []
        for number in range(world):
            process = os.fork()
            if process == 0:
                rank(number, world, folder)
            processes.append(process)
        assert all(os.waitpid(process, 0)[1] == 0 for process in processes)
        return torch.load(Path(folder) / "found.pt", weights_only=True)  # type: ignore[no-any-return]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--worlds", type=int, nargs="+", default=[2, 4])
    worlds = parser.parse_args().worlds
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    print("| loss | ranks | sent per row and other rank | model | measured / model | fixed, per rank |")
    print("| --- | --- | --- | --- | --- | --- |")
    for world in worlds:
        for name, (few, many) in measure(world).items():
            each = (many - few) / (ROWS[1] - ROWS[0]) / (world - 1)
            fixed, wanted = few - each * ROWS[0] * (world - 1), model(name)
            ratio = f"{each / wanted:.2f}" if wanted else "-"
            print(
                f"| {name} | {world} | {each:,.0f} B | {wanted:,.0f} B | {ratio} | {fixed / 1000:,.1f} kB |"
            )


if __name__ == "__main__":
    main()
