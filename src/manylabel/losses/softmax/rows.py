"""Embedding rows as the engine reads them: a tile at a time, normalised and in full precision."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from manylabel.labels import LabelMatrix

SMALLEST_NORM = 1e-12
ALL = slice(None)


def unit(x: Tensor) -> Tensor:
    """``x / max(||x||, 1e-12)`` along the last axis; a row without direction gets no gradient."""
    norm = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    alive = norm > SMALLEST_NORM
    z: Tensor = torch.where(alive, x, x.detach()) / torch.where(alive, norm, SMALLEST_NORM)
    return z


class Rows:
    """Rows of an (n, D) tensor in working precision, divided by their norms where asked.

    Nothing of size (n, D) is copied before somebody asks for it.

    Parameters
    ----------
    x : (n, D) floating tensor
    normalize : bool
    dtype : torch.dtype
        Working precision.
    constant : bool, default False
        No gradient is wanted: rows that are unit vectors to the last digits are taken as they are.
    """

    def __init__(self, x: Tensor, normalize: bool, dtype: torch.dtype, constant: bool = False) -> None:
        self.x, self.dtype = x, dtype
        self.n, self.dim = x.shape
        self.norms: Tensor | None = None
        self.inverse: Tensor | None = None
        if normalize:
            self.norms = torch.linalg.vector_norm(x, dim=1, dtype=dtype)
            if not (constant and self._are_unit(self.norms)):
                self.inverse = self.norms.clamp_min(SMALLEST_NORM).reciprocal_()

    @staticmethod
    def _are_unit(norms: Tensor) -> bool:
        if norms.device.type != "cpu" or not len(norms):  # elsewhere the question costs more than it saves
            return False
        low, high = norms.aminmax()
        return max(1.0 - float(low), float(high) - 1.0) <= 4 * torch.finfo(norms.dtype).eps

    def longest(self) -> float:
        """The largest norm, which bounds similarities; infinite where looking would stall a device."""
        if self.norms is not None:
            return 1.0
        if self.x.device.type != "cpu" or not self.n:
            return math.inf
        return float(torch.linalg.vector_norm(self.x, dim=1, dtype=self.dtype).max())

    def tile(self, rows: slice, factor: float = 1.0) -> Tensor:
        """Rows times a constant, (rows, D)."""
        x = self.x[rows].to(self.dtype)
        if self.inverse is not None:
            scale: Tensor = self.inverse[rows]
            return x * (scale if factor == 1.0 else scale * factor)[:, None]
        return x if factor == 1.0 else x * factor

    def label_sums(self, labels: LabelMatrix, factors: Tensor | None = None) -> Tensor:
        """``labels^T diag(factors) z``, (n_labels, D)."""
        if self.inverse is not None:
            factors = self.inverse if factors is None else self.inverse * factors
        return labels.label_sums(self.x.to(self.dtype), factors)

    def project(self, g: Tensor, rows: slice, z: Tensor | None = None) -> Tensor:
        """Turn the gradient of normalised rows into that of x, in place, (rows, D)."""
        if self.inverse is None or self.norms is None:
            return g
        z = self.tile(rows) if z is None else z
        g.addcmul_(z, (g * z).sum(1, keepdim=True), value=-1)
        return g.mul_(self.slope(rows)[:, None])

    def slope(self, rows: slice) -> Tensor:
        """``1 / ||x||``, and 0 for a row of zeros, which has no direction to turn."""
        assert self.norms is not None
        assert self.inverse is not None
        slope: Tensor = self.norms[rows] * self.inverse[rows]
        return slope.mul_(self.inverse[rows])


def tiles(start: int, stop: int, width: int) -> Iterator[slice]:
    """Cut ``range(start, stop)`` into slices of at most ``width``."""
    for first in range(start, stop, width):
        yield slice(first, min(first + width, stop))


def tile_shape(n_rows: int, n_columns: int, device: torch.device) -> tuple[int, int]:
    """Rows and columns of a tile: half a MiB of float32 on a CPU, to stay in its second cache level."""
    if device.type == "cpu":
        height = min(n_rows, 256)
        return max(height, 1), max(min(n_columns, (1 << 17) // max(height, 1)), 1)
    return max(min(n_rows, 4096), 1), max(min(n_columns, 8192), 1)


def log2_per(temperature: float) -> float:
    """The factor that turns a similarity into the exponent of a power of two."""
    return 1.0 / (temperature * math.log(2.0))
