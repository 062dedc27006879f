"""Neighbour votes: the labels of the nearest training rows by cosine, near ones counting more."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field
from torch import nn

from manylabel.data import Rows
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix
from manylabel.methods.base import Order, Trainer
from manylabel.methods.knn_interpolation import beside_neighbours
from manylabel.methods.part import Scorer
from manylabel.methods.recipe import AnySettings, NeighbourSettings
from manylabel.methods.sklearn_baseline import Array, SklearnBaselineScorer
from manylabel.models import fit_preprocessor

_OF_VOTES = {"among", "k", "temperature", "most_rows"}


class NeighbourVotesSettings(AnySettings):
    """How many neighbours vote, and with what weight.

    Attributes
    ----------
    among : "features" or "centroids", default "features"
        Whether the nearest training rows vote, or what the rows of each label sum up to; ``k`` and ``temperature`` are
        of the former.
    k : int, default 15
    temperature : float, default 0.1
        Neighbours weigh ``softmax(cosine / temperature)``.
    most_rows : int, default 200_000
        Training rows that are kept; of more, so many are drawn, stratified by label. Centroids sum up all rows.
    """

    among: Literal["features", "centroids"] = "features"
    k: int = NeighbourSettings.model_fields["k"].default
    temperature: float = NeighbourSettings.model_fields["temperature"].default
    most_rows: int = Field(NeighbourSettings.model_fields["most_rows"].default, ge=1)


class NeighbourVotesMethod(Trainer):
    """Keep the training rows; the nearest of them among the features vote, or the centroids of their labels.

    A label that none of the neighbours of a row is known to carry or not gets its share of the training rows.
    Validation rows are not looked at, weights of rows only where centroids vote.

    Parameters
    ----------
    settings : NeighbourVotesSettings
    encoder : None
        There is no place for one.
    """

    settings: NeighbourVotesSettings

    def __init__(self, settings: NeighbourVotesSettings, encoder: nn.Module | None = None) -> None:
        if encoder is not None:
            raise ManyLabelError(f"method {settings.name}", "features as they are", "an encoder")
        super().__init__(settings)

    def trained(self, train: Rows, validation: Rows, order: Order) -> Scorer:
        inputs = fit_preprocessor(train.X)
        shares = SklearnBaselineScorer(inputs, shares_of(train.Y), [], False, train.X.is_sparse)
        votes = NeighbourSettings(weight=1.0, **self.settings.model_dump(include=_OF_VOTES))
        return beside_neighbours(shares, train, votes)


def shares_of(Y: LabelMatrix) -> Array:
    """The share of the rows on which each label is known that carry it, (n_labels,) float32."""
    known = len(Y) - Y.unknown.label_counts().cpu().numpy() if Y.n_unknown else np.full(Y.n_labels, len(Y))
    return np.asarray(Y.label_counts().cpu().numpy() / np.maximum(known, 1), dtype=np.float32)
