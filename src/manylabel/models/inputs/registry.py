"""Preprocessors by the kind of the features, and by the name that a saved model gives."""

from __future__ import annotations

from typing import Any

from manylabel.data.rows import Features, Images, SparseVectors, TableRows, Texts, Vectors, as_features
from manylabel.errors import ManyLabelError
from manylabel.models.inputs.base import Preprocessor
from manylabel.models.inputs.images import ImagePreprocessor
from manylabel.models.inputs.table import TablePreprocessor
from manylabel.models.inputs.tfidf import TextPreprocessor
from manylabel.models.inputs.vectors import VectorPreprocessor

_OF_FEATURES: dict[type[Features], type[Preprocessor]] = {
    Vectors: VectorPreprocessor,
    SparseVectors: VectorPreprocessor,
    Texts: TextPreprocessor,
    Images: ImagePreprocessor,
    TableRows: TablePreprocessor,
}
_BY_NAME = {kind.name: kind for kind in _OF_FEATURES.values()}


def preprocessor_type(X: Features) -> type[Preprocessor]:
    """The preprocessor of features of this kind."""
    return _OF_FEATURES[type(X)]


def fit_preprocessor(X: Any) -> Preprocessor:
    """Learn from training rows how to make them what an encoder eats.

    Parameters
    ----------
    X : features of at least one row
        Whatever :class:`manylabel.data.Rows` takes.

    Raises
    ------
    ManyLabelError
        If there are no rows, or they cannot be used.
    """
    rows = as_features(X)
    if len(rows) == 0:
        raise ManyLabelError("X", "at least one training row", "none")
    return preprocessor_type(rows).fit(rows)


def preprocessor_like(meta: dict[str, Any]) -> Preprocessor:
    """A preprocessor of the form that :meth:`Preprocessor.meta` tells, not fitted."""
    return _BY_NAME[meta["type"]].like(meta)
