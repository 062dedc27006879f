"""Weights of encoders from files: safetensors and torch state dicts of the usual naming, without unpickling."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from manylabel import files
from manylabel.errors import ManyLabelError

_CLASSIFIERS = re.compile(r"(_?fc|heads?|head_dist|classifier|pre_logits)\.")
_WRAPPERS = (
    "state_dict",
    "model_state_dict",
    "model",
    "state_dict_ema",
)  # of a checkpoint around its weights
_TORCHVISION_VIT = (  # its names, and those of timm, which are ours
    (r"encoder\.layers\.encoder_layer_(\d+)\.", r"blocks.\1."),
    (r"encoder\.pos_embedding$", "pos_embed"),
    (r"encoder\.ln\.", "norm."),
    (r"class_token$", "cls_token"),
    (r"conv_proj\.", "patch_embed.proj."),
    (r"\.ln_([12])\.", r".norm\1."),
    (r"\.self_attention\.in_proj_", ".attn.qkv."),
    (r"\.self_attention\.out_proj\.", ".attn.proj."),
    (r"\.mlp\.(?:0|linear_1)\.", ".mlp.fc1."),
    (r"\.mlp\.(?:3|linear_2)\.", ".mlp.fc2."),
)
_COUNTER = "num_batches_tracked"  # of batch norms, which old files lack
_SHOWN = 4  # keys that an error names


def read_weights(path: str | PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a file: safetensors, or what torch.save wrote of a state dict, alone or in a checkpoint.

    Raises
    ------
    ManyLabelError
        If there is no such file, it is damaged, or it holds anything but tensors.
    """
    path = files.as_path(path, "weights")
    try:
        found = _read(path)
    except OSError as error:  # not there, a folder, not readable, too long a name
        got = error.strerror or str(error)
        raise ManyLabelError(f"weights {path}", "a file of weights", got, "Check the path.") from None
    except Exception as error:  # whatever damage makes of it
        got = (str(error) or type(error).__name__).splitlines()[0][:200]
        hint = (
            "Save the `state_dict()` of a network with safetensors or torch.save; other objects are not read."
        )
        raise ManyLabelError(
            f"weights {path}", "a state dict in safetensors or torch's format", got, hint
        ) from None
    for wrapper in _WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
    if not isinstance(found, Mapping) or not found or not all(isinstance(t, Tensor) for t in found.values()):
        hint = "Save the `state_dict()` of the network alone."
        raise ManyLabelError(f"weights {path}", "names with a tensor each", type(found).__name__, hint)
    return dict(found)


def _read(path: Path) -> Any:
    with open(path, "rb") as file:
        start = file.read(9)
    if start[8:] == b"{":  # behind the eight bytes that tell the length of a safetensors header
        from safetensors.torch import load_file

        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def load_weights(network: nn.Module, tensors: Mapping[str, Tensor], who: str = "weights") -> tuple[str, ...]:
    """Give an encoder the weights of a file.

    Parameters
    ----------
    network : nn.Module
    tensors : dict of str to tensor
        By the names of torchvision or timm. A prefix before all names of the encoder, such as ``module.`` or
        ``encoder.``, is no part of them.
    who : str
        For messages.

    Returns
    -------
    left_out : tuple of str
        Names in the file that are none of the encoder's: its classifier, and what has another prefix.

    Raises
    ------
    ManyLabelError
        If weights of the encoder are missing or have another shape, or the file has others, as a deeper network has.
    """
    renamed = {_renamed(key): key for key in tensors}
    own = network.state_dict()
    prefix = _prefix(own, renamed)
    inside = {key.removeprefix(prefix): source for key, source in renamed.items() if key.startswith(prefix)}
    missing = [key for key in own if key not in inside and not key.endswith(_COUNTER)]
    if missing:
        hint = "Name the network that the weights were trained with."
        raise ManyLabelError(
            who, f"weights of all {len(own)} parts of the network", f"none of {_some(missing)}", hint
        )
    surplus = sorted(key for key in inside if key not in own and not key.endswith(_COUNTER))
    others = [inside[key] for key in surplus if not _CLASSIFIERS.match(key)]
    if others:
        hint = "Name the network that the weights were trained with."
        raise ManyLabelError(
            who, "weights of this network and a classifier", f"{_some(others)} as well", hint
        )
    state = {key: tensors[inside[key]] for key in own if key in inside}
    wrong = [f"{key} {tuple(t.shape)}" for key, t in state.items() if t.shape != own[key].shape]
    if wrong:
        name = wrong[0].partition(" ")[0]
        raise ManyLabelError(who, f"{name} of shape {tuple(own[name].shape)}", _some(wrong), "")
    network.load_state_dict(own | state)
    return tuple(sorted(tensors.keys() - {inside[key] for key in state}))


def input_channels(network: nn.Module, tensors: Mapping[str, Tensor]) -> int:
    """Channels of the pictures that weights of a file were trained with; of the network where that cannot be told."""
    own = network.state_dict()
    first = next(name for name, tensor in own.items() if tensor.ndim == 4)
    renamed = {_renamed(key): key for key in tensors}
    source = renamed.get(_prefix(own, renamed) + first)
    kernel = own[first] if source is None or tensors[source].ndim != 4 else tensors[source]
    return int(kernel.shape[1])


def _renamed(key: str) -> str:
    for theirs, ours in _TORCHVISION_VIT:
        key = re.sub(theirs, ours, key)
    return key


def _prefix(own: Mapping[str, Tensor], keys: Mapping[str, str]) -> str:
    """What stands before the names of the network in a file: of those before its first name the one that fits most."""
    first = next(iter(own))
    candidates = {key[: -len(first)] for key in keys if key == first or key.endswith(f".{first}")} | {""}
    return max(candidates, key=lambda prefix: (sum(prefix + key in keys for key in own), -len(prefix)))


def _some(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more
