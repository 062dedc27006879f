"""Checkpoints: one safetensors file, replaced as a whole, holding all that a run needs to go on bit for bit."""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from manylabel import files
from manylabel.errors import ManyLabelError

Tensors: TypeAlias = dict[str, Tensor]

_KEY = "manylabel"  # of the header


def save(path: str | Path, tensors: Tensors, meta: dict[str, Any]) -> None:
    """Write tensors and JSON-able facts to one file, or leave the old file as it was.

    Parameters
    ----------
    path : str or Path
    tensors : dict of str to tensor
    meta : dict
        Kept as JSON in the header of the file, behind a digest of all that the file holds.

    Raises
    ------
    ManyLabelError
        If the place cannot be written.
    """
    from safetensors.torch import save as serialise

    own = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    text = json.dumps(meta)
    files.write(path, serialise(own, {_KEY: f"{_digest(own, text)} {text}"}))


def load(path: str | Path) -> tuple[Tensors, dict[str, Any]]:
    """Read what :func:`save` wrote.

    A file of an earlier version, which has no digest, is read with a warning.

    Raises
    ------
    ManyLabelError
        If there is no such file, or it is cut short, damaged, or not one of ours.
    """
    path = Path(path)
    if not path.exists():
        raise ManyLabelError(str(path), "a file written by manylabel", "no such file", "Check its name.")
    try:
        tensors, digest, text = _parts(path)
        meta = json.loads(text)
    except Exception as error:  # whatever damage makes of it
        raise _unreadable(path, f"an unreadable file ({error or type(error).__name__})") from error
    if digest is None:
        text = f"{path}: no digest, as earlier versions left none: damage would go unnoticed"
        warnings.warn(text, stacklevel=2)
    elif digest != _digest(tensors, text):
        raise _unreadable(path, "a damaged file: other numbers than were written")
    return tensors, meta


def _parts(path: Path) -> tuple[Tensors, str | None, str]:
    """Tensors, digest and the facts as JSON."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        header = file.metadata()
        if header.keys() != {_KEY}:
            raise ValueError("another header")
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    digest, _, text = header[_KEY].partition(" ")
    if digest.startswith("{"):  # of an earlier version
        return tensors, None, header[_KEY]
    return tensors, digest, text


def _digest(tensors: Tensors, text: str) -> str:
    """SHA-256 of every name, type, shape and number, and of the facts."""
    found = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def _unreadable(path: Path, got: str) -> files.Unusable:
    hint = "Delete the file to start this run anew, or restore it from a copy."
    return files.Unusable(str(path), "a checkpoint written by manylabel", got, hint)


def prefixed(prefix: str, tensors: Tensors) -> Tensors:
    """The same tensors with a dotted prefix before each name."""
    return {f"{prefix}.{name}": t for name, t in tensors.items()}


def under(prefix: str, tensors: Tensors) -> Tensors:
    """The tensors with that prefix, without it."""
    start = prefix + "."
    return {name[len(start) :]: t for name, t in tensors.items() if name.startswith(start)}


def random_state() -> Tensors:
    """The state of torch's default generators."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: Tensors) -> None:
    """Set it; torch takes copies alone, and reads a row of a larger tensor from a wrong place."""
    torch.set_rng_state(state["cpu"].clone())
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].clone())
