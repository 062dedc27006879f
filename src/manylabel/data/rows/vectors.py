"""Feature vectors, dense."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from manylabel.arrays import as_array
from manylabel.data.rows.dense import DenseFeatures
from manylabel.data.rows.precision import (
    blurred_columns,
    is_wide,
    may_narrow,
    narrowest,
    not_finite,
    warn_of_blurred,
)
from manylabel.errors import ManyLabelError

if TYPE_CHECKING:
    import scipy.sparse as sp


class Vectors(DenseFeatures):
    """Vectors; ``values`` is a tensor (n, n_features) of any type."""

    kind: ClassVar[str] = "vectors"
    overlays: ClassVar[tuple[str, ...]] = ("vectors",)

    @classmethod
    def of_file(cls, X: np.ndarray[Any, Any], who: str) -> Self:
        """The vectors of a file, as float32, or float64 where that would blur a column.

        Raises
        ------
        ManyLabelError
            Without a feature, or naming the first number that is not finite.
        """
        if X.shape[1] == 0:
            raise ManyLabelError(who, "at least one feature", "none")
        dtype = narrowest(X.dtype, X, lambda: _blurred(X.astype(np.float64, copy=False)))
        with np.errstate(over="ignore"):
            # -0.0 becomes 0.0, as in sparse rows
            vectors = np.ascontiguousarray(X, dtype=dtype) + dtype(0)
        if not np.isfinite(vectors).all():
            row, column = np.argwhere(~np.isfinite(vectors))[0]
            raise not_finite(who, X[row, column], row, column)
        return cls(torch.from_numpy(vectors))

    def describe(self) -> str:
        return f"{self.values.shape[1]} numbers"

    def select(self, columns: Tensor) -> Self:
        """Some of the columns."""
        return type(self)(self.values[:, columns.to(self.values.device)])

    def dense(self, dtype: torch.dtype) -> Tensor:
        """The rows as a tensor of a type, (n, n_features)."""
        return self.values.to(dtype)

    def csr(self, dtype: torch.dtype) -> sp.csr_matrix:
        """The rows as a CSR matrix of a type, (n, n_features)."""
        import scipy.sparse as sp

        return sp.csr_matrix(as_array(self.dense(dtype), "X"))

    def square_sum(self, dtype: torch.dtype) -> float:
        """The sum of the squares of all entries."""
        return float(np.square(self.csr(dtype).data, dtype=np.float64).sum())

    def moments(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Standard deviation and mean of every column, in a type."""
        return torch.std_mean(self.dense(dtype), dim=0, correction=0)

    def warn_of_blurred(self, names: Any = None) -> None:
        if is_wide(self.dtype):
            values = self.values.double().cpu().numpy()
            warn_of_blurred(_blurred(values), lambda j: values[:, j], names)


def narrowed(X: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Float64 rows of a file, all or some, as float32, or as they are where that might blur a column."""
    return X.astype(np.float32) if may_narrow(X, _blurred(X)) else X


def _blurred(X: np.ndarray[Any, Any]) -> Any:
    with np.errstate(over="ignore", invalid="ignore"):
        return blurred_columns(X.mean(axis=0), X.std(axis=0))
