"""TF-IDF of rows that count: columns weighted by how few rows have them, every row of length 1."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from manylabel.data.rows import SparseVectors, Vectors
from manylabel.errors import ManyLabelError
from manylabel.models.inputs.vectors import Scaling, VectorPreprocessor


class TfidfColumnPreprocessor(VectorPreprocessor):
    """Rows of counts, or of other numbers that are not negative, as TF-IDF vectors divided by one number.

    Parameters as in :class:`VectorPreprocessor`.

    Attributes
    ----------
    idf : (n_features,) float32 buffer

    Notes
    -----
    An entry x of column j becomes ``f(x) idf_j`` with ``f(x) = 1 + ln x`` from 1 on and x below, and
    ``idf_j = ln((1 + n) / (1 + d_j)) + 1`` where d_j of the n training rows are not 0; then each row is divided by its
    Euclidean norm, and for a network by the root mean square of all entries, as texts are. A row of zeros stays one.
    """

    name: ClassVar[str] = "tfidf_columns"
    idf: Tensor

    def __init__(
        self, shape: tuple[int, ...], *, raw_features: int | None = None, dtype: torch.dtype = torch.float32
    ) -> None:
        super().__init__(shape, raw_features=raw_features, dtype=dtype)
        self.register_buffer("idf", torch.ones(shape[0]))

    def learn(self, kept: Vectors | SparseVectors, scaling: Scaling) -> None:
        rows = kept.csr(self.dtype)
        if rows.nnz and rows.data.min() < 0:
            hint = 'Scale them by "columns" or "rank_normal".'
            raise ManyLabelError(
                'scaling "tfidf"', "counts, or other numbers from 0 up", "negative ones", hint
            )
        carried = np.bincount(rows.indices[rows.data != 0], minlength=self.shape[0])
        self.idf.copy_(torch.from_numpy(np.log((1 + rows.shape[0]) / (1 + carried)) + 1))
        self.scale_by_one_number(SparseVectors(self._weighted(rows)))

    def matrix(self, X: Any, sparse: bool) -> Any:
        weighted = self._weighted(self.csr(self.read(X)))
        return weighted if sparse else weighted.toarray()

    def as_matrix(self, x: Tensor, sparse: bool) -> Tensor:
        return self(x) * self.scale.float()  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        """TF-IDF rows divided by one number, (B, n_features) -> the same, float32."""
        weighted = torch.where(x >= 1, 1 + x.clamp_min(1).log(), x).float() * self.idf
        norm = weighted.norm(dim=1, keepdim=True)
        unit = weighted / torch.where(norm > 0, norm, torch.ones_like(norm))
        return unit / self.scale.float()

    def _weighted(self, rows: Any) -> Any:
        """TF-IDF rows of length 1 of a CSR matrix, as one of float32."""
        from sklearn.preprocessing import normalize

        made = rows.astype(np.float32, copy=True)
        made.data = np.where(made.data >= 1, 1 + np.log(np.maximum(made.data, 1)), made.data)
        made.data *= self.idf.cpu().numpy()[made.indices]
        return normalize(made, copy=False) if made.shape[0] else made  # scikit-learn refuses no rows
