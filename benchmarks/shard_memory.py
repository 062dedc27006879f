"""Memory and seconds of a rank that trains a large encoder, whole on every rank or in parts.

Run with ``python -m benchmarks.shard_memory``: it starts the ranks with ``torchrun``, once without ``stage.shard`` and
once with it. The encoder is a transformer on made tokens; peak memory is that of the process less what it held before
the fit, so activations of the batch count along with weights, gradients, moments and the average. The allocator of the
system is told to give memory back (``MALLOC_MMAP_THRESHOLD_``): by itself it keeps what blocks have used.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from manylabel.data import Rows
from manylabel.labels import as_labels
from manylabel.methods import get
from manylabel.training import joined

TOKENS, ROWS, MIB = 8, 64, 2**20


class Transformer(nn.Module):
    """(B, tokens * width) -> (B, width)"""

    def __init__(self, layers: int, width: int) -> None:
        super().__init__()
        sizes = {"dim_feedforward": 4 * width, "dropout": 0.0, "batch_first": True}
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(width, 8, **sizes) for _ in range(layers))  # type: ignore[arg-type]
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        h = x.reshape(len(x), TOKENS, self.width)
        for layer in self.layers:
            h = layer(h)
        return h.mean(1)


def held(field: str) -> float:
    """MiB of this process, now (VmRSS) or at its peak (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) * 1024 / MIB


def rank(asked: argparse.Namespace) -> None:
    """Fit in this process, and print what it took."""
    importlib.import_module("torch.distributed.fsdp")  # some 70 MiB of code, which are not what is measured
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(ROWS, TOKENS * asked.width, generator=generator)
    rows = Rows(X, as_labels((X[:, :4] > 0).to(torch.uint8)))
    settings = {"epochs": 3, "batch": asked.batch, "lr": 1e-4, "ema": 0.9 if asked.ema else None}
    named = {f"classify.stage.{name}": value for name, value in settings.items()}
    with joined() as ranks:
        network, before = Transformer(asked.layers, asked.width), held("VmRSS")
        method = get("bce", encoder=network, **named, **{"classify.stage.shard": asked.shard})
        started = time.perf_counter()
        method.fit(rows, rows)
        numbers = sum(p.numel() for p in network.parameters())
        found = {"rank": ranks.rank, "million": numbers / 1e6, "peak": held("VmHWM") - before}
        print(json.dumps(found | {"seconds": time.perf_counter() - started}) + "\n", end="", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--ema", action="store_true", help="keep an average of the parameters")
    parser.add_argument("--shard", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if "LOCAL_RANK" in os.environ:
        rank(asked)
        return
    print("| encoder | ranks | kept | million parameters | peak, MiB a rank | bytes a parameter | seconds |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for shard in (False, True):
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += ["--nproc-per-node", str(asked.ranks), "-m", "benchmarks.shard_memory", *sys.argv[1:]]
        environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [*command, *["--shard"] * shard], check=True, capture_output=True, text=True, env=environment
        )
        found = [json.loads(told) for told in re.findall(r"\{[^}]*\}", done.stdout)]
        peak, seconds = (max(each[name] for each in found) for name in ("peak", "seconds"))
        million = found[0]["million"]
        kept = "in parts" if shard else "whole"
        size = f"{asked.layers} x {asked.width}"
        print(
            f"| {size} | {asked.ranks} | {kept} | {million:.1f} | {peak:,.0f} | {peak * MIB / million / 1e6:.1f} "
            f"| {seconds:.0f} |"
        )


if __name__ == "__main__":
    main()
