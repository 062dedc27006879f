"""Random splits: the rows that scikit-learn draws, from the training rows followed by the test rows."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.model_selection import train_test_split

from manylabel import LabelMatrix
from manylabel.data import DataSet, Rows, random_split, read_table
from manylabel.errors import ManyLabelError


def dataset(X: list, weights: tuple = (None, None)) -> DataSet:
    Y = np.arange(2 * len(X)).reshape(-1, 2) % 3 == 0
    cut = [slice(0, 7), slice(7, None)]
    of = X if isinstance(X[0], str) else np.array(X)
    of = sp.csr_matrix(of) if weights == "sparse" else of
    weights = (None, None) if weights == "sparse" else weights
    parts = [Rows(of[part], LabelMatrix.of(Y[part]), w) for part, w in zip(cut, weights, strict=True)]
    return DataSet("rows", *parts, ("a", "b"), validation_rows=np.array([1]), digest="d", split="published")


NUMBERS = [[float(i), 1.0] for i in range(12)]


@pytest.mark.parametrize("sparse", [False, True])
def test_the_parts_are_those_of_scikit_learn(sparse):
    whole = dataset(NUMBERS, "sparse" if sparse else (None, None))
    train, test = train_test_split(np.arange(12), test_size=0.2, random_state=7)
    drawn = random_split(whole, 7)
    for part, rows in ((drawn.train, train), (drawn.test, test)):
        assert np.asarray(part.X)[:, 0].tolist() == rows.tolist()
        assert type(part.X) is type(whole.train.X)
        expected = np.arange(24).reshape(-1, 2)[rows] % 3 == 0
        assert (part.Y.dense(torch.bool).numpy() == expected).all()
    assert drawn.validation_rows is None
    assert "random_state 7" in drawn.split
    assert drawn.digest not in ("d", random_split(whole, 8).digest)


def test_texts_are_split_and_weights_go_along():
    texts = [f"text {i}" for i in range(12)]
    drawn = random_split(dataset(texts, (np.arange(7.0), None)), 3)
    train, _ = train_test_split(np.arange(12), test_size=0.2, random_state=3)
    assert list(drawn.train.X.values) == [texts[i] for i in train]
    assert drawn.train.weights.tolist() == [float(i) if i < 7 else 1.0 for i in train]
    assert random_split(dataset(texts), 3).train.weights is None


def test_rows_of_a_table_are_refused():
    table = read_table(
        {"price": [1.5, 2.5, 3.5], "colour": ["red", "red", "blue"], "tag": ["a", "b", "a"]}, labels="tag"
    )
    rows = Rows(table.X, table.labels.matrix("rows"))
    with pytest.raises(ManyLabelError, match="`split`: expected vectors, pictures or texts"):
        random_split(DataSet("table", rows, rows, ("a", "b")), 0)
