"""Splits that keep the rows of a group together, label-stratified, and a figure of how well labels are balanced."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from manylabel.errors import ManyLabelError
from manylabel.labels import LabelMatrix

Array: TypeAlias = "np.ndarray[Any, Any]"


def dealt(Y: LabelMatrix, groups: Array, shares: tuple[float, ...], seed: int, who: str = "split") -> Array:
    """Deal whole groups of rows into parts such that every label keeps its share in each.

    Parameters
    ----------
    Y : LabelMatrix (n_rows, n_labels)
    groups : (n_rows,) integers
        The group of each row.
    shares : tuple of K floats
        Of the rows, for each part; they sum to 1.
    seed : int
    who : str
        Named in the error message.

    Returns
    -------
    (n_rows,) int64 array in [0, K)
        The part of each row; no part is empty.

    Raises
    ------
    ManyLabelError
        If there are fewer groups than parts.

    Notes
    -----
    Groups are dealt from the largest to the smallest, of equal ones in an order drawn by the seed. Each goes where,
    with it, rows and its labels on average would be furthest from full. O(entries + groups x parts).
    """
    found, number = np.unique(groups, return_inverse=True)
    n_groups, n_parts = len(found), len(shares)
    if n_groups < n_parts:
        hint = "Rows of one group stay together: give more groups, or none."
        raise ManyLabelError(who, f"at least {n_parts} groups of rows", f"{n_groups}", hint)
    sizes = np.bincount(number)
    counts = _label_counts(Y, number, n_groups)
    order = np.random.default_rng(seed).permutation(n_groups)
    order = order[np.argsort(-sizes[order], kind="stable")]
    target = np.array(shares)[:, None]  # (K, 1)
    room = target * np.asarray(counts.sum(0)).ravel()  # (K, n_labels) entries that each part still lacks
    full, rows = room.copy(), target[:, 0] * len(Y)
    part_of, left = np.empty(n_groups, dtype=np.int64), rows.copy()
    for place, group in enumerate(order):
        entries = slice(counts.indptr[group], counts.indptr[group + 1])
        labels, n = counts.indices[entries], counts.data[entries]
        lacking = (left - sizes[group]) / rows  # (K,)
        if len(labels):
            lacking = lacking + ((room[:, labels] - n) / full[:, labels]).mean(1)
        empty = left == rows
        if n_groups - place <= empty.sum():  # as many groups are left as parts without one
            lacking = np.where(empty, lacking, -np.inf)
        part = int(lacking.argmax())
        part_of[group] = part
        left[part] -= sizes[group]
        room[part, labels] -= n
    return part_of[number]


def label_balance(Y: LabelMatrix, parts: Array) -> float:
    """How well every label keeps its share in each part, from 0 to 1.

    Parameters
    ----------
    Y : LabelMatrix (n_rows, n_labels)
    parts : (n_rows,) integers

    Returns
    -------
    float
        One minus the mean over labels, of those that a row carries, of the total variation distance between where the
        label's rows are and where all rows are: 1 where every part has its share of every label. NaN without a label.
    """
    _, number = np.unique(parts, return_inverse=True)
    sizes = np.bincount(number)
    counts = _label_counts(Y, number, len(sizes)).toarray()  # (K, n_labels)
    totals = counts.sum(0)
    carried = totals > 0
    if not carried.any():
        return float("nan")
    gaps = counts[:, carried] / totals[carried] - (sizes / sizes.sum())[:, None]
    return float(1 - 0.5 * np.abs(gaps).sum(0).mean())


def _label_counts(Y: LabelMatrix, number: Array, n_groups: int) -> Any:
    """Known positives of each group and label, CSR (n_groups, n_labels)."""
    import scipy.sparse as sp

    entries = Y.sparse().to("cpu")
    ones = np.ones(len(entries.columns))
    carried = sp.csr_matrix((ones, entries.columns.numpy(), entries.offsets.numpy()), shape=Y.shape)
    rows = np.arange(len(number))
    member = sp.csr_matrix((np.ones(len(number)), (number, rows)), shape=(n_groups, len(number)))
    return (member @ carried).tocsr()
