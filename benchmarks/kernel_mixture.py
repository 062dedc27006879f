"""KMCL's kernel contrastive term against a loop over the anchors with B x B x C temporaries.

Run with ``python -m benchmarks.kernel_mixture``: float32, one thread, forward and backward. Times are CPU times, both
sides in turn, the least of several; extra memory is the peak above what was resident before the call, in a process of
its own. Labels have frequencies that fall off as a power of their rank, three a row. "whole" is the loss with its
reconstruction and asymmetric term, which the loop is spared.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from manylabel.losses.kernel_mixture import kernel_contrastive, kmcl

TAU = 0.17


@dataclass
class Problem:
    """What KMCL is given; ``n_features`` is D, and means are (B, C) or (B, D, C)."""

    features: Tensor
    logits: Tensor
    means: Tensor
    variances: Tensor
    Y: Tensor

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return self.features, self.logits, self.means, self.variances


CASES = {"isotropic": (256, 80, 2048), "anisotropic": (64, 80, 128)}
GOALS = {"isotropic": 80, "anisotropic": 120}


def made(case: str, dtype: torch.dtype = torch.float32) -> Problem:
    b, c, d = CASES[case]
    g = torch.Generator().manual_seed(0)
    frequency = torch.arange(1, c + 1) ** -0.8
    Y = torch.rand(b, c, generator=g) < (3 * frequency / frequency.sum()).clamp(max=0.5)
    Y[torch.arange(b), torch.randint(c, (b,), generator=g)] |= ~Y.any(1)
    shape = (b, c) if case == "isotropic" else (b, d, c)
    means = 0.05 * torch.randn(*shape, generator=g)
    variances = 1 + 0.05 * torch.rand(*shape, generator=g)
    tensors = torch.randn(b, d, generator=g), torch.randn(b, c, generator=g), means, variances
    return Problem(*(t.to(dtype).requires_grad_() for t in tensors), Y.to(torch.uint8))


def textbook_contrastive(means: Tensor, variances: Tensor, Y: Tensor, n_features: int) -> Tensor:
    """Kernels and their shares for all pairs and labels at once; then, one anchor after the other, those that count."""
    sd = variances.sqrt() + 1.49e-8
    s, t = sd[:, None], sd[None]  # (B, 1, C) or (B, 1, D, C)
    total = s**2 + t**2
    log_part = torch.log(total / (2 * s * t))
    mean_part = (means[:, None] - means[None]) ** 2 / total
    distance = n_features / 2 * log_part + n_features / 4 * mean_part
    if distance.dim() == 4:
        distance = distance.sum(2)
    E = torch.exp(torch.exp(-distance) / TAU)  # (B, B, C)
    y = Y.to(means.dtype)
    shared = y @ y.T
    jaccard = shared / (y.sum(1)[:, None] + y.sum(1) - shared).clamp(min=1)
    others = 1 - torch.eye(len(y), dtype=y.dtype)
    S = (E * others[:, :, None]).sum(1, keepdim=True)
    logs = torch.log(jaccard[:, :, None] * E / S + 1e-7)
    loss = 0.0 * (means.sum() + variances.sum())
    for i, logs_i in enumerate(logs.unbind(0)):  # (B, C)
        partners = (shared[i] * others[i]).nonzero().squeeze(1)
        if len(partners):
            loss = loss - (logs_i * y[i] * y)[partners].sum() / len(partners)
    return loss / len(y)


def ours(p: Problem) -> Tensor:
    return kernel_contrastive(p.means, p.variances, p.Y, n_features=p.features.shape[1], engine="streamed")


def textbook(p: Problem) -> Tensor:
    return textbook_contrastive(p.means, p.variances, p.Y, p.features.shape[1])


def whole(p: Problem) -> Tensor:
    return kmcl(*p.inputs, p.Y, engine="streamed")


SIDES: dict[str, Callable[[Problem], Tensor]] = {"ours": ours, "textbook": textbook, "whole": whole}


def step(side: str, p: Problem) -> tuple[Tensor, ...]:
    """Value and gradients of means and variances."""
    value = SIDES[side](p)
    inputs = p.inputs if side == "whole" else p.inputs[2:]
    return value.detach(), *torch.autograd.grad(value, inputs)


def least_seconds(case: str, sides: list[str], repeats: int) -> dict[str, float]:
    """CPU time of each side, measured in turn."""
    p = made(case)
    seconds = dict.fromkeys(sides, float("inf"))
    for _ in range(repeats):
        for side in sides:
            step(side, p)  # as warm as it gets before the measured call
            began = time.process_time()
            step(side, p)
            seconds[side] = min(seconds[side], time.process_time() - began)
    return seconds


def extra_bytes(case: str, side: str) -> int:
    """Peak memory of a call above what was resident before it, in this process."""
    torch.set_num_threads(1)
    p, status = made(case), Path("/proc/self/status")
    small = Problem(*(t[:8].detach().requires_grad_() for t in p.inputs), p.Y[:8])
    step(side, small)

    def kilobytes(field: str) -> int:
        return next(
            int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith(field)
        )

    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    before = kilobytes("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    step(side, p)
    return 1024 * (kilobytes("VmHWM") - before)


def error(case: str) -> tuple[float, float]:
    """Relative errors of value and gradients in float32, against the textbook form in float64."""
    p = made(case)
    exact = Problem(*(t.detach().double().requires_grad_() for t in p.inputs), p.Y)
    got, want = step("ours", p), step("textbook", exact)
    value = abs(float(got[0].double() / want[0]) - 1)
    gradients = [float((g - w).norm() / w.norm()) for g, w in zip(got[1:], want[1:], strict=True)]
    return value, max(gradients)


def main() -> None:
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--bytes", nargs=2, metavar=("CASE", "SIDE"))
    arguments = parser.parse_args()
    if arguments.bytes:
        print(extra_bytes(*arguments.bytes))
        return
    for case, goal in GOALS.items():
        seconds = least_seconds(case, list(SIDES), arguments.repeats)
        memory = {
            side: int(
                subprocess.run(
                    [sys.executable, "-m", "benchmarks.kernel_mixture", "--bytes", case, side],
                    check=True,
                    capture_output=True,
                    text=True,
                ).stdout
            )
            for side in SIDES
        }
        value, gradient = error(case)
        print(f"{case}: B, C, D = {CASES[case]}")
        for side in SIDES:
            print(f"  {side:<9}{1000 * seconds[side]:9.1f} ms {memory[side] / 2**20:9.1f} MiB")
        times, sizes = seconds["textbook"] / seconds["ours"], memory["textbook"] / memory["ours"]
        print(f"  {times:.0f} times faster (goal {goal}), 1/{sizes:.0f} of the memory (goal 1/50)")
        print(f"  relative error of the value {value:.1e}, of the gradients {gradient:.1e}")


if __name__ == "__main__":
    main()
