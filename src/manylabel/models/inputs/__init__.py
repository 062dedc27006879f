"""Preprocessors: from features of one kind to what an encoder eats, fitted on training rows."""

from manylabel.models.inputs.augment import View, ViewSettings
from manylabel.models.inputs.base import Preprocessor
from manylabel.models.inputs.entries import EntryBatch, by_columns
from manylabel.models.inputs.images import ImagePreprocessor, Standard
from manylabel.models.inputs.lsa import LsaPreprocessor
from manylabel.models.inputs.rank_normal import RankNormalPreprocessor
from manylabel.models.inputs.registry import (
    check_scaling,
    fit_preprocessor,
    preprocessor_like,
    preprocessor_type,
)
from manylabel.models.inputs.table import TablePreprocessor
from manylabel.models.inputs.tfidf import TextPreprocessor, WordSettings
from manylabel.models.inputs.tfidf_columns import TfidfColumnPreprocessor
from manylabel.models.inputs.tokens import TokenPreprocessor
from manylabel.models.inputs.vectors import Scaling, VectorPreprocessor

__all__ = [
    "EntryBatch",
    "ImagePreprocessor",
    "LsaPreprocessor",
    "Preprocessor",
    "RankNormalPreprocessor",
    "Scaling",
    "Standard",
    "TablePreprocessor",
    "TextPreprocessor",
    "TfidfColumnPreprocessor",
    "TokenPreprocessor",
    "VectorPreprocessor",
    "View",
    "ViewSettings",
    "WordSettings",
    "by_columns",
    "check_scaling",
    "fit_preprocessor",
    "preprocessor_like",
    "preprocessor_type",
]
