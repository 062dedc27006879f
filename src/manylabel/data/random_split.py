"""Random splits of all rows, as studies without a published split draw them."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np

from manylabel.data.dataset import DataSet, Rows
from manylabel.data.rows import as_features
from manylabel.data.rows.registry import stacked
from manylabel.errors import ManyLabelError

TEST_SHARE = 0.2


def random_split(dataset: DataSet, seed: int) -> DataSet:
    """The data set with a fifth of all its rows, drawn at random, as test rows.

    Parameters
    ----------
    dataset : DataSet
        Its training rows go first, then its test rows. Published validation rows are not kept.
    seed : int
        The ``random_state`` of scikit-learn's ``train_test_split``, with ``test_size=0.2`` and the row numbers as what
        is split. No label is looked at.

    Raises
    ------
    ManyLabelError
        For rows of a table, which cannot be joined, and fewer than 2 rows.
    """
    from sklearn.model_selection import train_test_split

    rows = _joined(dataset.train, dataset.test)
    if len(rows) < 2:
        raise ManyLabelError("`split`", "at least 2 rows", str(len(rows)))
    parts = train_test_split(np.arange(len(rows)), test_size=TEST_SHARE, random_state=seed)
    train, test = (rows.take(part) for part in parts)
    told = f"{100 * TEST_SHARE:g} % of all rows by scikit-learn's train_test_split, random_state {seed}"
    seen = hashlib.sha256(f"{dataset.digest} random split {seed}".encode()).hexdigest()
    parts = {"train": train, "test": test, "test_names": None, "validation_rows": None}
    return dataclasses.replace(dataset, **parts, split=told, digest=seen)


def _joined(first: Rows, second: Rows) -> Rows:
    if isinstance(first.X.values, dict):
        raise ManyLabelError("`split`", "vectors, pictures or texts", f"rows of kind {first.X.kind}")
    X = as_features(stacked(first.X.values, second.X.values), "`split`")
    return Rows(X, first.Y.concat(second.Y), _joined_weights(first, second))


def _joined_weights(first: Rows, second: Rows) -> Any:
    """Weights of all rows; rows without any count 1."""
    if first.weights is None and second.weights is None:
        return None
    shape = next(part.weights.shape[1:] for part in (first, second) if part.weights is not None)
    parts = (
        np.ones((len(part), *shape), np.float32) if part.weights is None else part.weights
        for part in (first, second)
    )
    return np.concatenate(list(parts))
