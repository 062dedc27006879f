"""Preprocessors by the kind of the features, and by the name that a saved model gives."""

from __future__ import annotations

from typing import Any

from manylabel.data.rows import (
    Features,
    Images,
    MappedImages,
    SparseParts,
    SparseVectors,
    TableRows,
    Texts,
    VectorParts,
    Vectors,
    as_features,
)
from manylabel.errors import ManyLabelError
from manylabel.models.inputs.base import Preprocessor
from manylabel.models.inputs.images import ImagePreprocessor, Standard
from manylabel.models.inputs.lsa import LsaPreprocessor, feature_preprocessor
from manylabel.models.inputs.rank_normal import RankNormalPreprocessor
from manylabel.models.inputs.table import TablePreprocessor
from manylabel.models.inputs.tfidf import PLAIN, TextPreprocessor, WordSettings
from manylabel.models.inputs.tfidf_columns import TfidfColumnPreprocessor
from manylabel.models.inputs.tokens import TokenPreprocessor
from manylabel.models.inputs.vectors import Scaling, VectorPreprocessor

MOST_OF_TABLE = 2000
"""Features of a table up to which "lsa" leaves them as they are."""
_OF_FEATURES: dict[type[Features], type[Preprocessor]] = {
    Vectors: VectorPreprocessor,
    VectorParts: VectorPreprocessor,
    SparseVectors: VectorPreprocessor,
    SparseParts: VectorPreprocessor,
    Texts: TextPreprocessor,
    Images: ImagePreprocessor,
    MappedImages: ImagePreprocessor,
    TableRows: TablePreprocessor,
}
_OF_SCALING: dict[Scaling, type[VectorPreprocessor]] = {
    "rank_normal": RankNormalPreprocessor,
    "tfidf": TfidfColumnPreprocessor,
}
_EVERY: tuple[type[Preprocessor], ...] = (
    *_OF_FEATURES.values(),
    *_OF_SCALING.values(),
    LsaPreprocessor,
    TokenPreprocessor,
)
_BY_NAME = {kind.name: kind for kind in _EVERY}


def preprocessor_type(X: Features) -> type[Preprocessor]:
    """The preprocessor of features of this kind."""
    return _OF_FEATURES[type(X)]


def fit_preprocessor(
    X: Any,
    scaling: Scaling = "auto",
    pixels: int | None = None,
    standard: Standard | None = None,
    words: WordSettings = PLAIN,
    most_features: int | None = None,
) -> Preprocessor:
    """Learn from training rows how to make them what an encoder eats.

    Parameters
    ----------
    X : features of at least one row
        Whatever :class:`manylabel.data.Rows` takes.
    scaling : str, default "auto"
        Of vectors, dense or sparse: "columns" takes mean and standard deviation out of each column; "one" divides by
        the root mean square of all entries; "none" leaves them as they are; "rank_normal" makes each column normal
        (:class:`RankNormalPreprocessor`); "tfidf" takes them for counts (:class:`TfidfColumnPreprocessor`). "auto" is
        "columns", or "one" for sparse vectors of more than 10 000 features. "lsa" makes a few hundred numbers of
        vectors, texts and rows of tables of more than 2 000 features (:class:`LsaPreprocessor`). Texts and tables take
        "auto" and "lsa", pictures "auto" alone.
    pixels : int or None, default None
        Of pictures: the side to which they are brought; None takes that of ``standard``, and else leaves them as they
        are.
    standard : Standard or None, default None
        Of pictures: mean and standard deviation that the weights of an encoder were trained with, in place of those of
        ``X``.
    words : WordSettings
        Of texts: what counts as a word.
    most_features : int or None, default None
        Of sparse vectors: so many columns are kept, those that the most rows have; None keeps 10 000.

    Raises
    ------
    ManyLabelError
        If there are no rows, they cannot be used, or not be scaled so.
    """
    rows = as_features(X)
    if len(rows) == 0:
        raise ManyLabelError("X", "at least one training row", "none")
    kind = preprocessor_type(rows)
    if isinstance(rows, Images) and scaling == "auto":
        return ImagePreprocessor.fit(rows, pixels, standard)
    if pixels is not None:
        raise ManyLabelError(f"`pixels` of {rows.kind}", "pictures", rows.form, "Leave it out.")
    if scaling == "auto" and isinstance(rows, Texts):
        return TextPreprocessor.fit(rows, words)
    if scaling == "auto" and not isinstance(rows, Vectors | SparseVectors):
        return kind.fit(rows)
    check_scaling(f"`scaling` of {rows.kind}", rows.kind, scaling)
    if scaling == "lsa":
        return _lsa(rows, words, most_features)
    assert isinstance(rows, Vectors | SparseVectors)
    return _OF_SCALING.get(scaling, VectorPreprocessor).fit(rows, scaling, most_features)


def _lsa(rows: Features, words: WordSettings, most_features: int | None) -> Preprocessor:
    """Singular vectors of the features of rows, or these themselves where a table has few."""
    inner = feature_preprocessor(rows, words, most_features)
    few = isinstance(rows, TableRows) and inner.shape[0] <= MOST_OF_TABLE
    return inner if few else LsaPreprocessor.of(inner, rows)


def check_scaling(who: str, kind: str, scaling: Scaling) -> None:
    """Refuse a scaling that rows of a kind cannot have.

    Raises
    ------
    ManyLabelError
        Names those that they can.
    """
    if scaling == "auto" or kind == Vectors.kind or (scaling == "lsa" and kind != Images.kind):
        return
    expected = "'auto'" if kind == Images.kind else "'auto' or 'lsa'"
    hint = "Rows of this kind are scaled in their own way."
    raise ManyLabelError(who, expected, repr(scaling), hint)


def preprocessor_like(meta: dict[str, Any]) -> Preprocessor:
    """A preprocessor of the form that :meth:`Preprocessor.meta` tells, not fitted."""
    return _BY_NAME[meta["type"]].like(meta)
