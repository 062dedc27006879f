"""The online monitor: how well a linear read-out of frozen embeddings predicts the labels of validation rows."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from manylabel.labels import LabelMatrix, Labels, SparseLabels


def ridge(
    Z: Tensor, Y: Labels, strength: float = 1.0, entries_at_once: int = 1 << 24
) -> Callable[[Tensor], Tensor]:
    """A ridge regression of the labels on the embeddings.

    Parameters
    ----------
    Z : (n, D) tensor
        Embeddings of training rows.
    Y : (n, n_labels) labels
        Their labels.
    strength : float, default 1.0
        Penalty, as a multiple of the mean variance of the embedding's coordinates times n / 100.
    entries_at_once : int, default 2**24
        Label entries that are dense at a time.

    Returns
    -------
    callable (m, D) tensor -> (m, n_labels) tensor in [0, 1]
        Scores of new rows.

    Notes
    -----
    One solve of a D x D system, W = (Z^T Z + lambda I)^-1 Z^T Y on centred embeddings; no step size to choose. An
    unknown entry counts as the share that carries the label, of the rows on which it is known.
    """
    labels = LabelMatrix.of(Y)
    known = len(labels) - labels.unknown.label_counts() if labels.has_unknown else len(labels)
    mean, base = Z.mean(0), labels.label_counts() / known
    base = base.nan_to_num(0.0)  # of a label that is nowhere known
    Z = Z - mean
    gram = Z.T @ Z
    penalty = strength * gram.diagonal().mean().clamp_min(1e-12) / 100
    gram.diagonal().add_(penalty)
    weights = torch.linalg.solve(gram, _moments(Z, labels, base, entries_at_once))
    return lambda Z_new: ((Z_new - mean) @ weights + base).clamp_(0, 1)


def _moments(Z: Tensor, Y: LabelMatrix, base: Tensor, entries_at_once: int) -> Tensor:
    """``Z^T (Y - base)``, (D, n_labels), of centred embeddings.

    Labels are made dense some rows at a time; lists of known ones stay lists, since the rows of Z sum to 0.
    """
    if isinstance(Y, SparseLabels) and not Y.has_unknown:
        return Y.label_sums(Z).T
    step, total = max(1, entries_at_once // Y.n_labels), Z.new_zeros(Z.shape[1], Y.n_labels)
    for start in range(0, len(Z), step):
        rows = slice(start, start + step)
        block = Y.take(rows)
        residual, known = block.dense(Z.dtype) - base, block.known()  # (b, n_labels)
        total += Z[rows].T @ (residual if known is None else residual * known)  # (D, b) @ (b, n_labels)
    return total
