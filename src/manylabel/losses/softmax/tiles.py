"""Embedding rows as the engine reads them: a tile at a time, normalised and in full precision."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from manylabel.kernels.torch_ops import project_rows, row_norms
from manylabel.kernels.transforms import transformed
from manylabel.labels import LabelMatrix

SMALLEST_NORM = 1e-12
# norms whose squares are far from the largest number of their type
NORM_LIMITS = {torch.float64: 2.0**500, torch.float32: 2.0**60}
_SMALL = 1 << 20  # numbers
_sizes: list[tuple[int, int]] = []  # asked for by tile_size, in the order of the calls
ALL = slice(None)


class Sides(NamedTuple):
    """Whether anchors, and whether candidates, are divided by their norms."""

    anchors: bool
    candidates: bool


def unit(x: Tensor) -> Tensor:
    """``x / max(||x||, 1e-12)`` along the last axis; a row without direction gets no gradient."""
    norm = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    if _may_overflow(norm):
        x = x / _largest(x, norm)
        norm = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    alive = norm > SMALLEST_NORM
    z: Tensor = torch.where(alive, x, x.detach()) / torch.where(alive, norm, SMALLEST_NORM)
    return z


def _may_overflow(norm: Tensor) -> bool:
    """Whether squares of a row may have left the range of its type; where looking would stall a device, yes."""
    if norm.device.type != "cpu" or torch.compiler.is_compiling() or transformed():
        return True
    return bool(norm.numel()) and not float(norm.detach().max()) < NORM_LIMITS[norm.dtype]


def _largest(x: Tensor, norm: Tensor) -> Tensor:
    """The largest entry of each row whose norm is too large to be trusted, 1 for the others, (n, 1), constant."""
    largest = x.detach().abs().amax(1, keepdim=True) if x.shape[1] else torch.ones_like(norm)
    return torch.where(norm.detach() < NORM_LIMITS[norm.dtype], 1.0, largest)


class Rows:
    """Rows of an (n, D) tensor in working precision, divided by their norms where asked.

    A small tensor is divided once; of a large one nothing of size (n, D) is made.

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
        self.x, self.dtype = x.detach(), dtype
        self.n, self.dim = x.shape
        self.norms: Tensor | None = None
        self.inverse: Tensor | None = None
        self.ready: Tensor | None = None
        self.odd = False  # whether a row may be too short to have a direction, or too long to be squared
        if normalize:
            self.norms = row_norms(x, dtype)
            if not (self._are_unit(self.norms) and constant):
                self.inverse = self._inverse(self.norms)
                if x.numel() <= _SMALL:
                    self.ready = x.to(dtype) * self.inverse[:, None]

    def _are_unit(self, norms: Tensor) -> bool:
        """Whether all are 1 to the last digits; notes where some are odd."""
        if norms.device.type != "cpu" or not len(norms):  # elsewhere the question costs more than it saves
            self.odd = bool(len(norms))
            return False
        low, high = (float(bound) for bound in norms.aminmax())
        self.odd = not (low > SMALLEST_NORM and high < NORM_LIMITS[norms.dtype])
        return max(1.0 - low, high - 1.0) <= 4 * torch.finfo(norms.dtype).eps

    def _inverse(self, norms: Tensor) -> Tensor:
        """``1 / max(||x||, 1e-12)``; where squares overflow, from rows divided by their largest entries first."""
        inverse: Tensor = norms.clamp_min(SMALLEST_NORM).reciprocal_()
        if (
            not self.odd or norms.device.type != "cpu"
        ):  # elsewhere it would take passes over all rows, or a stall
            return inverse
        for rows in tiles(0, self.n, max(_SMALL // max(self.dim, 1), 1)):
            long = norms[rows] >= NORM_LIMITS[norms.dtype]
            if not bool(long.any()):
                continue
            x = self.x[rows].to(self.dtype)
            largest = _largest(x, norms[rows, None])
            part = torch.linalg.vector_norm(x / largest, dim=1).reciprocal_().div_(largest.squeeze(1))
            inverse[rows] = torch.where(long, part, inverse[rows])
        return inverse

    def longest(self) -> float:
        """The largest norm, which bounds similarities; infinite where looking would stall a device."""
        if self.norms is not None:
            return 1.0
        if self.x.device.type != "cpu" or not self.n:
            return math.inf
        return float(torch.linalg.vector_norm(self.x, dim=1, dtype=self.dtype).max())

    def tile(self, rows: slice, scratch: Scratch | None = None) -> Tensor:
        """Some rows, (rows, D), to be read only; in scratch memory where they must be computed."""
        if self.ready is not None:
            return self.ready[rows]
        x = self.x[rows].to(self.dtype)
        if self.inverse is None:
            return x
        return torch.mul(x, self.inverse[rows, None], out=None if scratch is None else scratch.tile(*x.shape))

    def label_sums(self, labels: LabelMatrix, factors: Tensor | None = None) -> Tensor:
        """``labels^T diag(factors) z``, (n_labels, D)."""
        if self.ready is not None:
            return labels.label_sums(self.ready, factors)
        if self.inverse is not None:
            factors = self.inverse if factors is None else self.inverse * factors
        return labels.label_sums(self.x.to(self.dtype), factors)

    def project(self, g: Tensor, rows: slice, z: Tensor | None = None) -> Tensor:
        """Turn the gradient of normalised rows into that of x, in place, (rows, D)."""
        if self.inverse is None or self.norms is None:
            return g
        z = self.tile(rows) if z is None else z
        return project_rows(g, z, self.slope(rows))

    def slope(self, rows: slice) -> Tensor:
        """``1 / ||x||``, and 0 for a row as short as nothing, which has no direction to turn."""
        assert self.norms is not None
        assert self.inverse is not None
        norms, inverse = self.norms[rows], self.inverse[rows]
        slope: Tensor = torch.mul(norms, inverse).mul_(inverse)
        if self.odd:
            if norms.device.type == "cpu":
                slope = torch.where(norms < NORM_LIMITS[norms.dtype], slope, inverse)
            slope = slope.masked_fill_(norms <= SMALLEST_NORM, 0.0)
        return slope


def tiles(start: int, stop: int, width: int) -> Iterator[slice]:
    """Cut ``range(start, stop)`` into slices of at most ``width``."""
    for first in range(start, stop, width):
        yield slice(first, min(first + width, stop))


@contextmanager
def tile_size(height: int, width: int) -> Iterator[None]:
    """Work on tiles of this size meanwhile, in every thread, whatever the device would like."""
    _sizes.append((height, width))
    try:
        yield
    finally:
        _sizes.pop()


def tile_shape(n_rows: int, n_columns: int, device: torch.device) -> tuple[int, int]:
    """Rows and columns of a tile of a batch against itself: a MiB of float32 on a CPU."""
    if _sizes:
        return _sizes[-1]
    if device.type == "cpu":
        return even(n_rows, 512), even(n_columns, 512)
    return even(n_rows, 4096), even(n_columns, 8192)


def block_shape(n_rows: int, n_columns: int, device: torch.device) -> tuple[int, int]:
    """Rows and columns of a tile of anchors against candidates: small for few anchors, whose memory it rules."""
    if device.type != "cpu" or _sizes:
        return tile_shape(n_rows, n_columns, device)
    height = even(n_rows, 512)
    return height, even(n_columns, max((3 << 15) // height, height))


def stretch_length(usual: int) -> int:
    """Candidates that an operator over all of them takes at a time: ``usual``, or the columns of a tile asked for."""
    return _sizes[-1][1] if _sizes else usual


def rows_at_once(numbers_a_row: int, most: int) -> int:
    """Rows of which a tile holds at most so many numbers, or the rows of a tile asked for; at least one."""
    return _sizes[-1][0] if _sizes else max(most // max(numbers_a_row, 1), 1)


def even(n: int, most: int) -> int:
    """The size of the about equal parts, of at most so many, that n is cut into; a multiple of 64 if large."""
    if not n:
        return 1
    size = -(-n // -(-n // most))
    return size if size < 128 else min(-(-size // 64) * 64, most)


class Scratch:
    """Memory for one tile after another.

    Parameters
    ----------
    shape : (int, int)
        The largest tile.
    like : tensor
        Of the type and on the device wanted.
    """

    def __init__(self, shape: tuple[int, int], like: Tensor) -> None:
        self.memory = like.new_empty(shape[0] * shape[1])

    def tile(self, height: int, width: int) -> Tensor:
        """Uninitialised, (height, width), over the tile given out before."""
        return self.memory[: height * width].view(height, width)

    def product(self, a: Tensor, b: Tensor, factor: float = 1.0) -> Tensor:
        """``factor a b^T``, (m, D) and (n, D) -> (m, n)."""
        return self.tile(len(a), len(b)).addmm_(a, b.T, beta=0, alpha=factor)


def log2_per(temperature: float) -> float:
    """The factor that turns a similarity into the exponent of a power of two."""
    return 1.0 / (temperature * math.log(2.0))
