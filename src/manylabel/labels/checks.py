"""What lists of labels and the tensors that meet them must satisfy before compiled code reads them.

Compiled code follows offsets and label numbers without looking whether they lie inside an array, so each matrix that
comes from outside is checked once, when it is made.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manylabel.errors import ManyLabelError

_INTEGERS = (torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64)
_MOST_ENTRIES = 2**31 - 1


def check_lists(offsets: Tensor, columns: Tensor, n_columns: int, who: str, what: str = "label") -> None:
    """Refuse lists that reach past their entries, or numbers outside ``range(n_columns)``."""
    for name, numbers in (("offsets", offsets), (f"{what} numbers", columns)):
        if not isinstance(numbers, Tensor) or numbers.dim() != 1 or numbers.dtype not in _INTEGERS:
            raise ManyLabelError(who, f"{name} as a vector of integers", described(numbers))
    if len(columns) > _MOST_ENTRIES:
        raise ManyLabelError(who, "fewer than 2^31 labels in all", str(len(columns)), "Pass fewer rows.")
    if torch.compiler.is_compiling():
        return
    whole = len(offsets) > 0 and int(offsets[0]) == 0 and int(offsets[-1]) == len(columns)
    if not whole or bool((offsets[1:] < offsets[:-1]).any()):
        expected = f"offsets that rise from 0 to the {len(columns)} entries"
        got = "none" if not len(offsets) else f"offsets from {int(offsets[0])} to {int(offsets[-1])}"
        got += "" if not whole else ", falling in between"
        raise ManyLabelError(who, expected, got, "Row i owns the entries offsets[i] to offsets[i + 1].")
    check_numbers(columns, n_columns, who, what)


def check_numbers(numbers: Tensor, n: int, who: str, what: str = "label") -> None:
    """Refuse numbers outside ``range(n)``."""
    if not numbers.numel() or torch.compiler.is_compiling():
        return
    low, high = (int(bound) for bound in numbers.aminmax())
    if low < 0 or high >= n:
        got = f"numbers from {low} to {high}"
        hint = "Give the sparse matrix as many columns as there are labels."
        raise ManyLabelError(who, f"{what} numbers from 0 to {n - 1}", got, hint)


def check_scipy(Y: Any, who: str) -> None:
    """Refuse a SciPy matrix with places outside its shape, which SciPy's own conversions would follow."""
    n_rows, n_columns = Y.shape
    kind = getattr(Y, "format", "")
    if kind == "coo":
        check_numbers(_numbers(Y.row, who), n_rows, who, "row")
        check_numbers(_numbers(Y.col, who), n_columns, who)
    if kind in ("csr", "csc", "bsr"):
        height, width = Y.blocksize if kind == "bsr" else (1, 1)
        lines, across = n_rows // height, n_columns // width
        lines, across, what = (across, lines, "row") if kind == "csc" else (lines, across, "label")
        indptr, indices = _numbers(Y.indptr, who), _numbers(Y.indices, who)
        stop = int(indptr[-1]) if len(indptr) else 0
        if len(indptr) != lines + 1 or len(Y.data) < stop:
            expected = f"{lines + 1} offsets and {max(stop, 0)} entries in a sparse matrix of shape {Y.shape}"
            raise ManyLabelError(who, expected, f"{len(indptr)} and {len(Y.data)}", "Build the matrix anew.")
        check_lists(indptr, indices[: max(stop, 0)], across, who, what)


def is_canonical(indptr: NDArray[Any], indices: NDArray[Any]) -> bool:
    """Whether the numbers of each row rise, none twice."""
    rising = np.diff(indices) > 0
    starts = indptr[1:-1]
    rising[starts[(starts > 0) & (starts < len(indices))] - 1] = True
    return bool(rising.all())


def check_line(who: str, what: str, given: Tensor, n: int) -> None:
    """Refuse a vector of another length."""
    if given.dim() != 1 or len(given) != n:
        raise ManyLabelError(who, f"{n} {what}", described(given), "Pass one number for each.")


def described(given: Any) -> str:
    """What was given, for a message."""
    if not isinstance(given, Tensor):
        return f"{given!r:.60}" if isinstance(given, (int, float, str)) else type(given).__name__
    return f"{given.dtype} of shape {tuple(given.shape)} on {given.device}"


def _numbers(given: Any, who: str) -> Tensor:
    array = np.asarray(given)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ManyLabelError(who, "a sparse matrix of whole row and column numbers", f"{array.dtype}")
    return torch.from_numpy(array.astype(np.int64))
