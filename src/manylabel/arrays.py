"""The front door for dense numbers from Python: whatever holds them becomes one tensor, or is refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from manylabel.errors import ManyLabelError

_NUMBERS = "biuf"  # NumPy kinds: bool, int, unsigned int, float
_WIDE_UNSIGNED = (torch.uint16, torch.uint32, torch.uint64)


def as_tensor(values: Any, who: str, what: str = "numbers") -> Tensor:
    """Dense real numbers as a strided tensor that torch can compute with.

    Parameters
    ----------
    values : tensor, array, frame, list or tuple of numbers
        Anything with ``__array__`` will do. A tensor comes back as it is, part of a graph included.
    who, what : str
        Who asks and what for, for messages: ``"MulSupCon"``, ``"labels"``.

    Returns
    -------
    tensor of the same shape
        In the precision of ``values``; long double becomes float64, unsigned integers wider than a byte become int64.
        It shares memory with ``values`` where that is possible; nothing here writes to it.

    Raises
    ------
    ManyLabelError
        For rows of unlike lengths, text, objects, complex numbers, masked entries, integers beyond int64, sparse
        tensors and tensors without data (device "meta").
    """
    if isinstance(values, Tensor):
        return _checked_tensor(values, who, what)
    array = as_array(values, who, what)
    if not array.flags.writeable or any(stride < 0 for stride in array.strides):
        array = array.copy()  # torch has neither read-only memory nor negative strides
    return torch.from_numpy(array)


def as_array(values: Any, who: str, what: str = "numbers") -> NDArray[Any]:
    """Dense real numbers as a NumPy array of a type that torch has too; see :func:`as_tensor`."""
    if isinstance(values, Tensor):
        found = _checked_tensor(values, who, what).detach().cpu()
        return (found.float() if found.dtype == torch.bfloat16 else found).resolve_neg().numpy()
    if np.ma.isMaskedArray(values) and np.ma.getmaskarray(values).any():
        hint = "A mask says that an entry is unknown: fill it in, or drop its rows or columns."
        raise ManyLabelError(who, f"{what} without masked entries", "a masked array", hint)
    try:
        array = np.asarray(values)
    except ManyLabelError:
        raise
    except Exception as error:  # whatever the caller's own __array__ may raise
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ManyLabelError(
            who, f"{what} in rows of one length", reason, "Pass a rectangular array."
        ) from None
    if array.dtype.kind == "O":
        array = _from_objects(array, who, what)
    if array.dtype.kind not in _NUMBERS:
        raise _no_numbers(who, what, f"entries of type {array.dtype}")
    return _native(array, who, what)


def as_weights(values: Any, shape: tuple[int, int], who: str, what: str = "sample_weight") -> Tensor:
    """Weights of rows, or of the label entries of rows, as a floating tensor.

    Parameters
    ----------
    values : tensor, array, frame or list of numbers
        One for each row, or one for each row and label; none negative.
    shape : (n, n_labels)
    who, what : str
        Who asks and what for, for messages.

    Returns
    -------
    (n,) or (n, n_labels) tensor
        In its own precision; whole numbers become float32.

    Raises
    ------
    ManyLabelError
        For another shape, and for entries that are negative, infinite or NaN.
    """
    weights = as_tensor(values, who, what).detach()
    weights = weights if weights.is_floating_point() else weights.float()
    if tuple(weights.shape) not in (shape[:1], shape):
        hint = "Pass one weight for each row, or one for each row and label."
        raise ManyLabelError(
            who, f"{what} of shape ({shape[0]},) or {shape}", str(tuple(weights.shape)), hint
        )
    if weights.numel():
        low, high = (float(bound) for bound in weights.float().aminmax())
        if not (low >= 0 and high < float("inf")):
            hint = "A weight of 0 leaves a row out."
            raise ManyLabelError(who, f"{what} of finite numbers of at least 0", f"{low:g} to {high:g}", hint)
    return weights


def _native(array: NDArray[Any], who: str, what: str) -> NDArray[Any]:
    """The same numbers in the byte order of this machine and a type that torch computes with."""
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "f" and size > 8:
        return array.astype(np.float64)
    if kind == "u" and size > 1:
        if size == 8 and array.size and array.max() > np.iinfo(np.int64).max:
            raise ManyLabelError(
                who, f"{what} within int64", f"{array.max()}", "Pass floats, or smaller numbers."
            )
        return array.astype(np.int64)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _from_objects(array: NDArray[Any], who: str, what: str) -> NDArray[Any]:
    """Numbers that a frame of mixed columns holds as objects."""
    wrong = [v for v in array.flat if not isinstance(v, (bool, int, float, np.bool_, np.number))][:1]
    if wrong:
        raise _no_numbers(who, what, f"an entry {wrong[0]!r:.40} of type {type(wrong[0]).__name__}")
    if not array.size:
        raise _no_numbers(who, what, "entries of type object")
    return np.array(array.tolist())


def _checked_tensor(values: Tensor, who: str, what: str) -> Tensor:
    if values.layout != torch.strided:
        got = f"a tensor of layout {values.layout}"
        raise ManyLabelError(who, f"dense {what}", got, "Call .to_dense() on it.")
    if values.device.type == "meta":
        got = "a tensor on the device meta, which has no data"
        raise ManyLabelError(who, what, got, "Pass a tensor with data.")
    if values.is_complex():
        raise _no_numbers(who, what, f"entries of type {values.dtype}")
    return values.long() if values.dtype in _WIDE_UNSIGNED else values  # torch barely computes with these


def _no_numbers(who: str, what: str, got: str) -> ManyLabelError:
    return ManyLabelError(who, f"{what} that are real numbers or booleans", got, "Encode them as numbers.")
