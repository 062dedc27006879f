"""Rows of tags, or of the numbers of their columns, as a 0/1 matrix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np


def tag_matrix(rows: Sequence[Iterable[str]], columns: Mapping[str, int]) -> Any:
    """A 0/1 CSR matrix (n, n_labels) of tags, whose columns are known; a tag that comes twice in a row counts once."""
    return number_matrix([sorted({columns[tag] for tag in row}) for row in rows], len(columns))


def number_matrix(rows: Sequence[Sequence[int]], width: int) -> Any:
    """A 0/1 CSR matrix (n, width) whose ones stand in these columns, which ascend in each row."""
    import scipy.sparse as sp

    flat = np.array([j for row in rows for j in row], dtype=np.int64)
    offsets = np.cumsum([0, *map(len, rows)])
    return sp.csr_matrix((np.ones(len(flat), dtype=np.uint8), flat, offsets), shape=(len(rows), width))
