"""Rows in one tensor: what vectors and pictures share."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from hashlib import blake2b
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from manylabel.data.rows.base import Features
from manylabel.data.rows.precision import LARGEST
from manylabel.errors import ManyLabelError


class DenseFeatures(Features):
    """Rows of a tensor (n, ...)."""

    values: Tensor

    def _as_array(self) -> Any:
        return self.values.detach().cpu().numpy()

    def take(self, rows: slice | np.ndarray[Any, Any]) -> Self:
        return type(self)(self.values[rows if isinstance(rows, slice) else torch.as_tensor(rows)])

    def concat(self, other: Self) -> Self:
        return type(self)(torch.cat([self.values, other.values.to(self.values.device)]))

    def row_keys(self) -> Iterator[Hashable]:
        for row in self.values.flatten(1).numpy():
            yield blake2b(row.astype(np.float64).tobytes(), digest_size=8).digest()

    def content(self) -> Iterator[Any]:
        yield repr(self.shape).encode()
        values = self.values.detach().cpu().contiguous()
        yield values.reshape(-1).view(torch.uint8).numpy()


def check_finite(X: Tensor, who: str) -> None:
    """Refuse numbers that are no finite number of float32.

    Raises
    ------
    ManyLabelError
        Naming the first of them, where rows are vectors.
    """
    if not X.is_floating_point() or not X.numel():
        return
    X = X.float() if X.dtype.itemsize == 1 else X  # torch does not compare the numbers of 8 bits
    low, high = (float(bound) for bound in X.aminmax())  # NaN comes through both
    if low >= -LARGEST and high <= LARGEST:
        return
    hint = "Rescale numbers beyond 3e38."
    if low != low:
        hint = "Fill missing values in, drop those rows or columns, or train on a frame, whose cells may be missing."
    got = "NaN" if low != low else f"values from {low:g} to {high:g}"
    if X.ndim == 2:
        row, column = (~(X.abs() <= LARGEST)).nonzero()[0].tolist()
        value = float(X[row, column])
        got = f"{'NaN' if value != value else f'{value:g}'} in row {row}, column {column} (counted from 0)"
    raise ManyLabelError(who, "finite numbers", got, hint)
