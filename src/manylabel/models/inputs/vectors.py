"""Feature vectors for an encoder, dense or sparse: standardised feature by feature, or scaled in another way."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, Self, TypeAlias

import numpy as np
import torch
from torch import Tensor

from manylabel.data.rows import SparseVectors, Vectors, as_features
from manylabel.data.rows.precision import is_wide
from manylabel.models.inputs.augment import View, ViewSettings, mask
from manylabel.models.inputs.base import Preprocessor
from manylabel.models.inputs.entries import EntryBatch

MOST_FEATURES = 10_000  # of texts, and of sparse rows that have more

Scaling: TypeAlias = Literal["auto", "columns", "one", "none", "rank_normal", "tfidf", "lsa"]
"""How features are scaled; "auto" is the usual way of their kind. See :func:`manylabel.models.fit_preprocessor`."""


class OfVectors(Preprocessor, ABC):
    """What all preprocessors share whose encoder eats vectors: rows are standardised once, then masked."""

    n_dims: ClassVar[int] = 1

    def prepared(self, x: Tensor) -> Tensor:
        return self(x)  # type: ignore[no-any-return]

    def finished(self, x: Tensor) -> Tensor:
        return x

    def augmentation(self, settings: ViewSettings) -> View | None:
        return (lambda x: masked(x, settings.mask)) if settings.mask else None


def masked(x: Tensor | EntryBatch, p: float) -> Any:
    """Zero each entry of rows with probability ``p``; the others stay as they are."""
    return x.masked(p) if isinstance(x, EntryBatch) else mask(x, p)


class OfFeatures(OfVectors, ABC):
    """Vectors of which each number is a feature of the rows, so that sparse rows may stay sparse."""

    def unscaled(self, X: Any) -> Self:
        """The same columns of the training rows ``X``, their values as they are; what float32 blurs is told."""
        as_features(X).warn_of_blurred()
        made = self.like(self.meta())
        made.load_state_dict(self.state_dict() | {"mean": made.mean, "scale": made.scale})
        return made

    @abstractmethod
    def csr(self, X: Any) -> Any:
        """Rows as a CSR matrix of the features that are kept, (n, n_features)."""

    def scale_by_one_number(self, kept: Vectors | SparseVectors) -> None:
        """Divide by the root mean square of all entries of the columns that are kept.

        Rare words scaled to the variance of frequent ones would drown them.
        """
        squares = kept.square_sum(self.dtype)
        self.scale.fill_((squares / (kept.shape[0] * kept.shape[1])) ** 0.5 or 1.0)


class VectorPreprocessor(OfFeatures):
    """Vectors, standardised feature by feature; a constant feature becomes 0.

    Where training rows are of a type that float32 may not hold (float64, large integers), mean and scale are float64
    and so is the subtraction: what is left of a large offset, such as a time in seconds since 1970, is narrowed only
    then. Sparse vectors of more than 10 000 features, of which those kept are not 0 in the most training rows, are
    divided by one number, the root mean square of all entries.

    Parameters
    ----------
    shape : (n_features,)
    raw_features : int, optional
        For sparse vectors of which ``n_features`` columns are kept.
    dtype : torch.float32 or torch.float64, default torch.float32

    Attributes
    ----------
    columns : (n_features,) int64 buffer, or None
        The columns that are kept, where not all are.
    """

    name: ClassVar[str] = "vectors"
    columns: Tensor | None

    def __init__(
        self,
        shape: tuple[int, ...],
        *,
        raw_features: int | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(shape, tuple(shape), dtype)
        self.raw_features = raw_features
        self.register_buffer("columns", None if raw_features is None else torch.arange(shape[0]))

    @classmethod
    def fit(cls, X: Vectors | SparseVectors, scaling: Scaling = "auto", most: int | None = None) -> Self:
        """Learn from training rows how to scale them, "columns", "one" or "none".

        Of sparse rows the ``most`` frequent columns are kept, by default 10 000. "auto" is "one" of sparse rows of more
        columns than that, or than 10 000, otherwise "columns".
        """
        most = MOST_FEATURES if most is None else most
        made = cls._of_columns(X, most)
        kept = made._kept(X)
        if scaling == "none" or made.columns is not None:  # no mean is taken out before numbers are narrowed
            kept.warn_of_blurred(made.columns)
        wide = isinstance(X, SparseVectors) and X.shape[1] > min(most, MOST_FEATURES)
        usual: Scaling = "one" if wide else "columns"
        made.learn(kept, usual if scaling == "auto" else scaling)
        return made

    @classmethod
    def _of_columns(cls, X: Vectors | SparseVectors, most: int) -> Self:
        """One that has learnt only which columns are kept."""
        dtype = torch.float64 if is_wide(X.dtype) else torch.float32
        if not isinstance(X, SparseVectors) or X.shape[1] <= most:
            return cls(X.shape[1:], dtype=dtype)
        made = cls((most,), raw_features=X.shape[1], dtype=dtype)
        assert made.columns is not None
        frequent = np.argsort(-X.column_counts(), kind="stable")[:most]
        made.columns.copy_(torch.from_numpy(np.sort(frequent)))
        return made

    def learn(self, kept: Vectors | SparseVectors, scaling: Scaling) -> None:
        """Learn the scaling from the columns that are kept of the training rows."""
        if scaling == "one":
            self.scale_by_one_number(kept)
        elif scaling == "columns":
            std, mean = kept.moments(self.dtype)
            least = 1e-8 if self.dtype == torch.float32 else mean.abs().mul(2.0**-49).clamp_min(1e-8)
            self.mean.copy_(mean)
            self.scale.copy_(torch.where(std > least, std, torch.ones_like(std)))

    @property
    def form(self) -> str:
        return f"shape {self.shape if self.raw_features is None else (self.raw_features,)}"

    def meta(self) -> dict[str, Any]:
        return super().meta() | {"raw_features": self.raw_features}

    @classmethod
    def like(cls, meta: dict[str, Any]) -> Self:
        dtype = torch.float64 if meta.get("dtype") == "float64" else torch.float32
        return cls(tuple(meta["shape"]), raw_features=meta["raw_features"], dtype=dtype)

    def dense(self, X: Any) -> Tensor:
        return self._kept(X).dense(self.dtype)

    def csr(self, X: Any) -> Any:
        return self._kept(X).csr(self.dtype)

    def matrix(self, X: Any, sparse: bool) -> Any:
        return self.csr(X) if sparse else self.standardised(self.read(X))

    def _kept(self, X: Any) -> Vectors | SparseVectors:
        rows: Any = as_features(X)
        self.check(rows)
        return rows if self.columns is None else rows.select(self.columns)  # type: ignore[no-any-return]
