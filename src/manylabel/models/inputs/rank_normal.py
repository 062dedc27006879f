"""Rank-normal features: each column through its distribution function and the normal quantile, then standardised."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from manylabel.data.rows import SparseVectors, Vectors
from manylabel.models.inputs.base import Array
from manylabel.models.inputs.vectors import Scaling, VectorPreprocessor

MOST_KNOTS = 1000  # of a column
_MOST_NUMBERS = 1 << 22  # knots of all columns


class RankNormalPreprocessor(VectorPreprocessor):
    """Vectors whose columns are normal on the training rows, whatever their distribution was.

    Parameters
    ----------
    shape, raw_features, dtype
        As in :class:`VectorPreprocessor`.
    n_knots : int, default 1
        Most different values of a column that are kept.

    Attributes
    ----------
    knots : (n_features, n_knots) buffer
        Ascending values of the training rows; infinite beyond those that a column has.
    heights : (n_features, n_knots) float32 buffer
        What they become.

    Notes
    -----
    A value v of a training column of n rows, of which b are below v and e equal it, has the mid-rank
    ``F(v) = (b + e / 2) / n`` and becomes ``(q(F(v)) - m) / s``: q is the normal quantile, m and s are mean and
    standard deviation of q(F) over the rows. Ties get the middle of their ranks, and a column of one value becomes 0.
    Between training values it is linear; outside of them the nearest one counts. Of a column with more than 1 000
    different values (fewer where there are more than 4 194 columns) so many are kept, evenly by their order, and it is
    linear between these.
    """

    name: ClassVar[str] = "rank_normal"
    knots: Tensor
    heights: Tensor

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        raw_features: int | None = None,
        dtype: torch.dtype = torch.float32,
        n_knots: int = 1,
    ) -> None:
        super().__init__(shape, raw_features=raw_features, dtype=dtype)
        self.register_buffer("knots", torch.full((shape[0], n_knots), torch.inf, dtype=dtype))
        self.register_buffer("heights", torch.zeros(shape[0], n_knots))

    def learn(self, kept: Vectors | SparseVectors, scaling: Scaling) -> None:
        most = int(np.clip(_MOST_NUMBERS // self.shape[0], 16, MOST_KNOTS))
        curves = [_curve(*counted, most) for counted in _value_counts(kept, self.dtype)]
        width = max(len(knots) for knots, _ in curves)
        knots = np.full((len(curves), width), np.inf)
        heights = np.zeros((len(curves), width))
        for j, (x, y) in enumerate(curves):
            knots[j, : len(x)], heights[j, : len(x)] = x, y
        self.knots = torch.from_numpy(knots).to(self.dtype)
        self.heights = torch.from_numpy(heights).float()

    def meta(self) -> dict[str, Any]:
        return super().meta() | {"n_knots": self.knots.shape[1]}

    @classmethod
    def like(cls, meta: dict[str, Any]) -> Self:
        dtype = torch.float64 if meta.get("dtype") == "float64" else torch.float32
        own = {"raw_features": meta["raw_features"], "n_knots": meta["n_knots"]}
        return cls(tuple(meta["shape"]), dtype=dtype, **own)

    def matrix(self, X: Any, sparse: bool) -> Any:
        return self.standardised(self.read(X))  # a zero does not stay one

    def forward(self, x: Tensor) -> Tensor:
        """Rank-normal rows, (B, n_features) -> the same, float32."""
        above = self._below(x.to(self.dtype))  # (B, n_features)
        left, right = (above - 1).clamp_min(0), above.clamp_max(self.knots.shape[1] - 1)
        column = torch.arange(x.shape[1], device=x.device)
        x0, x1 = self.knots[column, left], self.knots[column, right]
        y0, y1 = self.heights[column, left], self.heights[column, right]
        # Beyond the last knot x1 is infinite or x0 itself: the share is 0 then.
        share = (x - x0) / torch.where(x1 > x0, x1 - x0, torch.ones_like(x0))
        return y0 + share.clamp(0, 1).float() * (y1 - y0)

    def _below(self, x: Tensor) -> Tensor:
        """How many knots are below each value, (B, n_features) int64."""
        if torch.compiler.is_exporting() or torch.onnx.is_in_onnx_export():  # ONNX has no binary search
            return (x[..., None] > self.knots).sum(-1)
        return torch.searchsorted(self.knots, x.T.contiguous()).T


def _value_counts(kept: Vectors | SparseVectors, dtype: torch.dtype) -> Iterator[tuple[Array, Array]]:
    """The different values of each column in ascending order, and the rows that hold each."""
    if isinstance(kept, SparseVectors):
        columns = kept.csr(dtype).tocsc()
        columns.sum_duplicates()
        for start, stop in zip(columns.indptr[:-1], columns.indptr[1:], strict=True):
            zeros = columns.shape[0] - (stop - start)
            values, counts = np.unique(np.append(columns.data[start:stop], 0), return_counts=True)
            counts[np.searchsorted(values, 0)] += zeros - 1
            yield values[counts > 0], counts[counts > 0]
    else:
        for column in kept.dense(dtype).cpu().numpy().T:
            yield np.unique(column, return_counts=True)


def _curve(values: Array, counts: Array, most: int) -> tuple[Array, Array]:
    """Knots of one column and what they become, at most so many."""
    from scipy.special import ndtri

    n = counts.sum()
    z = ndtri((np.cumsum(counts) - counts / 2) / n)
    kept = np.unique(np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(np.int64))
    knots, heights = values[kept].astype(np.float64), z[kept]
    of_rows = np.interp(values, knots, heights)
    mean = (counts * of_rows).sum() / n
    spread = np.sqrt((counts * np.square(of_rows - mean)).sum() / n)
    return knots, (heights - mean) / (spread or 1.0)
