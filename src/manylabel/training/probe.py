"""The online monitor: how well a linear read-out of frozen embeddings predicts the labels of validation rows."""

from __future__ import annotations

import torch
from torch import Tensor

from manylabel.labels import LabelMatrix, Labels


def ridge_scores(
    Z: Tensor, Y: Labels, Z_new: Tensor, strength: float = 1.0, entries_at_once: int = 1 << 24
) -> Tensor:
    """Scores of new rows from a ridge regression of the labels on the embeddings.

    Parameters
    ----------
    Z : (n, D) tensor
        Embeddings of training rows.
    Y : (n, n_labels) labels
        Their labels.
    Z_new : (m, D) tensor
    strength : float, default 1.0
        Penalty, as a multiple of the mean variance of the embedding's coordinates times n / 100.
    entries_at_once : int, default 2**24
        Label entries that are dense at a time.

    Returns
    -------
    (m, n_labels) tensor in [0, 1]

    Notes
    -----
    One solve of a D x D system, W = (Z^T Z + lambda I)^-1 Z^T Y on centred embeddings; no step size to choose.
    """
    labels = LabelMatrix.of(Y)
    mean, base = Z.mean(0), labels.label_counts() / len(labels)
    Z, Z_new = Z - mean, Z_new - mean
    gram = Z.T @ Z
    penalty = strength * gram.diagonal().mean().clamp_min(1e-12) / 100
    gram.diagonal().add_(penalty)
    weights = torch.linalg.solve(gram, _moments(Z, labels, base, entries_at_once))
    scores: Tensor = (Z_new @ weights + base).clamp_(0, 1)
    return scores


def _moments(Z: Tensor, Y: LabelMatrix, base: Tensor, entries_at_once: int) -> Tensor:
    """``Z^T (Y - base)``, (D, n_labels), of labels that are made dense some rows at a time."""
    step, total = max(1, entries_at_once // Y.n_labels), Z.new_zeros(Z.shape[1], Y.n_labels)
    for start in range(0, len(Z), step):
        rows = slice(start, start + step)
        total += Z[rows].T @ (Y.take(rows).dense(Z.dtype) - base)  # (D, b) @ (b, n_labels)
    return total
