"""Retrieval by an embedding: the fast way beside loops over rows and keys, and what has no answer."""

import sys

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from sklearn.metrics import average_precision_score

from manylabel.labels import as_labels
from manylabel.metrics import Retrieval, retrieval


def slow(Z, Y, keys, Y_keys, k):
    """Loops in float64 over rows, then over keys in the order of their similarity."""
    found = []
    for z, y in zip(Z.astype(np.float64), Y, strict=True):
        cosine = [float(z @ key / np.linalg.norm(z) / np.linalg.norm(key)) for key in keys.astype(np.float64)]
        own = {c for c in range(len(y)) if y[c]}
        labels = [{c for c in range(len(y)) if other[c]} for other in Y_keys]
        relevant = [bool(own & other) for other in labels]
        if not any(relevant):
            continue
        nearest = sorted(range(len(keys)), key=lambda a: -cosine[a])
        precisions = [
            np.mean([relevant[b] for b in nearest[: r + 1]]) for r, a in enumerate(nearest) if relevant[a]
        ]
        first = nearest[:k]
        jaccard = [len(own & labels[a]) / len(own | labels[a]) if own | labels[a] else 0.0 for a in first]
        found.append([np.mean(precisions), np.mean([relevant[a] for a in first]), np.mean(jaccard)])
    return Retrieval(*np.mean(found, axis=0).tolist(), k, len(found))


def draw(n=23, m=31, seed=0):
    rng = np.random.default_rng(seed)
    Y, Y_keys = (rng.random((size, 5)) < (0.4, 0.2, 0.1, 0.05, 0.3) for size in (n, m))
    Z, keys = (rng.normal(size=(len(y), 6)) + y @ rng.normal(size=(5, 6)) for y in (Y, Y_keys))
    Y[3] = False  # asks for nothing
    return Z.astype(np.float32), Y, keys.astype(np.float32), Y_keys


@pytest.mark.parametrize("k", [1, 10, 31])
@pytest.mark.parametrize("block", [1, 7 * 31, 2**22])
def test_it_is_what_loops_find(k, block, monkeypatch):
    monkeypatch.setattr(sys.modules["manylabel.metrics.retrieval"], "_BLOCK", block)
    drawn = draw()
    ours, theirs = retrieval(*drawn, k), slow(*drawn, k)
    assert (ours.k, ours.queries) == (theirs.k, theirs.queries)
    assert (ours.map, ours.precision, ours.jaccard) == pytest.approx(
        (theirs.map, theirs.precision, theirs.jaccard)
    )


def test_layouts_and_the_length_of_rows_change_nothing():
    Z, Y, keys, Y_keys = draw()
    one = retrieval(Z, Y, keys, Y_keys)
    assert one == retrieval(Z, sp.csr_matrix(Y), keys, as_labels(Y_keys).sparse())
    longer = retrieval(torch.from_numpy(4 * Z), Y, keys, Y_keys)
    assert longer == one


def test_equally_similar_keys_enter_together():
    Y, Y_keys = np.array([[1]]), np.array([[1], [0], [0], [1]])
    keys = np.array([[1.0, 0.0], [1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    found = retrieval(np.array([[3.0, 0.0]]), Y, keys, Y_keys, k=2)
    assert found.map == pytest.approx(average_precision_score(Y_keys[:, 0], [1, 1, 1, 0]))
    assert (found.precision, found.jaccard) == (0.5, 0.5)


def test_unknown_labels_share_nothing():
    Y, Y_keys = np.array([[1.0, np.nan]]), np.array([[np.nan, 1.0], [1.0, 1.0]])
    keys = np.array([[1.0, 0.0], [0.0, 1.0]])
    found = retrieval(np.array([[1.0, 0.1]]), Y, keys, Y_keys, k=1)
    assert (found.map, found.precision, found.queries) == (0.5, 0.0, 1)


def test_rows_that_share_nothing_are_left_out():
    Z, Y, keys, Y_keys = draw()
    found = retrieval(Z, np.zeros_like(Y), keys, Y_keys)
    assert found.queries == 0
    assert np.isnan([found.map, found.precision, found.jaccard]).all()
    assert retrieval(Z, Y, keys, Y_keys).queries == len(Y) - (~(Y @ Y_keys.T.astype(int) > 0).any(1)).sum()
    flat = retrieval(np.zeros_like(Z), Y, keys, Y_keys)  # a row of zeros is equally far from all
    assert np.isfinite(flat.map)


def test_what_does_not_fit_is_refused():
    Z, Y, keys, Y_keys = draw()
    for changed, message in (
        ((Z[:4], Y, keys, Y_keys), "an embedding of 23 rows"),
        ((Z, Y, keys[:, :3], Y_keys), "`keys` of width 6 with 5 labels"),
        ((Z, Y, keys, Y_keys[:, :3]), "`keys` of width 6 with 5 labels"),
        ((Z * np.inf, Y, keys, Y_keys), "finite embeddings"),
        ((Z, Y, keys, Y_keys, 32), "an integer k from 1 to the number of keys, 31"),
        ((Z, 2.0 * Y, keys, Y_keys), "0"),
    ):
        with pytest.raises(ValueError, match=message):
            retrieval(*changed)
