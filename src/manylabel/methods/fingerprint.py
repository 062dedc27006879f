"""Fingerprints: a digest of everything that decides what a training learns."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from types import CodeType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from manylabel import __version__
from manylabel.arrays import as_array
from manylabel.data.dataset import Rows
from manylabel.data.rows.base import add_piece

_PLAIN = (bool, int, float, complex, str, bytes, type(None))


def fingerprint(settings: str, network: nn.Module | None, *parts: Rows) -> str:
    """The digest of a training: two trainings with one digest learn the same.

    Parameters
    ----------
    settings : str
        Recipe, kind of data and seed, as text.
    network : nn.Module or None
        The caller's own, before it is trained: structure, weights and code.
    *parts : Rows
        Training and validation rows, whose contents are read.

    Returns
    -------
    str
        sha256, which reads more than a gigabyte a second.
    """
    digest = hashlib.sha256()
    add = partial(add_piece, digest)
    add(f"manylabel {__version__}\n{settings}".encode())
    for rows in parts:
        for piece in _of_rows(rows):
            add(piece)
    for piece in _of_network(network) if network is not None else ():
        add(piece)
    return digest.hexdigest()


def _of_rows(rows: Rows) -> Iterator[Any]:
    X, Y = rows.X, rows.Y.sparse().to("cpu")
    yield f"{type(X).__name__} {len(X)} {X.dtype}".encode()
    yield from X.content()
    yield repr(Y.shape).encode()
    for numbers in (Y.offsets, Y.columns):
        yield from _of_tensor(numbers.long())
    yield from _of_tensor(torch.ones(0) if Y.weights is None else Y.weights)
    if Y.n_unknown:
        unknown = Y.unknown.sparse()
        for numbers in (unknown.offsets, unknown.columns):
            yield from _of_tensor(numbers.long())
    if rows.weights is not None:
        yield b"weights"
        yield from _of_array(rows.weights)


def _of_tensor(values: Tensor) -> Iterator[Any]:
    yield str(values.dtype).encode()
    values = values.detach().cpu()
    yield from _of_array(
        as_array(values.view(torch.int16) if values.dtype == torch.bfloat16 else values, "fit")
    )


def _of_array(values: np.ndarray[Any, Any]) -> Iterator[Any]:
    yield f"{values.dtype} {values.shape}".encode()
    yield np.ascontiguousarray(values).reshape(-1)


def _of_network(network: nn.Module) -> Iterator[Any]:
    """Structure and initial weights; of each module also its plain attributes and the code of its forward pass."""
    yield repr(network).encode()
    for name, module in network.named_modules():
        kind = type(module)
        own = {key: value for key, value in vars(module).items() if _is_plain(value) and key != "training"}
        yield f"{name} {kind.__module__}.{kind.__qualname__} {sorted(own.items())!r}".encode()
        yield _code(getattr(kind.forward, "__code__", None)).encode()
    for name, values in (*network.named_parameters(), *network.named_buffers()):
        yield f"{name} {values.requires_grad}".encode()
        yield from _of_tensor(values)


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(_is_plain(entry) for entry in value)
    return isinstance(value, _PLAIN)


def _code(code: Any) -> str:
    """What a function does, wherever it stands."""
    if not isinstance(code, CodeType):
        return ""
    inner = [_code(value) if isinstance(value, CodeType) else repr(value) for value in code.co_consts]
    return f"{code.co_code.hex()} {code.co_names} {inner}"
