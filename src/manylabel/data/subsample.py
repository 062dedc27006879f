"""Subsampling of the training rows: what a method can do with little data."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np

from manylabel.data.dataset import DataSet
from manylabel.data.splits import stratified
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix


def take_fraction(dataset: DataSet, fraction: float, seed: int) -> DataSet:
    """The data set with a label-stratified share of its training rows; test rows stay.

    Parameters
    ----------
    dataset : DataSet
    fraction : float
        In (0, 1]. Published validation rows are cut to the same share; elsewhere validation rows are drawn later, out
        of the share.
    seed : int
        With one seed, the rows of a smaller fraction are among those of a larger one.

    Raises
    ------
    ManyLabelError
        If the fraction is not in (0, 1].
    """
    if not 0 < fraction <= 1:
        raise ManyLabelError("`fraction`", "a share of the rows above 0 and up to 1", f"{fraction:g}")
    if fraction == 1:
        return dataset
    held_out = np.zeros(len(dataset.train), dtype=bool)
    if dataset.validation_rows is not None:
        held_out[dataset.validation_rows] = True
    parts = [np.flatnonzero(part) for part in (~held_out, held_out) if part.any()]
    kept = np.sort(np.concatenate([_share(dataset.train.Y, part, fraction, seed) for part in parts]))
    validation = np.flatnonzero(held_out[kept]) if held_out.any() else None
    seen = hashlib.sha256(f"{dataset.digest} {fraction!r} {seed}".encode()).hexdigest()
    return dataclasses.replace(
        dataset, train=dataset.train.take(kept), validation_rows=validation, digest=seen
    )


def _share(Y: LabelMatrix, rows: Any, fraction: float, seed: int) -> Any:
    """So many of these rows, at least one."""
    n = max(1, round(fraction * len(rows)))
    return rows[_first(Y.take(rows), n, np.random.default_rng(seed))]


def _first(Y: LabelMatrix, n: int, rng: np.random.Generator) -> Any:
    """The first n rows of an order in which every beginning is stratified.

    The rows are parted into two stratified halves, of which one goes before the other; each half is ordered in the
    same way. Only the halves that reach into the first n rows are parted further.
    """
    rows = np.arange(len(Y))
    chosen: list[Any] = []
    while n > 0:
        half = stratified(Y.take(rows), 0.5, int(rng.integers(2**31))) if len(rows) > 1 else rows < 0
        if half.all() or not half.any():
            chosen.append(rng.permutation(rows)[:n])
            break
        if (
            rng.random() < 0.5
        ):  # the half that is not drawn keeps every label's last row: neither always goes first
            half = ~half
        if n <= half.sum():
            rows = rows[half]
        else:
            chosen.append(rows[half])
            n -= int(half.sum())
            rows = rows[~half]
    return np.concatenate(chosen)
