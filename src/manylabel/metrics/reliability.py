"""Reliability: how often labels of a given score are true, bin by bin."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import torch

from manylabel.errors import ManyLabelError
from manylabel.labels import Labels
from manylabel.metrics.held_out import HeldOut
from manylabel.metrics.scores import Array, Scores, blocks

MOST_BINS = 10_000


@dataclass(frozen=True, eq=False)
class Reliability:
    """Scores and truths in bins of equal width from 0 to 1; build it with :func:`reliability`.

    Attributes
    ----------
    edges : (bins + 1,) float64 array
    counts : (m, bins) int64 array
        Known entries of m labels whose score lies in each bin; 1 belongs to the last.
    score : (m, bins) float64 array
        Mean score; NaN where a bin is empty.
    share : (m, bins) float64 array
        Share of true entries; NaN where a bin is empty.
    """

    edges: Array
    counts: Array
    score: Array
    share: Array

    def pooled(self) -> Reliability:
        """All labels as one, m = 1."""
        counts = self.counts.sum(0, keepdims=True)
        with np.errstate(invalid="ignore"):
            score, share = (
                np.nansum(part * self.counts, axis=0, keepdims=True) / counts
                for part in (self.score, self.share)
            )
        return Reliability(self.edges, counts, score, share)

    def error(self) -> Array:
        """Expected calibration error of each label, (m,) float64; NaN where no entry is known."""
        gaps = self.counts * np.abs(self.share - self.score)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.nansum(gaps, axis=1) / self.counts.sum(1))


def reliability(scores: Scores, Y: Labels, bins: int = 15, *, known: Any = None) -> Reliability:
    """Mean score and share of true entries of each label in bins of the score.

    Parameters
    ----------
    scores : (n, C) array or tensor in [0, 1]
    Y : (n, C) labels, dense or sparse
    bins : int, default 15
    known : (n, C) bool array, default None
        False where it is unknown whether the row carries the label; such entries are left out.

    Raises
    ------
    ManyLabelError
        If scores leave [0, 1] or hold NaN, labels or the mask do not fit them, or ``bins`` is no integer from 1 to
        10 000.
    """
    who = "reliability"
    held_out = HeldOut.undivided(scores, Y, who, known)
    S, mask = held_out.scores, held_out.known
    if not isinstance(bins, Integral) or isinstance(bins, bool) or not 1 <= bins <= MOST_BINS:
        raise ManyLabelError(who, f"`bins` as an integer from 1 to {MOST_BINS}", f"{bins!r:.60}")
    n, n_labels = S.shape
    sums = np.zeros((3, n_labels * bins))  # entries, scores, truths of each label and bin
    for part in blocks(n, n_labels):
        s = S[part].astype(np.float64)
        cell = np.clip((s * bins).astype(np.int64), 0, bins - 1) + bins * np.arange(n_labels)  # (b, C)
        kept = np.ones(s.shape, dtype=bool) if mask is None else mask[part]
        true = held_out.labels.take(part).dense(torch.bool).cpu().numpy()
        for total, weights in zip(sums, (kept, s, true), strict=True):
            total += np.bincount(cell[kept], weights[kept], minlength=n_labels * bins)
    counts, total, hits = sums.reshape(3, n_labels, bins)
    with np.errstate(invalid="ignore"):
        return Reliability(
            np.linspace(0, 1, bins + 1), counts.astype(np.int64), total / counts, hits / counts
        )
