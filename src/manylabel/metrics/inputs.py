"""What every metric asks of its input: scores and labels of one shape, read a block of rows or of labels at a time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import torch

from manylabel.arrays import as_array, as_weights
from manylabel.errors import ManyLabelError, did_you_mean
from manylabel.labels import LabelMatrix, Labels, as_labels
from manylabel.metrics.scores import Array, Made, Scores, StreamedScores, TopScores, as_scores, blocks


def scores_and_labels(scores: Scores, Y: Labels, who: str) -> tuple[Made, LabelMatrix]:
    """Scores as a floating array, or made by the block, and labels as a label matrix on the CPU, both (n, C).

    Raises
    ------
    ManyLabelError
        If the scores hold NaN or are not two-dimensional, the labels are not 0/1, or the shapes differ.
    """
    if isinstance(scores, TopScores):
        hint = "Pass an array or StreamedScores; metrics at k and those of label sets take the highest scores too."
        raise ManyLabelError(who, "scores of every label", f"the {scores.k} highest of each row", hint)
    S = scores if isinstance(scores, StreamedScores) else as_scores(scores, who)
    return S, labels_of(S.shape, Y, who)


def scores_of_first(scores: Scores, Y: Labels, k: int, who: str) -> tuple[Made | TopScores, LabelMatrix]:
    """Scores and labels for a metric of the k highest scores of each row, of which these are enough.

    Raises
    ------
    ManyLabelError
        As :func:`scores_and_labels`, for a k out of range, and where fewer than k known labels were kept of a row.
    """
    if not isinstance(scores, TopScores):
        S, T = scores_and_labels(scores, Y, who)
        check_k(k, S.shape[1], who)
        return S, T
    T = labels_of(scores.shape, Y, who)
    check_k(k, scores.k, who, "the number of scores kept of each row")
    if T.has_unknown and scores.k < scores.n_labels:
        kept = scores.k - scores.carried(T.unknown).sum(1)
        lacking = int((kept < np.minimum(k, known_labels(T))).sum())
        if lacking:
            expected, got = f"the {k} highest scores of known labels of each row", f"fewer of {lacking} rows"
            raise ManyLabelError(who, expected, got, "Keep more scores of each row, or pass StreamedScores.")
    return scores, T


def labels_of(shape: tuple[int, ...] | None, Y: Labels, who: str) -> LabelMatrix:
    """Labels that are 0, 1 or unknown, one for each score where there are scores, as a label matrix on the CPU."""
    labels = as_labels(Y, binary=True, who=who)
    if shape is not None and labels.shape != shape:
        raise ManyLabelError(
            who,
            f"labels of shape {shape} to match the scores",
            f"shape {labels.shape}",
            "Pass one label row per score row, with the labels in the same order.",
        )
    labels.refuse_none_known(who)
    if labels.has_unknown and not labels.n_unknown:
        labels = labels.with_unknown(None)
    return labels if labels.device.type == "cpu" else labels.to("cpu")


class Block(NamedTuple):
    """Some rows with all labels, or some labels with all rows, of shape (b, m).

    Attributes
    ----------
    part : slice
        Which rows or labels.
    scores : (b, m) array
    true : (b, m) bool array
        False where the entry is unknown.
    known : (b, m) bool array, or None where every entry is
    """

    part: slice
    scores: Array
    true: Array
    known: Array | None

    @staticmethod
    def of(part: slice, scores: Array, labels: LabelMatrix) -> Block:
        """Labels made dense beside their scores."""
        known = labels.known()
        true = labels.dense(torch.bool).numpy()
        return Block(part, scores, true, None if known is None else known.numpy())

    @property
    def n_known(self) -> Array:
        """How many entries of each row, or label, are known, (b,) int64."""
        return np.full(len(self.true), self.true.shape[1]) if self.known is None else self.known.sum(1)


def read_weights(weights: Any, shape: tuple[int, int], who: str) -> Array | None:
    """What each row, or each entry of it, counts, (n,) or (n, C) float64; None where all count alike."""
    if weights is None:
        return None
    return as_array(as_weights(weights, shape, who, "weights"), who, "weights").astype(np.float64)


def row_blocks(S: Made | TopScores, T: LabelMatrix) -> Iterator[Block]:
    """A few rows at a time; of the highest scores, (b, k), with the labels of these."""
    if isinstance(S, TopScores):
        for rows in blocks(*S.labels.shape):
            top, of_rows = S.take(rows), T.take(rows)
            known = ~top.carried(of_rows.unknown) if T.has_unknown else None
            yield Block(rows, top.values, top.carried(of_rows), known)
        return
    for rows in blocks(*S.shape):
        yield Block.of(rows, S[rows], T.take(rows))


def label_blocks(S: Array, T: LabelMatrix) -> Iterator[Block]:
    """A few labels at a time."""
    carriers = T.transposed
    for part in blocks(*S.shape[::-1]):
        yield Block.of(part, S[:, part].T, carriers.take(part))


def label_totals(T: LabelMatrix) -> Array:
    """How many rows carry each label, (C,) int64."""
    parts = (T.take(rows).label_counts(torch.int64).numpy() for rows in blocks(*T.shape))
    return np.asarray(sum(parts))


def known_rows(T: LabelMatrix) -> Array:
    """On how many rows each label is known, (C,) int64."""
    return np.full(T.n_labels, T.n_rows) - (label_totals(T.unknown) if T.has_unknown else 0)


def true_labels(T: LabelMatrix) -> Array:
    """How many labels each row carries, (n,) int64."""
    return np.asarray(T.row_counts(torch.int64).numpy())


def known_labels(T: LabelMatrix) -> Array:
    """How many labels of each row are known, (n,) int64."""
    return np.full(T.n_rows, T.n_labels) - (T.unknown.row_counts(torch.int64).numpy() if T.has_unknown else 0)


def check_k(k: int, most: int, who: str, what: str = "the number of labels") -> None:
    """Refuse a k that is no integer from 1 to the number of labels, or of what there is."""
    whole = isinstance(k, Integral) and not isinstance(k, bool)
    if not whole or not 1 <= k <= most:
        got = f"k = {k!r}"
        raise ManyLabelError(who, f"an integer k from 1 to {what}, {most}", got, "Choose such a k.")


def check_number(value: Any, who: str, what: str, *, least: float = -math.inf, above: bool = False) -> float:
    """A finite number of at least ``least``, or above it.

    Raises
    ------
    ManyLabelError
        Names what the number is for.
    """
    number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if not number or value < least or (above and value == least):
        bound = "" if least == -math.inf else f" {'above' if above else 'of at least'} {least:g}"
        raise ManyLabelError(who, f"{what} to be a finite number{bound}", f"{value!r:.60}")
    return float(value)


def check_choice(value: Any, choices: Sequence[str], who: str, expected: str) -> None:
    """Refuse what is none of some names."""
    if not isinstance(value, str) or value not in choices:
        raise ManyLabelError(who, expected, f"{value!r:.60}")


def check_metrics(
    metrics: Any, known: Sequence[str], who: str, expected: str, hint: str = ""
) -> tuple[str, ...]:
    """Names of metrics, at least one; ``expected`` has a place for those that are known.

    Raises
    ------
    ManyLabelError
        For a text in place of a list, no name, or one that is not known.
    """
    if isinstance(metrics, str) or not isinstance(metrics, Iterable):
        raise ManyLabelError(who, "metrics as a list of names", f"{metrics!r:.60}", 'Such as ["macro_f1"].')
    names, expected = tuple(metrics), expected.format(", ".join(known))
    if not names:
        raise ManyLabelError(who, expected, "no metric", hint)
    for name in names:
        if not isinstance(name, str) or name not in known:
            raise ManyLabelError(who, expected, f"{name!r:.60}", hint or did_you_mean(str(name), known))
    return names


def as_grid(thresholds: Any, who: str, *, probabilities: bool = True) -> Array:
    """Ascending thresholds, (T,) float64.

    Raises
    ------
    ManyLabelError
        For no thresholds, NaN, or such as do not ascend or, for probabilities, leave [0, 1].
    """
    grid = as_array(thresholds, who, "thresholds").astype(np.float64)
    expected = "ascending thresholds from 0 to 1" if probabilities else "ascending thresholds"
    ascending = grid.ndim == 1 and len(grid) > 0 and not np.isnan(grid).any() and (np.diff(grid) > 0).all()
    if not ascending or (probabilities and (grid[0] < 0 or grid[-1] > 1)):
        raise ManyLabelError(who, expected, f"{thresholds!r:.60}", "Sort them, and leave out repeats.")
    return grid
