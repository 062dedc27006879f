"""Calibration: probabilities from scores, by maps that held-out rows choose for each label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from manylabel.errors import ManyLabelError
from manylabel.labels import Labels
from manylabel.metrics.calibration_maps import (
    KINDS,
    CalibrationMap,
    FittedKind,
    IsotonicMap,
    Kind,
    LogisticMap,
    fit_map,
    log_loss,
)
from manylabel.metrics.held_out import Column, HeldOut
from manylabel.metrics.scores import Array, Scores, as_scores, check_probabilities
from manylabel.metrics.shrunk_maps import Prior, shrunk_line

OWN_FROM: dict[FittedKind, int] = {"identity": 20, "temperature": 20, "platt": 20, "isotonic": 50}
"""Known positives, and known negatives, from which a label may have a map of its own: more numbers need more rows."""


class LabelCalibration(NamedTuple):
    """How the scores of one label become probabilities.

    Attributes
    ----------
    kind : "identity", "temperature", "platt", "isotonic" or "shrunk"
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
    the lowest log-loss on folds that it was not fitted on is taken, and fitted on all rows. A label with fewer than 50
    known positives or negatives has no isotonic one of its own, and one with fewer than 20 none of the four. Where five
    labels have 20 and more, a fifth candidate is Platt's line, drawn towards that of all labels as far as lines are
    alike (:mod:`manylabel.metrics.shrunk_maps`). Labels with fewer than 20 take it or the pooled map all alike, by the
    sum of their log-losses: one of them tells too little.
    """

    maps: tuple[CalibrationMap, ...]
    map_of: Array
    kinds: tuple[Kind, ...]
    positives: Array

    @staticmethod
    def fit(scores: Scores, Y: Labels, folds: Any) -> Calibration:
        """Choose and fit the maps.

        Parameters
        ----------
        scores : (n, C) array or tensor in [0, 1]
            Each row scored by a model that was not trained on it.
        Y : (n, C) labels, dense or sparse
        folds : (n,) integers
            The fold of each row.

        Raises
        ------
        ManyLabelError
            If scores leave [0, 1] or hold NaN, or labels or folds do not fit them.
        """
        held_out = HeldOut.of(scores, Y, folds, "Calibration.fit")
        columns = [held_out.column(label) for label in range(held_out.n_labels)]
        pooled = _Pooled.of(columns, held_out.n_folds)
        priors = _Priors.of(columns, held_out.n_folds)
        kinds = _own_kinds(columns, pooled, priors)
        own = {c: kind for c, kind in enumerate(kinds) if kind is not None}
        map_of = np.zeros(len(columns), dtype=np.int64)
        map_of[list(own)] = np.arange(1, 1 + len(own))
        fitted = [_map_of(kind, columns[c], priors) for c, kind in own.items()]
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


class _Priors(NamedTuple):
    """How lines of labels are spread, by all rows, and without each fold."""

    whole: Prior
    without: list[Prior]

    @staticmethod
    def of(columns: list[Column], n_folds: int) -> _Priors | None:
        """None where too few labels have lines of their own."""
        without = [Prior.of([column.without(fold) for column in columns]) for fold in range(n_folds)]
        whole = Prior.of(columns)
        known = [prior for prior in without if prior is not None]
        return _Priors(whole, known) if whole is not None and len(known) == n_folds else None


class _Pooled(NamedTuple):
    """The map of all labels together: its kind, fitted on all rows, and without each fold."""

    kind: FittedKind
    whole: CalibrationMap
    without: list[CalibrationMap]

    @staticmethod
    def of(columns: list[Column], n_folds: int) -> _Pooled:
        column = Column.concat(columns)
        maps = {kind: _without_each_fold(kind, column, n_folds) for kind in KINDS}
        kind = min(KINDS, key=lambda kind: _held_out_loss(maps[kind], column))
        return _Pooled(kind, _fitted(kind, column), maps[kind])


def _own_kinds(columns: list[Column], pooled: _Pooled, priors: _Priors | None) -> list[Kind | None]:
    """The kind of each label's own map, None where the pooled one is no worse."""
    losses = [_losses(column, pooled, priors) for column in columns]
    rare = [c for c, of in enumerate(losses) if of.keys() <= {None, "shrunk"} and "shrunk" in of]
    alike: tuple[Kind | None, ...] = (None, "shrunk")
    sums = {kind: sum((losses[c][kind] for c in rare), 0.0) for kind in alike}
    for c in rare:
        losses[c] = sums
    return [min(of, key=of.__getitem__) for of in losses]


def _losses(column: Column, pooled: _Pooled, priors: _Priors | None) -> dict[Kind | None, float]:
    """Log-loss on folds that taught nothing, of the pooled map (None) and of the label's own ones."""
    positives = int(column.true.sum())
    support, n_folds = min(positives, len(column.true) - positives), len(pooled.without)
    losses: dict[Kind | None, float] = {None: _held_out_loss(pooled.without, column)}
    if priors is not None:
        lines = [shrunk_line(column.without(fold), prior) for fold, prior in enumerate(priors.without)]
        losses["shrunk"] = _held_out_loss(lines, column)
    for kind in KINDS:
        if support >= OWN_FROM[kind]:
            losses[kind] = _held_out_loss(_without_each_fold(kind, column, n_folds), column)
    return losses


def _map_of(kind: Kind, column: Column, priors: _Priors | None) -> CalibrationMap:
    if kind != "shrunk":
        return fit_map(kind, column)
    assert priors is not None
    return shrunk_line(column, priors.whole)


def _without_each_fold(kind: FittedKind, column: Column, n_folds: int) -> list[CalibrationMap]:
    return [_fitted(kind, column.without(fold)) for fold in range(n_folds)]


def _fitted(kind: FittedKind, column: Column) -> CalibrationMap:
    """The map, or the identity where positives or negatives are missing."""
    return fit_map("identity" if column.one_sided else kind, column)


def _held_out_loss(maps: Sequence[CalibrationMap], column: Column) -> float:
    return sum(log_loss(of, column.within(fold)) for fold, of in enumerate(maps))
