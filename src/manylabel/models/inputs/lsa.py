"""Latent semantic analysis: sparse rows, texts and tables as their coordinates along the leading singular vectors."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from manylabel.data.rows import Features, TableRows, Texts, as_features
from manylabel.models.inputs.table import TablePreprocessor
from manylabel.models.inputs.tfidf import PLAIN, TextPreprocessor, WordSettings
from manylabel.models.inputs.tfidf_columns import TfidfColumnPreprocessor
from manylabel.models.inputs.vectors import OfFeatures, OfVectors, VectorPreprocessor

MOST_COMPONENTS = 512
_POWER_ITERATIONS = 2
_INNER: dict[str, type[OfFeatures]] = {
    kind.name: kind
    for kind in (TextPreprocessor, TablePreprocessor, TfidfColumnPreprocessor, VectorPreprocessor)
}


class LsaPreprocessor(OfVectors):
    """Rows of thousands of sparse features as a few hundred numbers.

    Parameters
    ----------
    inner : preprocessor of texts, tables or vectors
        Makes the features.
    n_components : int

    Attributes
    ----------
    components : (n_features, n_components) float32 buffer
        The leading right singular vectors of the features of the training rows.

    Notes
    -----
    Features are TF-IDF of texts and of rows without negative numbers, of a table those of its columns, and other
    vectors as they are. A row f becomes ``sqrt(k) f V / |f V|`` with the k = 512 leading singular vectors V (fewer
    where there are fewer rows or features): of length sqrt(k), so that the mean square of an entry is one. A row
    without a known word stays zero. After S. Deerwester et al., *Indexing by Latent Semantic Analysis*, JASIS 1990; V
    by the randomised method of N. Halko, P.-G. Martinsson and J. A. Tropp, SIAM Review 2011, always with the same
    draws.
    """

    name: ClassVar[str] = "lsa"
    components: Tensor

    def __init__(self, inner: OfFeatures, n_components: int) -> None:
        super().__init__((n_components,), (n_components,))
        self.inner = inner
        self.register_buffer("components", torch.zeros(inner.shape[0], n_components))
        self.scale.fill_(n_components**-0.5)

    @classmethod
    def fit(cls, X: Any) -> Self:
        """Learn features and singular vectors from training rows.

        Raises
        ------
        ManyLabelError
            As the preprocessor of such rows raises it.
        """
        rows = as_features(X)
        return cls.of(feature_preprocessor(rows), rows)

    @classmethod
    def of(cls, inner: OfFeatures, X: Any) -> Self:
        """Learn the singular vectors of features that a preprocessor makes of training rows."""
        from sklearn.utils.extmath import randomized_svd

        F = inner.matrix(X, True)  # (n, n_features)
        made = cls(inner, min(*F.shape, MOST_COMPONENTS))
        V = randomized_svd(F, made.shape[0], n_iter=_POWER_ITERATIONS, random_state=0)[2]
        made.components.copy_(torch.from_numpy(np.ascontiguousarray(V.T)))
        return made

    @property
    def form(self) -> str:
        return self.inner.form

    @property
    def expected(self) -> str:
        return self.inner.expected

    def meta(self) -> dict[str, Any]:
        return super().meta() | {"inner": self.inner.meta()}

    @classmethod
    def like(cls, meta: dict[str, Any]) -> Self:
        inner = meta["inner"]
        return cls(_INNER[inner["type"]].like(inner), meta["shape"][0])

    def dense(self, X: Any) -> Tensor:
        return torch.from_numpy(self.inner.matrix(X, True) @ self.components.cpu().numpy())

    def matrix(self, X: Any, sparse: bool) -> Any:
        return self.standardised(self.read(X))

    def as_matrix(self, x: Tensor, sparse: bool) -> Tensor:
        return self(x)  # type: ignore[no-any-return]

    def projected(self, x: Tensor) -> Tensor:
        """Dense rows of ``inner``, (B, n_features), as :meth:`dense` makes them, (B, n_components)."""
        return self.inner.as_matrix(x, True) @ self.components

    def forward(self, x: Tensor) -> Tensor:
        """Rows of length sqrt(n_components), (B, n_components) -> the same."""
        norm = x.norm(dim=1, keepdim=True)
        return x / torch.where(norm > 0, norm, torch.ones_like(norm)) / self.scale


def feature_preprocessor(
    X: Features, words: WordSettings = PLAIN, most_features: int | None = None
) -> OfFeatures:
    """Learn from training rows the features whose singular vectors :class:`LsaPreprocessor` takes."""
    if isinstance(X, Texts):
        return TextPreprocessor.fit(X, words)
    if isinstance(X, TableRows):
        return TablePreprocessor.fit(X)
    vectors: Any = X
    values = vectors.values.data if X.is_sparse else vectors.values
    if (values < 0).any():
        return VectorPreprocessor.fit(vectors, "one", most_features)
    return TfidfColumnPreprocessor.fit(vectors, "tfidf", most_features)
