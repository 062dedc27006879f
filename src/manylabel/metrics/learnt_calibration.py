"""Calibration: probabilities from scores, by maps that held-out rows choose for each label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from manylabel.errors import ManyLabelError
from manylabel.labels import Labels
from manylabel.metrics.calibration_maps import (
    KINDS,
    CalibrationMap,
    IsotonicMap,
    Kind,
    LogisticMap,
    fit_map,
    log_loss,
)
from manylabel.metrics.held_out import Column, HeldOut
from manylabel.metrics.inputs import Array, Scores, as_scores, check_probabilities

OWN_FROM: dict[Kind, int] = {"identity": 20, "temperature": 20, "platt": 20, "isotonic": 50}
"""Known positives, and known negatives, from which a label may have a map of its own: more numbers need more rows."""


class LabelCalibration(NamedTuple):
    """How the scores of one label become probabilities.

    Attributes
    ----------
    kind : "identity", "temperature", "platt" or "isotonic"
    pooled : bool
        Whether the map was fitted on the entries of all labels.
    positives : int
        Held-out rows known to carry the label.
    """

    kind: Kind
    pooled: bool
    positives: int


@dataclass(frozen=True, eq=False)
class Calibration:
    """Probabilities from scores, rising in the score of each label; build it with :meth:`fit`.

    Attributes
    ----------
    maps : tuple of CalibrationMap
        The first is that of the pooled labels.
    map_of : (C,) int64 array
        The map of each label.
    kinds : tuple of Kind
        Of each map.
    positives : (C,) int64 array

    Notes
    -----
    The candidates of a label are the identity, a temperature ``T``, Platt's line in log-odds and an isotonic step
    function, fitted on its own rows, and the best of the same four fitted on the entries of all labels. The one with
    the lowest log-loss on folds that it was not fitted on is taken, and fitted on all rows. A label with fewer than 20
    known positives or negatives takes the pooled map, and one with fewer than 50 has no isotonic one of its own: on
    held-out training rows of eight sets this gave the lowest log-loss.
    """

    maps: tuple[CalibrationMap, ...]
    map_of: Array
    kinds: tuple[Kind, ...]
    positives: Array

    @staticmethod
    def fit(scores: Scores, Y: Labels, folds: Any, *, known: Any = None) -> Calibration:
        """Choose and fit the maps.

        Parameters
        ----------
        scores : (n, C) array or tensor in [0, 1]
            Each row scored by a model that was not trained on it.
        Y : (n, C) labels, dense or sparse
        folds : (n,) integers
            The fold of each row.
        known : (n, C) bool array, default None
            False where it is unknown whether the row carries the label; such entries are left out.

        Raises
        ------
        ManyLabelError
            If scores leave [0, 1] or hold NaN, or labels, folds or the mask do not fit them.
        """
        held_out = HeldOut.of(scores, Y, folds, "Calibration.fit", known)
        columns = [held_out.column(label) for label in range(held_out.n_labels)]
        pooled = _Pooled.of(columns, held_out.n_folds)
        kinds = [_own_kind(column, pooled) for column in columns]
        own = {c: kind for c, kind in enumerate(kinds) if kind is not None}
        map_of = np.zeros(len(columns), dtype=np.int64)
        map_of[list(own)] = np.arange(1, 1 + len(own))
        fitted = [fit_map(kind, columns[c]) for c, kind in own.items()]
        positives = np.array([column.true.sum() for column in columns], dtype=np.int64)
        return Calibration((pooled.whole, *fitted), map_of, (pooled.kind, *own.values()), positives)

    def __call__(self, scores: Scores) -> Array:
        """Probabilities, (n, C) scores in [0, 1] -> (n, C) float32."""
        who = "Calibration"
        S = as_scores(scores, who)
        check_probabilities(S, who)
        if S.shape[1] != len(self.map_of):
            raise ManyLabelError(who, f"scores of {len(self.map_of)} labels", f"scores of shape {S.shape}")
        P = np.empty(S.shape, dtype=np.float32)
        for number, of in enumerate(self.maps):
            labels = self.map_of == number
            P[:, labels] = of(S[:, labels])
        return P

    def report(self) -> list[LabelCalibration]:
        """The map of each label and what it rests on."""
        return [
            LabelCalibration(self.kinds[number], number == 0, n)
            for number, n in zip(self.map_of.tolist(), self.positives.tolist(), strict=True)
        ]

    def state(self) -> tuple[dict[str, Any], dict[str, Array]]:
        """Plain JSON and arrays, from which :meth:`from_state` makes the same calibration."""
        lines = [(of.slope, of.intercept) if isinstance(of, LogisticMap) else (0.0, 0.0) for of in self.maps]
        knots = [of.knots if isinstance(of, IsotonicMap) else np.empty(0) for of in self.maps]
        values = [of.values if isinstance(of, IsotonicMap) else np.empty(0) for of in self.maps]
        arrays = {"map_of": self.map_of, "positives": self.positives, "lines": np.array(lines)}
        arrays |= {"knots": np.concatenate(knots), "values": np.concatenate(values)}
        return {"kinds": list(self.kinds), "n_knots": [len(of) for of in knots]}, arrays

    @classmethod
    def from_state(cls, plain: Mapping[str, Any], arrays: Mapping[str, Array]) -> Calibration:
        """The calibration that :meth:`state` described."""
        ends = np.cumsum(plain["n_knots"])[:-1]
        knots, values = (np.split(arrays[part], ends) for part in ("knots", "values"))
        maps = [
            IsotonicMap(knots[i], values[i])
            if kind == "isotonic"
            else LogisticMap(*arrays["lines"][i].tolist())
            for i, kind in enumerate(plain["kinds"])
        ]
        return cls(tuple(maps), arrays["map_of"], tuple(plain["kinds"]), arrays["positives"])


class _Pooled(NamedTuple):
    """The map of all labels together: its kind, fitted on all rows, and without each fold."""

    kind: Kind
    whole: CalibrationMap
    without: list[CalibrationMap]

    @staticmethod
    def of(columns: list[Column], n_folds: int) -> _Pooled:
        column = Column(*(np.concatenate(parts) for parts in zip(*columns, strict=True)))
        maps = {kind: _without_each_fold(kind, column, n_folds) for kind in KINDS}
        kind = min(KINDS, key=lambda kind: _held_out_loss(maps[kind], column))
        return _Pooled(kind, _fitted(kind, column), maps[kind])


def _own_kind(column: Column, pooled: _Pooled) -> Kind | None:
    """The kind of the label's own map, None where the pooled one is no worse or the label is rare."""
    positives = int(column.true.sum())
    support, n_folds = min(positives, len(column.true) - positives), len(pooled.without)
    losses = {
        kind: _held_out_loss(_without_each_fold(kind, column, n_folds), column)
        for kind in KINDS
        if support >= OWN_FROM[kind]
    }
    if not losses:
        return None
    best = min(losses, key=losses.__getitem__)
    return best if losses[best] < _held_out_loss(pooled.without, column) else None


def _without_each_fold(kind: Kind, column: Column, n_folds: int) -> list[CalibrationMap]:
    return [_fitted(kind, column.without(fold)) for fold in range(n_folds)]


def _fitted(kind: Kind, column: Column) -> CalibrationMap:
    """The map, or the identity where positives or negatives are missing."""
    return fit_map("identity" if column.one_sided else kind, column)


def _held_out_loss(maps: list[CalibrationMap], column: Column) -> float:
    return sum(log_loss(of, column.within(fold)) for fold, of in enumerate(maps))
