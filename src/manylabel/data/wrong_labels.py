"""Wrong labels on purpose: how much of what a method gains is left when annotators err."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np

from manylabel.data.dataset import DataSet, Rows
from manylabel.errors import ManyLabelError
from manylabel.labels import LabelLists, LabelMatrix


def with_wrong_labels(dataset: DataSet, share: float, seed: int) -> DataSet:
    """The data set with a share of its training labels on the wrong rows; test rows keep theirs.

    Parameters
    ----------
    dataset : DataSet
    share : float
        In [0, 1). Of each label's training rows, validation rows among them, this share loses it, and as many rows
        that do not carry it gain it: every label stays as frequent as it is.
    seed : int
        Draws the rows; with one seed, the wrong entries of a smaller share are among those of a larger one.

    Raises
    ------
    ManyLabelError
        If the share is not in [0, 1).

    Notes
    -----
    A label of n rows loses ``floor(share n + u)`` of them, with u uniform in [0, 1): the share holds on average for
    labels of a single row, too. Unknown entries stay unknown.
    """
    if not 0 <= share < 1:
        raise ManyLabelError("`wrong_labels`", "a share of the labels from 0 to below 1", f"{share:g}")
    if share == 0:
        return dataset
    train = dataset.train
    wrong = Rows(train.X, _with_moved(train.Y, share, seed), train.weights)
    seen = hashlib.sha256(f"{dataset.digest} {share!r} wrong {seed}".encode()).hexdigest()
    return dataclasses.replace(dataset, train=wrong, digest=seen)


def _with_moved(Y: LabelMatrix, share: float, seed: int) -> LabelMatrix:
    """The labels, in their layout, with a share of each label's entries on other rows."""
    import scipy.sparse as sp

    carriers, unknown = _rows_by_label(Y), _rows_by_label(Y.unknown)
    columns = [
        _moved(rows, hidden, len(Y), share, np.random.default_rng((seed, c)))
        for c, (rows, hidden) in enumerate(zip(carriers, unknown, strict=True))
    ]
    rows = np.concatenate(columns)
    labels = np.repeat(np.arange(Y.n_labels), [len(column) for column in columns])
    entries = sp.csr_matrix((np.ones(len(rows), dtype=np.float32), (rows, labels)), shape=Y.shape)
    moved = LabelMatrix.of(entries if isinstance(Y, LabelLists) else entries.toarray())
    return moved.with_unknown(Y.unknown if Y.n_unknown else None)


def _rows_by_label(Y: LabelMatrix) -> list[Any]:
    """The rows that carry each label."""
    by_label = Y.sparse().to("cpu").transposed
    found: list[Any] = np.split(by_label.columns.numpy(), by_label.offsets.numpy()[1:-1])
    return found


def _moved(carriers: Any, unknown: Any, n_rows: int, share: float, rng: np.random.Generator) -> Any:
    """Rows of one label after some of its entries moved to rows drawn from those known not to carry it."""
    wanted = int(share * len(carriers) + rng.random())
    is_free = np.ones(n_rows, dtype=bool)
    is_free[carriers] = is_free[unknown] = False
    order = rng.permutation(n_rows)
    gaining = order[is_free[order]][:wanted]
    return np.concatenate([rng.permutation(carriers)[len(gaining) :], gaining])
