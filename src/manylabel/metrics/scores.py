"""Scores: arrays, scores made a block of rows at a time, and the highest scores of each row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from numbers import Integral
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from manylabel.arrays import as_array
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix

Array: TypeAlias = "np.ndarray[Any, Any]"

ENTRIES_AT_ONCE = 1 << 20
KEPT = 100  # scores of each row that are kept of very many
RANKED_AT_ONCE = 1 << 24  # scores of which the highest are picked; more rows share what reading a model costs
WHOLE_UP_TO = 1 << 28  # bytes of scores that a program holds at once; more are made by the block
ROUNDING = 1e-6


def as_scores(scores: Any, who: str) -> Array:
    """Scores as a floating (n, C) array of the precision they came in (bfloat16 becomes float32)."""
    S = as_matrix(scores, who)
    return S if S.dtype.kind == "f" else S.astype(np.float64)


def as_matrix(scores: Any, who: str) -> Array:
    """Scores as an (n, C) array of their own type, without NaN.

    Raises
    ------
    ManyLabelError
        If they are not two-dimensional, have no row or no label, or hold NaN.
    """
    S = as_array(scores, who, "numeric scores")
    if S.ndim != 2:
        expected = "numeric scores of shape (n_rows, n_labels)"
        raise ManyLabelError(who, expected, f"{S.dtype} of shape {S.shape}", "Pass one row per sample.")
    if 0 in S.shape:
        raise ManyLabelError(
            who, "at least one row and one label", f"scores of shape {S.shape}", "Nothing can be measured."
        )
    if np.isnan(S.min()):  # NaN comes through a minimum, which makes no array
        row, label = np.argwhere(np.isnan(S))[0]
        raise ManyLabelError(
            who,
            "scores without NaN",
            f"NaN, first at row {row}, label {label}",
            "A model that gives NaN has diverged: lower its learning rate or check its input.",
        )
    return S


def check_probabilities(S: Made | TopScores, who: str) -> None:
    """Refuse scores outside [0, 1], for which a threshold of 0.1 to 0.9 has no meaning; blocks do so themselves."""
    if isinstance(S, StreamedScores):
        return
    values = S.values if isinstance(S, TopScores) else S
    low, high = float(values.min()), float(values.max())
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise ManyLabelError(
            who,
            "scores in [0, 1]",
            f"values from {low:g} to {high:g}",
            "Pass logits through a sigmoid first.",
        )


class StreamedScores:
    """Scores in [0, 1] that are made a block of rows at a time, anew whenever they are read.

    Every metric takes them and holds a block, not all of them. The average precision reads them twice.

    Parameters
    ----------
    score : callable (slice of rows) -> (b, C) array or tensor
        The same scores at every call.
    shape : (n, C)
    dtype : NumPy type, default float32

    Examples
    --------
    >>> from manylabel import metrics
    >>> S = np.random.default_rng(0).random((6, 3), dtype=np.float32)
    >>> metrics.precision_at_k(metrics.StreamedScores(lambda rows: S[rows], S.shape), S > 0.5) <= 1
    True
    """

    def __init__(
        self, score: Callable[[slice], Any], shape: tuple[int, int], dtype: Any = np.float32
    ) -> None:
        if 0 in shape:
            expected, hint = "at least one row and one label", "Nothing can be measured."
            raise ManyLabelError("StreamedScores", expected, f"shape {shape}", hint)
        self.score, self.shape, self.dtype = score, shape, np.dtype(dtype)

    def __getitem__(self, rows: slice) -> Array:
        """The scores of some rows, (b, C).

        Raises
        ------
        ManyLabelError
            If they have another shape, hold NaN or leave [0, 1].
        """
        block = as_scores(self.score(rows), "StreamedScores").astype(self.dtype, copy=False)
        wanted = (rows.stop - rows.start, self.shape[1])
        if block.shape != wanted:
            raise ManyLabelError("StreamedScores", f"a block of shape {wanted}", f"shape {block.shape}")
        check_probabilities(block, "StreamedScores")
        return block


@dataclass(frozen=True, eq=False)
class TopScores:
    """The highest scores of each row, which is all that is kept of scores of many labels; build it with :meth:`of`.

    Precision, propensity-scored precision, recall and nDCG at k up to the number kept, and metrics of label sets at
    thresholds that no score left out can reach, give of them what they give of all scores.

    Attributes
    ----------
    labels : (n, k) int array
        From the highest score to the lowest; of equal scores the lowest label index goes first.
    values : (n, k) float array
    n_labels : int
    """

    labels: Array
    values: Array
    n_labels: int

    @staticmethod
    def of(scores: Tensor | Array | StreamedScores, k: int) -> TopScores:
        """The k highest scores of each row; all of them where there are no more than k labels.

        Parameters
        ----------
        scores : (n, C) array, tensor or StreamedScores
        k : int
            At least 1.

        Raises
        ------
        ManyLabelError
            For another `k`.
        """
        if not isinstance(k, Integral) or isinstance(k, bool) or k < 1:
            raise ManyLabelError("TopScores.of", "`k` as an integer of at least 1", f"{k!r:.60}")
        S = scores if isinstance(scores, StreamedScores) else as_scores(scores, "TopScores.of")
        n, n_labels = S.shape
        k = min(int(k), n_labels)
        parts = [_highest(S[rows], k) for rows in blocks(n, n_labels, RANKED_AT_ONCE)]
        labels, values = (np.concatenate(part) for part in zip(*parts, strict=True))
        return TopScores(labels, values, S.shape[1])

    @property
    def k(self) -> int:
        """How many scores of each row are kept."""
        return int(self.labels.shape[1])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and labels."""
        return len(self.labels), self.n_labels

    @property
    def bound(self) -> float:
        """What no score that was left out exceeds; below every score if none was."""
        return float(self.values[:, -1].max()) if self.k < self.n_labels else -np.inf

    def take(self, rows: slice) -> TopScores:
        """The highest scores of some rows."""
        return TopScores(self.labels[rows], self.values[rows], self.n_labels)

    def carried(self, T: LabelMatrix) -> Array:
        """Which of the labels their rows carry, (n, k) bool, without a dense matrix."""
        Y = T.sparse()
        true = np.sort(Y.rows.numpy().astype(np.int64) * self.n_labels + Y.columns.numpy())
        found = np.zeros(self.labels.shape, dtype=bool)
        for rows in blocks(*self.labels.shape) if len(true) else ():
            asked = np.arange(rows.start, rows.stop)[:, None] * self.n_labels + self.labels[rows]
            at = np.searchsorted(true, asked)
            found[rows] = true[np.minimum(at, len(true) - 1)] == asked
        return found


Scores: TypeAlias = "Tensor | np.ndarray[Any, Any] | StreamedScores | TopScores"
Made: TypeAlias = "np.ndarray[Any, Any] | StreamedScores"


def top_mask(S: Array, k: int, known: Array | None = None) -> Array:
    """Mark the k highest known scores of each row, of equal ones the lowest label index first, (n, C) bool."""
    if known is not None:
        best = np.lexsort((-S, ~known))[:, :k]  # known ones first
        marks = np.zeros(S.shape, dtype=bool)
        np.put_along_axis(marks, best, True, axis=1)
        return np.asarray(marks & known)
    last = np.partition(S, S.shape[1] - k, axis=1)[:, -k, None]  # the k-th highest score of each row
    above, level = last < S, last == S
    return np.asarray(above | (level & (level.cumsum(1) <= k - above.sum(1, keepdims=True))))


def _highest(S: Array, k: int) -> tuple[Array, Array]:
    """Labels and scores of the k highest of each row, from high to low, both (n, k)."""
    x = torch.from_numpy(np.ascontiguousarray(S))
    found, at = torch.topk(x, k, dim=1)
    values, labels = found.numpy(), at.numpy()
    # which of equal scores topk takes is open: rows in which some were left out are ranked again
    again = np.flatnonzero(((x >= found[:, -1:]).sum(1) > k).numpy())
    if len(again):
        labels[again] = np.nonzero(top_mask(S[again], k))[1].reshape(len(again), k)
        values[again] = np.take_along_axis(S[again], labels[again], 1)
    order = np.lexsort((labels, -values))
    return np.take_along_axis(labels, order, 1).astype(np.int32), np.take_along_axis(values, order, 1)


def blocks(n: int, width: int, at_once: int | None = None) -> Iterator[slice]:
    """Slices that cover ``range(n)`` in pieces of ``at_once`` entries (a million by default), of ``width`` a row."""
    step = max(1, (at_once or ENTRIES_AT_ONCE) // width)
    return (slice(start, min(start + step, n)) for start in range(0, n, step))
