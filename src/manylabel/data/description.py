"""A data set in numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from manylabel.data.dataset import DataSet, Rows
from manylabel.data.quality import known_rows


def describe(dataset: DataSet) -> dict[str, Any]:
    """What a person wants to know of a data set before training on it.

    Returns
    -------
    dict
        JSON-able, in an order to print: name, kind, features, labels; a dict for each of ``train`` and
        ``test`` with rows, labels per row, largest number of labels, share of rows without labels;
        ``most_frequent`` and ``least_frequent`` labels with their training rows; ``known``, where entries are
        unknown, the share of the training rows on which each label is known; ``imbalance``, the most
        frequent label's training rows over those of the median label; validation, split, source, licence,
        digest, remarks.
    """
    counts = dataset.train.Y.label_counts().numpy().astype(int)
    order = np.argsort(-counts, kind="stable").tolist()
    median = float(np.median(counts))
    published = dataset.validation_rows
    shares = known_rows(dataset.train.Y) / len(dataset.train)
    known = {name: round(float(share), 4) for name, share in zip(dataset.label_names, shares, strict=True)}
    return {
        "name": dataset.name,
        "kind": dataset.kind,
        "features": dataset.train.X.describe(),
        "labels": len(dataset.label_names),
        "train": _part(dataset.train),
        "test": _part(dataset.test),
        "most_frequent": {dataset.label_names[i]: int(counts[i]) for i in order[:5]},
        "least_frequent": {dataset.label_names[i]: int(counts[i]) for i in order[:-6:-1]},
        **({"known": known} if dataset.train.Y.n_unknown else {}),
        "imbalance": round(float(counts.max()) / median, 2) if median else None,
        "validation": "drawn label-stratified, by seed"
        if published is None
        else f"{len(published)} published rows",
        "split": dataset.split,
        "source": dataset.source,
        "licence": dataset.licence,
        "digest": dataset.digest,
        "remarks": list(dataset.remarks),
    }


def _part(rows: Rows) -> dict[str, Any]:
    counts = rows.Y.row_counts()
    return {
        "rows": len(rows),
        "labels_per_row": round(float(counts.mean()), 4),
        "most_labels": int(counts.max()),
        "without_labels": round(float((counts == 0).float().mean()), 4),
    }
