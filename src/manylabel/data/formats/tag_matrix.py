"""Rows of tags as a 0/1 matrix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np


def tag_matrix(rows: Sequence[Iterable[str]], columns: Mapping[str, int]) -> Any:
    """A 0/1 CSR matrix (n, n_labels) of tags, whose columns are known; a tag that comes twice in a row counts once."""
    import scipy.sparse as sp

    at = [sorted({columns[tag] for tag in row}) for row in rows]
    flat = np.array([j for row in at for j in row], dtype=np.int64)
    offsets = np.cumsum([0, *map(len, at)])
    return sp.csr_matrix((np.ones(len(flat), dtype=np.uint8), flat, offsets), shape=(len(at), len(columns)))
