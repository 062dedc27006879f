"""A table with labels in numbers: how many, how frequent, which together, and what each column was taken for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from manylabel.data.tables import Table
from manylabel.errors import ManyLabelError


@dataclass(frozen=True)
class LabelFacts:
    """The labels of a table in numbers.

    Attributes
    ----------
    names : tuple of n_labels str
    counts : (n_labels,) int array
        Rows that carry each.
    known : (n_labels,) float array
        The share of rows for which it is known whether they carry it.
    together : (n_labels, n_labels) int array
        Rows that carry both; of at most 200 labels, the most frequent.
    shown : (k,) int array
        The labels of ``together``, the most frequent first.
    label_sets : int
        Different sets of labels.
    """

    names: tuple[str, ...]
    counts: Any
    known: Any
    together: Any
    shown: Any
    label_sets: int


_MOST_TOGETHER = 200


def label_facts(table: Table) -> LabelFacts:
    """Count the labels of a table.

    Raises
    ------
    ManyLabelError
        If none were read.
    """
    if table.labels is None:
        hint = "Name the column of the tags, or those of the labels, with `labels`."
        raise ManyLabelError(table.where, "label columns", "none", hint)
    known, unknown = table.labels.known, table.labels.unknown
    counts = np.asarray(known.sum(axis=0, dtype=np.int64)).ravel()
    shown = np.argsort(-counts, kind="stable")[:_MOST_TOGETHER]
    part = known[:, shown].astype(np.int64)
    hidden = np.asarray(unknown.sum(axis=0, dtype=np.int64)).ravel()
    sets = {known.indices[a:b].tobytes() for a, b in zip(known.indptr, known.indptr[1:], strict=False)}
    return LabelFacts(
        table.label_names, counts, 1 - hidden / len(table), (part.T @ part).toarray(), shown, len(sets)
    )


def describe_table(table: Table, other: Table | None = None) -> dict[str, Any]:
    """What a person wants to know of a table before training on it.

    Parameters
    ----------
    table : Table
        With labels.
    other : Table, optional
        Of the same columns, such as test rows: rows of it that the first one has as well are counted.

    Returns
    -------
    dict
        JSON-able, in an order to print: file, rows, features, labels; cardinality (labels a row), density (its share of
        all labels), imbalance (rows of the most frequent label over those of the median one), label_sets,
        rows_without_labels, duplicate_rows, unknown_entries, labels_known (the share of the least known label); where
        entries are unknown: known, the share of rows on which each label is known;
        with ``other``: other_file, other_rows, rows_of_both; told.
    """
    facts = label_facts(table)
    assert table.labels is not None
    n, n_labels = table.labels.known.shape
    median = float(np.median(facts.counts))
    keys = list(table.X.row_keys())
    lengths = np.diff(table.labels.known.indptr)
    found = {
        "file": table.where,
        "rows": n,
        "features": table.X.describe(),
        "labels": n_labels,
        "cardinality": round(float(lengths.mean()), 4),
        "density": round(float(lengths.mean()) / n_labels, 4),
        "imbalance": round(float(facts.counts.max()) / median, 2) if median else None,
        "label_sets": facts.label_sets,
        "rows_without_labels": int((lengths == 0).sum()),
        "duplicate_rows": n - len(set(keys)),
        "unknown_entries": int(table.labels.unknown.nnz),
        "labels_known": round(float(facts.known.min()), 4),
    }
    if table.labels.unknown.nnz:
        shares = zip(table.label_names, facts.known.tolist(), strict=True)
        found["known"] = {name: round(share, 4) for name, share in shares}
    if other is not None:
        seen = set(keys)
        both = sum(key in seen for key in other.X.row_keys())
        found |= {"other_file": other.where, "other_rows": len(other), "rows_of_both": both}
    return found | {"told": list(table.told)}
