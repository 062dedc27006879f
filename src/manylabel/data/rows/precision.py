"""Columns whose numbers float32 cannot tell apart, such as times in seconds since 1970."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from manylabel.errors import ManyLabelError

LARGEST = float(torch.finfo(torch.float32).max)


def is_wide(dtype: np.dtype[Any] | torch.dtype) -> bool:
    """Whether float32 may not hold all numbers of a type: float64, and integers of more than two bytes."""
    if isinstance(dtype, torch.dtype):
        return dtype in (torch.float64, torch.int32, torch.int64)
    return dtype.kind in "fiu" and dtype.itemsize > (4 if dtype.kind == "f" else 2)


def blurred_columns(mean: Any, deviation: Any) -> Any:
    """The columns that float32 blurs: rounding moves their values by more than a thousandth of their deviation.

    Parameters
    ----------
    mean, deviation : (n_features,) float64 arrays

    Returns
    -------
    (k,) int64 array
    """
    size = np.abs(mean)
    with np.errstate(over="ignore", invalid="ignore"):
        blurred = (deviation > 0) & (size * 2.0**-24 > 1e-3 * deviation) & (deviation > size * 2.0**-49)
    return np.flatnonzero(blurred)


def narrowest(dtype: np.dtype[Any], values: Any, blurred: Callable[[], Any]) -> Any:
    """The type in which a file's numbers are kept: float32 unless it would blur a column.

    Parameters
    ----------
    dtype : NumPy type of the numbers
    values : array
        All numbers that are stored.
    blurred : callable
        The columns that would be blurred; asked only where the type can hold such numbers.
    """
    wide = dtype.kind in "iuf" and dtype.itemsize >= 4 and dtype != np.float32
    if not wide or not len(blurred()):
        return np.float32
    with np.errstate(over="ignore"):
        overflows = np.abs(values).max(initial=0) > np.finfo(np.float32).max
    return np.float32 if overflows else np.float64  # what float32 cannot hold is refused as not finite


def may_narrow(values: Any, blurred: Any) -> bool:
    """Whether some rows of a file can be kept as float32, whatever the rows beside them hold.

    Parameters
    ----------
    values : float64 array
        All numbers that are stored.
    blurred : (k,) int array
        The columns that would be blurred among these rows.
    """
    with np.errstate(over="ignore"):
        exact = values.astype(np.float32) == values
    return not len(blurred) and not bool(((np.abs(values) >= 2**24) & ~exact).any())


def warn_of_blurred(blurred: Any, column: Callable[[int], Any], names: Any = None) -> None:
    """Say which columns lose what they tell as float32.

    Parameters
    ----------
    blurred : (k,) int array
    column : callable (j) -> (n,) array
        The numbers of a column.
    names : (n_features,) int tensor, optional
        The numbers of the columns, where some were left out.
    """
    if not len(blurred):
        return
    told = []
    for j in blurred[:3].tolist():
        own = column(j)
        before, after = len(np.unique(own)), len(np.unique(own.astype(np.float32)))
        told.append(f"{j if names is None else int(names[j])} ({before} distinct values, {after} as float32)")
    more = f" and {len(blurred) - 3} more" if len(blurred) > 3 else ""
    warnings.warn(
        f"X: columns lose what they tell when they become float32: {', '.join(told)}{more}. "
        "Subtract their means before.",
        stacklevel=4,
    )


def not_finite(who: str, value: Any, row: int, column: int) -> ManyLabelError:
    """The refusal of one entry of a file."""
    got = f"{value} in row {row}, column {column} (counted from 0)"
    return ManyLabelError(
        who, "finite numbers", got, "Fill missing values in, or drop those rows or columns."
    )
