"""The most probable seen label set against products of probabilities."""

import json

import numpy as np
import pytest
import scipy.sparse as sp

from manylabel.metrics import Counts
from manylabel.metrics.seen_sets import SeenSets


def draw(n=60, n_labels=5):
    rng = np.random.default_rng(0)
    Y = rng.random((n, n_labels)) < 0.3
    return np.clip(rng.normal(0.3 + 0.3 * Y, 0.2), 0, 1).astype(np.float32), Y


def test_sets_are_those_of_the_rows_most_frequent_first():
    _, Y = draw()
    seen = SeenSets.of(Y)
    sets, counts = np.unique(Y, axis=0, return_counts=True)
    wanted = {(*of.tolist(),): count for of, count in zip(sets, counts, strict=True)}
    found = {(*of.tolist(),): count for of, count in zip(seen.sets.dense().bool(), seen.counts, strict=True)}
    assert found == wanted
    assert (np.diff(seen.counts) <= 0).all()


def test_no_seen_set_is_more_probable():
    S, Y = draw()
    P = np.clip(S.astype(float), 1e-12, 1 - 1e-12)
    sets = np.unique(Y[:20], axis=0)
    chosen = SeenSets.of(Y[:20]).predict(S)
    for p, c in zip(P, chosen, strict=True):
        probabilities = [np.where(s, p, 1 - p).prod() for s in sets]
        assert np.where(c, p, 1 - p).prod() == pytest.approx(max(probabilities))
        assert (sets == c).all(1).any()


def test_of_equally_probable_sets_the_most_frequent_is_taken():
    Y = np.array([[1, 0], [0, 1], [0, 1], [0, 0]])
    assert SeenSets.of(Y).predict(np.full((3, 2), 0.5)).tolist() == [[False, True]] * 3


def test_it_gains_subset_accuracy_where_labels_exclude_each_other():
    rng = np.random.default_rng(0)
    Y = np.eye(4, dtype=bool)[rng.integers(4, size=400)]
    S = np.clip(rng.normal(0.35 + 0.3 * Y, 0.2), 0, 1)
    seen, half = (float(Counts.of(P, Y).subset_accuracy()) for P in (SeenSets.of(Y).predict(S), S >= 0.5))
    assert seen > half + 0.1


def test_layouts_and_state():
    S, Y = draw()
    seen = SeenSets.of(Y)
    plain, arrays = seen.state()
    back = SeenSets.from_state(json.loads(json.dumps(plain)), arrays)
    for other in (back, SeenSets.of(sp.csr_matrix(Y.astype(np.uint8)))):
        np.testing.assert_array_equal(other.predict(S), seen.predict(S))
        np.testing.assert_array_equal(other.counts, seen.counts)


def test_rows_with_unknown_labels_have_no_set():
    known = np.array([[True, True], [True, False]])
    assert SeenSets.of([[1, 0], [1, 1]], known).predict(np.array([[0.9, 0.9]])).tolist() == [[True, False]]


def test_what_has_no_sets_is_refused():
    with pytest.raises(ValueError, match="at least one training row whose labels are all known"):
        SeenSets.of(np.zeros((0, 3)))
    with pytest.raises(ValueError, match="at least one training row whose labels are all known"):
        SeenSets.of([[1, 0]], np.array([[True, False]]))
    with pytest.raises(ValueError, match=r"`known` of shape \(1, 2\)"):
        SeenSets.of([[1, 0]], np.array([[True]]))
    with pytest.raises(ValueError, match="scores of 2 labels"):
        SeenSets.of([[1, 0]]).predict(np.full((2, 3), 0.5))
    with pytest.raises(ValueError, match=r"scores in \[0, 1\]"):
        SeenSets.of([[1, 0]]).predict(np.full((2, 2), 2.0))
