"""Labels of any layout that users have, as a label matrix."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from manylabel.errors import ManyLabelError
from manylabel.labels.dense import DenseLabels
from manylabel.labels.matrix import LabelMatrix, Labels
from manylabel.labels.sparse import SparseLabels, offsets_of


def wrap(Y: Labels, who: str) -> LabelMatrix:
    """The labels behind the face of a label matrix, unchecked; copied only where the layout changes."""
    if isinstance(Y, LabelMatrix):
        return Y
    if isinstance(Y, Tensor):
        _check_two_axes(tuple(Y.shape), who)
        return DenseLabels(Y) if Y.layout == torch.strided else _from_sparse_tensor(Y, who)
    if hasattr(Y, "tocsr"):
        csr = Y.tocsr()
        csr.sum_duplicates()
        offsets, columns, values = (torch.from_numpy(a) for a in (csr.indptr, csr.indices, csr.data))
        return _from_csr(offsets, columns, values, csr.shape[1])
    array = np.asarray(Y)
    _check_two_axes(array.shape, who)
    if array.dtype.kind not in "biuf":
        raise ManyLabelError(
            who,
            "0/1 numbers or booleans",
            f"entries of type {array.dtype}",
            "Encode the labels as a 0/1 matrix.",
        )
    return DenseLabels(torch.from_numpy(np.ascontiguousarray(array)))


def _from_sparse_tensor(Y: Tensor, who: str) -> SparseLabels:
    if Y.layout == torch.sparse_csr:
        _check_columns(Y.col_indices(), Y.shape[1], who)
        return _from_csr(Y.crow_indices(), Y.col_indices(), Y.values(), Y.shape[1])
    coo = (Y if Y.layout == torch.sparse_coo else Y.to_sparse(layout=torch.sparse_coo)).coalesce()
    rows, columns = coo.indices()
    return _from_csr(offsets_of(rows, Y.shape[0]), columns, coo.values(), Y.shape[1])


def _from_csr(offsets: Tensor, columns: Tensor, values: Tensor, n_labels: int) -> SparseLabels:
    stored = values != 0
    if not bool(stored.all()):  # explicit zeros are not labels
        rows = torch.repeat_interleave(
            torch.arange(len(offsets) - 1, device=offsets.device), offsets.diff().long()
        )
        offsets, columns, values = offsets_of(rows[stored], len(offsets) - 1), columns[stored], values[stored]
    weights = None if bool((values == 1).all()) else values
    return SparseLabels(offsets, columns, weights, n_labels)


def _check_two_axes(shape: tuple[int, ...], who: str) -> None:
    if len(shape) != 2:
        raise ManyLabelError(
            who, "labels of shape (n_rows, n_labels)", f"shape {tuple(shape)}", "Pass one 0/1 row per sample."
        )


def _check_columns(columns: Tensor, n_labels: int, who: str) -> None:
    """Refuse label numbers that are out of range, which torch lets pass."""
    if len(columns) and not torch.compiler.is_compiling():
        low, high = (int(bound) for bound in columns.aminmax())
        if low < 0 or high >= n_labels:
            got = f"numbers from {low} to {high}"
            hint = "Give the sparse matrix as many columns as there are labels."
            raise ManyLabelError(who, f"label numbers from 0 to {n_labels - 1}", got, hint)
