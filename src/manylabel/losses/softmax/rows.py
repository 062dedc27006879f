"""Embedding rows as the engine reads them: a tile at a time, normalised and in full precision."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

SMALLEST_NORM = 1e-12


def unit(x: Tensor) -> Tensor:
    """``x / max(||x||, 1e-12)`` along the last axis; a row without direction gets no gradient."""
    norm = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    alive = norm > SMALLEST_NORM
    z: Tensor = torch.where(alive, x, x.detach()) / torch.where(alive, norm, SMALLEST_NORM)
    return z


class Rows:
    """Rows of an (n, D) tensor in working precision, divided by their norms where asked.

    Nothing of size (n, D) is copied before somebody asks for it.
    """

    def __init__(self, x: Tensor, normalize: bool, dtype: torch.dtype) -> None:
        self.x, self.dtype = x, dtype
        self.n, self.dim = x.shape
        self.norms = torch.linalg.vector_norm(x, dim=1, dtype=dtype) if normalize else None
        self.inverse = None if self.norms is None else self.norms.clamp_min(SMALLEST_NORM).reciprocal_()

    @property
    def plain(self) -> bool:
        """Whether the tensor can be used as it is."""
        return self.inverse is None and self.x.dtype == self.dtype

    def tile(self, rows: slice, factor: float = 1.0) -> Tensor:
        """Rows times a constant, (rows, D)."""
        x = self.x[rows].to(self.dtype)
        if self.inverse is not None:
            scale: Tensor = self.inverse[rows] * factor
            return x * scale[:, None]
        return x if factor == 1.0 else x * factor

    def project(self, g: Tensor, rows: slice) -> Tensor:
        """The gradient of x from the gradient of its normalised rows; in place, (rows, D)."""
        if self.inverse is None or self.norms is None:
            return g
        z = self.tile(rows)
        inverse = torch.where(self.norms[rows] > SMALLEST_NORM, self.inverse[rows], 0)[:, None]
        return g.sub_(z.mul_((g * z).sum(1, keepdim=True))).mul_(inverse)


def tiles(n: int, width: int) -> Iterator[slice]:
    """Cut ``range(n)`` into slices of at most ``width``."""
    for start in range(0, n, width):
        yield slice(start, min(start + width, n))


def tile_shape(n_rows: int, n_columns: int, device: torch.device) -> tuple[int, int]:
    """Rows and columns of a tile: half a MiB of float32 on a CPU, to stay in its second cache level."""
    if device.type == "cpu":
        height = min(n_rows, 256)
        return max(height, 1), max(min(n_columns, (1 << 17) // max(height, 1)), 1)
    return max(min(n_rows, 4096), 1), max(min(n_columns, 8192), 1)


def log2_per(temperature: float) -> float:
    """The factor that turns a similarity into the exponent of a power of two."""
    return 1.0 / (temperature * math.log(2.0))
