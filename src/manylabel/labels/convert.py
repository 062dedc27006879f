"""Labels of any layout that users have, as a label matrix."""

from __future__ import annotations

from copy import copy
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from manylabel.arrays import as_array, as_tensor
from manylabel.errors import ManyLabelError
from manylabel.labels.base import LabelMatrix, Labels
from manylabel.labels.checks import check_lists, check_numbers, check_scipy, is_canonical
from manylabel.labels.dense import DenseLabels
from manylabel.labels.sparse import SparseLabels, offsets_of

ENCODE = (
    "Encode the labels as a 0/1 matrix, one row per sample and one column per label: MultiLabelBinarizer of "
    "scikit-learn makes one of lists of names or numbers."
)


# dense labels of these types, on these devices, are taken without further questions
_COMMON = (torch.bool, torch.uint8, torch.int64, torch.float32, torch.float64)
_PLACES = ("cpu", "cuda")


def as_labels(
    Y: Labels, *, binary: bool = False, unknown: float | Labels | None = None, who: str = "labels"
) -> LabelMatrix:
    """Wrap labels of any layout as a label matrix; copied only where the layout changes.

    Parameters
    ----------
    Y : (n_rows, n_labels) tensor (dense, COO or CSR), array, SciPy sparse matrix, or LabelMatrix
        Bool, integer or floating entries in [0, 1]; sparse input stays sparse. Unknown entries are NaN (stored ones,
        of a sparse matrix), those that a masked array hides, and None or ``pandas.NA`` in a frame or lists.
    binary : bool, default False
        Refuse entries other than 0 and 1.
    unknown : number or (n_rows, n_labels) labels, optional
        The number outside of [0, 1], such as -1, that stands for an unknown entry in Y; or 1 where an entry is unknown,
        whatever Y has there.
    who : str
        Named in the error message.

    Raises
    ------
    ManyLabelError
        If Y is not two-dimensional, has no known entry, or holds entries outside [0, 1] (or {0, 1}).

    Examples
    --------
    >>> as_labels([[1, 0, None], [0, 1, 1]])
    DenseLabels(2 rows, 3 labels, 1 unknown)
    """
    labels = Y if isinstance(Y, LabelMatrix) else _wrapped(Y, who)
    if unknown is not None:
        labels = _hidden(labels, unknown, who)
    labels.check(binary, who)
    return labels


def _wrapped(Y: Labels, who: str) -> LabelMatrix:
    """The labels behind the face of a label matrix, values unchecked."""
    if type(Y) is Tensor and Y.dtype in _COMMON and Y.layout == torch.strided and Y.dim() == 2:
        inside_vmap = not torch.compiler.is_compiling() and torch._C._functorch.is_batchedtensor(Y)
        if Y.device.type in _PLACES and not Y.is_nested and not inside_vmap:
            return DenseLabels(Y)
    if isinstance(Y, Tensor):
        _check_plain(Y, who)
        if Y.layout != torch.strided:
            return _from_sparse_tensor(Y, who)
        _check_two_axes(tuple(Y.shape), who)
        return DenseLabels(as_tensor(Y, who, "labels"))
    if hasattr(Y, "tocsr"):
        return _from_scipy(Y, who)
    values = dense_values(_missing_as_nan(Y), who)
    _check_two_axes(tuple(values.shape), who)
    return DenseLabels(values)


def _missing_as_nan(Y: Any) -> Any:
    """The same with NaN for masked entries, None and ``pandas.NA``."""
    if isinstance(Y, np.ma.MaskedArray):
        if Y.dtype.kind not in "biuf":
            return Y
        wide = np.result_type(Y.dtype, np.float32)
        return np.ma.filled(Y.astype(wide), np.nan) if np.ma.is_masked(Y) else Y
    if isinstance(Y, np.ndarray) and Y.dtype.kind != "O":
        return Y
    try:
        array = np.asarray(Y)
    except Exception:  # whatever the caller's own __array__ may raise; read again, it is refused by name
        return Y
    if array.dtype.kind != "O" or array.ndim != 2:
        return Y
    missing = np.array([v is None or type(v).__name__ == "NAType" for v in array.flat], bool)
    return np.where(missing.reshape(array.shape), np.nan, array) if missing.any() else Y


def _hidden(labels: LabelMatrix, unknown: float | Labels, who: str) -> LabelMatrix:
    """The labels with the entries unknown that a number, or a matrix of the same shape, marks."""
    if isinstance(unknown, bool) or not isinstance(unknown, Real):
        return _covered(labels, as_labels(unknown, binary=True, who=f"{who}, unknown"), who)
    number = float(unknown)
    if 0 <= number <= 1:
        hint = "0 and 1 say that a label is known; NaN is unknown without being named."
        raise ManyLabelError(who, "`unknown` as a number outside of [0, 1]", f"{number:g}", hint)
    labels, entries = copy(labels), labels.entries()
    which = None if entries is None or entries.dtype == torch.bool else entries.detach() == number
    if which is not None and bool(which.any()):
        labels._hide(which)
        labels.refuse_none_known(who)
    return labels


def _covered(labels: LabelMatrix, unknown: LabelMatrix, who: str) -> LabelMatrix:
    """The labels without those that stand in unknown places."""
    if unknown.shape != labels.shape:
        hint = "Give 1 for each unknown entry, and 0 for the others."
        raise ManyLabelError(who, f"`unknown` of shape {labels.shape}", str(unknown.shape), hint)
    unknown = unknown.to(labels.device)
    left: LabelMatrix
    if isinstance(labels, DenseLabels):
        left = DenseLabels(labels.Y.masked_fill(unknown.dense(torch.bool), 0))
    else:
        left = labels.sparse().without(unknown.sparse())
    left = left.with_unknown(labels.unknown if labels.has_unknown else None)
    left._mark(unknown)
    return left


def dense_values(Y: Any, who: str, what: str = "labels") -> Tensor:
    """Numbers in any dense container; what holds names, sets or lists of labels is told how to encode them."""
    try:
        return as_tensor(Y, who, what)
    except ManyLabelError as error:
        if isinstance(Y, np.ma.MaskedArray):
            raise
        names = np.asarray(Y).dtype.kind == "U" if isinstance(Y, np.ndarray) else isinstance(Y, str)
        expected = "0/1 numbers or booleans" if names or "numbers" in error.expected else error.expected
        raise ManyLabelError(who, f"{what} as {expected}", error.got, ENCODE) from None


def _check_plain(Y: Tensor, who: str) -> None:
    if Y.is_nested or Y.is_quantized:
        raise ManyLabelError(
            who, "labels as a plain tensor", "a nested or quantized one", "Pass a dense tensor."
        )
    if not torch.compiler.is_compiling() and torch._C._functorch.is_batchedtensor(Y):
        hint = "Let vmap go over the embeddings, and use the labels from outside of the mapped function."
        raise ManyLabelError(who, "labels that vmap does not go over", "labels that it does", hint)


def _from_scipy(Y: Any, who: str) -> SparseLabels:
    _check_two_axes(tuple(Y.shape), who)
    check_scipy(Y, who)
    csr = Y.tocsr()
    if csr is not Y:
        check_scipy(csr, who)
    stop = int(csr.indptr[-1])
    if not is_canonical(csr.indptr, csr.indices[:stop]):
        csr = csr.copy()  # the caller's stays as it is
        csr.sort_indices()
        csr.sum_duplicates()
        stop = int(csr.indptr[-1])
    parts = (np.array(csr.indptr), np.array(csr.indices[:stop]), csr.data[:stop])
    offsets, columns, values = (as_tensor(as_array(part, who, "labels"), who, "labels") for part in parts)
    return _from_csr(offsets, columns, values, csr.shape[1])


def _from_sparse_tensor(Y: Tensor, who: str) -> SparseLabels:
    _check_two_axes(tuple(Y.shape), who)
    if Y.device.type == "meta" or Y.dense_dim():
        got = "a hybrid one" if Y.dense_dim() else "one on the device meta, which has no data"
        raise ManyLabelError(who, "labels as a sparse matrix", got, "Call .to_dense() on it.")
    if Y.layout == torch.sparse_coo:
        return _from_coo(Y, who)
    by_rows = Y.layout in (torch.sparse_csr, torch.sparse_bsr)
    offsets, numbers = (Y.crow_indices(), Y.col_indices()) if by_rows else (Y.ccol_indices(), Y.row_indices())
    block = tuple(Y.values().shape[1:]) or (1, 1)
    limits = (Y.shape[0] // block[0], Y.shape[1] // block[1])
    n_lines, n_across = limits if by_rows else limits[::-1]
    if len(offsets) != n_lines + 1 or len(Y.values()) != len(numbers):
        raise ManyLabelError(who, f"{n_lines + 1} offsets", f"{len(offsets)}", "Build the tensor anew.")
    check_lists(offsets, numbers, n_across, who, "label" if by_rows else "row")
    if Y.layout == torch.sparse_csr and (torch.compiler.is_compiling() or _rises(offsets, numbers)):
        return _from_csr(offsets, numbers, as_tensor(Y.values(), who, "labels"), Y.shape[1])
    return _from_coo(Y.to_sparse(layout=torch.sparse_coo), who)


def _from_coo(Y: Tensor, who: str) -> SparseLabels:
    for numbers, n, what in zip(Y._indices(), Y.shape, ("row", "label"), strict=True):
        check_numbers(numbers, n, who, what)  # torch would fold a column too far into another row
    coo = Y.coalesce()
    rows, columns = coo.indices()
    return _from_csr(
        offsets_of(rows, Y.shape[0]), columns, as_tensor(coo.values(), who, "labels"), Y.shape[1]
    )


def _rises(offsets: Tensor, numbers: Tensor) -> bool:
    """Whether the numbers of each row rise, none twice."""
    rising = numbers.diff() > 0
    starts = offsets[1:-1].long()
    rising[starts[(starts > 0) & (starts < len(numbers))] - 1] = True
    return bool(rising.all())


def _from_csr(offsets: Tensor, columns: Tensor, values: Tensor, n_labels: int) -> SparseLabels:
    stored = values != 0
    if not bool(stored.all()):  # explicit zeros are not labels
        rows = torch.repeat_interleave(
            torch.arange(len(offsets) - 1, device=offsets.device), offsets.diff().long()
        )
        offsets, columns, values = offsets_of(rows[stored], len(offsets) - 1), columns[stored], values[stored]
    weights = None if not values.requires_grad and bool((values == 1).all()) else values
    return SparseLabels(offsets, columns, weights, n_labels, trusted=True)


def _check_two_axes(shape: tuple[int, ...], who: str) -> None:
    if len(shape) != 2:
        hint = "Pass one 0/1 row per sample." if len(shape) != 1 else ENCODE
        raise ManyLabelError(who, "labels of shape (n_rows, n_labels)", f"shape {tuple(shape)}", hint)


LabelMatrix._reader = staticmethod(as_labels)
