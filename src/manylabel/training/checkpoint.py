"""Checkpoints: one safetensors file, replaced as a whole, holding all that a run needs to go on bit for bit."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from manylabel.errors import ManyLabelError

Tensors: TypeAlias = dict[str, Tensor]


def save(path: Path, tensors: Tensors, meta: dict[str, Any]) -> None:
    """Write tensors and JSON-able facts to one file, or leave the old file as it was.

    Parameters
    ----------
    path : Path
    tensors : dict of str to tensor
    meta : dict
        Kept as JSON in the header of the file.
    """
    from safetensors.torch import save as serialise

    own = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    partial = path.with_suffix(path.suffix + ".partial")
    with open(partial, "wb") as file:
        file.write(serialise(own, {"manylabel": json.dumps(meta)}))
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def load(path: Path) -> tuple[Tensors, dict[str, Any]]:
    """Read what :func:`save` wrote.

    Raises
    ------
    ManyLabelError
        If there is no such file, or it is cut short, damaged, or not one of ours.
    """
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        raise ManyLabelError(str(path), "a file written by manylabel", "no such file", "Check its name.")
    try:
        with safe_open(path, framework="pt") as file:
            meta = json.loads((file.metadata() or {})["manylabel"])
            return {name: file.get_tensor(name) for name in file.keys()}, meta  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        hint = "Delete the file to start this run anew."
        raise ManyLabelError(
            str(path), "a checkpoint written by manylabel", f"an unreadable file ({error})", hint
        ) from error


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
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
