"""Rows of two parts are those of the whole, of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from manylabel.data import Rows, read_table
from manylabel.data.column_storage import Strings, concat
from manylabel.data.rows import as_features
from manylabel.labels import as_labels

N = 40
WORDS = [f"w{i % 7} {'x' * (i % 3)}é" for i in range(N)]
X = (np.random.default_rng(0).random((N, 5)) * (np.random.default_rng(1).random((N, 5)) < 0.4)).astype(
    np.float32
)
KINDS: dict[str, Any] = {
    "vectors": lambda: as_features(X),
    "sparse": lambda: as_features(sp.csr_matrix(X)),
    "texts": lambda: as_features(WORDS),
    "pictures": lambda: as_features(torch.arange(N * 12).reshape(N, 3, 2, 2)),
    "a table": lambda: (
        read_table(
            {"text": [f"{w} of {i}" for i, w in enumerate(WORDS)], "size": list(range(N)), "kind": WORDS}
        ).X
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cut", [0, 13, N])
def test_two_parts_joined_are_the_whole(kind: str, cut: int) -> None:
    whole = KINDS[kind]()
    joined = whole.take(slice(0, cut)).concat(whole.take(slice(cut, None)))
    assert type(joined) is type(whole)
    assert joined.form == whole.form
    assert list(joined.row_keys()) == list(whole.row_keys())
    np.testing.assert_array_equal(np.asarray(joined), np.asarray(whole))


def test_texts_of_one_buffer_join_whatever_else_their_buffers_hold() -> None:
    cells = [cell.encode() for cell in WORDS]
    offsets = np.concatenate([[0], np.cumsum([*map(len, cells)])])
    part = Strings(b"".join(cells), offsets[10:21])
    joined = concat(part, part)
    assert isinstance(joined, Strings)
    assert list(joined.cells()) == WORDS[10:20] * 2


def test_weights_are_joined_and_those_of_the_other_part_are_ones() -> None:
    Y = as_labels(np.eye(N, 4, dtype=np.uint8))
    plain, of_rows = Rows(X, Y), Rows(X, Y, np.full(N, 0.5, np.float32))
    of_entries = Rows(X, Y, np.full((N, 4), 2.0, np.float32))
    assert plain.concat(plain).weights is None
    np.testing.assert_array_equal(plain.concat(of_rows).weights, [1.0] * N + [0.5] * N)
    both = of_rows.concat(of_entries)
    assert both.weights.shape == (2 * N, 4)
    assert (both.weights[:N] == 0.5).all()
    assert (both.weights[N:] == 2).all()
    np.testing.assert_array_equal(both.Y.dense().numpy(), np.tile(Y.dense().numpy(), (2, 1)))
