"""Retrieval by an embedding: do the nearest rows share labels with the row that asks for them?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from manylabel.arrays import as_array
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix, Labels, as_labels
from manylabel.metrics.at_k import top_k
from manylabel.metrics.inputs import check_k
from manylabel.metrics.ranking import average_precision
from manylabel.metrics.scores import Array, Scores

_BLOCK = 2**22  # similarities held at once


@dataclass(frozen=True)
class Retrieval:
    """How well neighbours in an embedding carry the labels of a row.

    Attributes
    ----------
    map : float
        Mean over the rows that ask of the average precision of all keys, the most similar first.
    precision : float
        Share of the k nearest keys that share a label.
    jaccard : float
        Mean Jaccard index between the labels of a row and those of its k nearest keys, which tells neighbours apart
        where nearly all rows share a label.
    k, queries : int
        Rows that share no label with any key are not among the ``queries``; all three are NaN where none is left.
    """

    map: float
    precision: float
    jaccard: float
    k: int
    queries: int


def retrieval(Z: Scores, Y: Labels, keys: Scores, Y_keys: Labels, k: int = 10) -> Retrieval:
    """Measure an embedding by what it finds: rank the keys for every row by the cosine of their embeddings.

    Parameters
    ----------
    Z : (n, D) array or tensor
        Embeddings of the rows that ask, such as test rows.
    Y : (n, C) labels, dense or sparse
    keys : (m, D) array or tensor
        Embeddings of the rows to find, such as training rows.
    Y_keys : (m, C) labels
        A key is relevant to a row where they share a label. Unknown entries share nothing.
    k : int, default 10
        From 1 to m.

    Returns
    -------
    Retrieval

    Raises
    ------
    ManyLabelError
        If shapes differ, embeddings are not finite, labels are not 0/1, or there are fewer keys than k.

    Notes
    -----
    ``AP_i = sum_t (recall_t - recall_{t-1}) precision_t`` over the distinct similarities t from high to low; keys
    equally similar enter together. Among the k nearest, ties go to the key of the lowest number.
    """
    asking, T = _unit_rows(Z, Y, "retrieval: `Z`")
    found, T_keys = _unit_rows(keys, Y_keys, "retrieval: `keys`")
    if asking.shape[1] != found.shape[1] or T.n_labels != T_keys.n_labels:
        expected = f"`keys` of width {asking.shape[1]} with {T.n_labels} labels"
        raise ManyLabelError("retrieval", expected, f"width {found.shape[1]} with {T_keys.n_labels} labels")
    check_k(k, len(found), "retrieval", "the number of keys")
    parts = [_measured(S, shared, union, k) for S, shared, union in _blocks(asking, T, found, T_keys)]
    rows = np.concatenate(parts) if parts else np.zeros((0, 3))  # (queries, 3)
    means = rows.mean(axis=0) if len(rows) else np.full(3, np.nan)
    ap, precision, jaccard = means.tolist()
    return Retrieval(ap, precision, jaccard, k, len(rows))


def _unit_rows(Z: Scores, Y: Labels, who: str) -> tuple[Array, LabelMatrix]:
    """Embeddings of length 1, or 0 for a row of zeros, beside their labels."""
    embedding = as_array(Z, who, "embedding").astype(np.float32)
    labels = as_labels(Y, binary=True, who=who).to("cpu")
    if embedding.ndim != 2 or len(embedding) != len(labels):
        raise ManyLabelError(who, f"an embedding of {len(labels)} rows", f"shape {embedding.shape}")
    if not np.isfinite(embedding).all():
        raise ManyLabelError(who, "finite embeddings", "NaN or infinite values")
    lengths = np.linalg.norm(embedding, axis=1, keepdims=True)
    return embedding / np.where(lengths > 0, lengths, 1), labels


def _blocks(
    Z: Array, T: LabelMatrix, keys: Array, T_keys: LabelMatrix
) -> Iterator[tuple[Array, Array, Array]]:
    """Similarities, shared labels and the size of both label sets together, (b, m) each, of b rows at a time."""
    sizes = T_keys.row_counts().numpy()  # (m,)
    size = max(1, _BLOCK // max(1, len(keys)))
    for start in range(0, len(Z), size):
        own = T.take(slice(start, start + size))
        shared = T_keys.row_sums(own.dense(torch.float32).T.contiguous()).numpy().T  # (b, m)
        asks = (shared > 0).any(axis=1)
        union = own.row_counts().numpy()[:, None] + sizes - shared
        if asks.any():
            yield (Z[start : start + size] @ keys.T)[asks], shared[asks], union[asks]


def _measured(S: Array, shared: Array, union: Array, k: int) -> Array:
    """Average precision, precision at k and Jaccard at k of each row, (b, 3)."""
    relevant, nearest = shared > 0, top_k(S, k)
    jaccard = shared / np.maximum(union, 1)
    at_k = [(nearest * of).sum(axis=1) / k for of in (relevant, jaccard)]
    return np.stack([average_precision(S.T, relevant.T.astype(np.float32)), *at_k], axis=1)
