"""Networks by the settings of a recipe, or of the caller's own."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from manylabel.errors import ManyLabelError
from manylabel.methods.recipe import EncoderSettings
from manylabel.models import (
    MLP,
    PICTURE_ENCODERS,
    NumericMLP,
    PictureEncoder,
    Preprocessor,
    ResidualMLP,
    picture_encoder,
)
from manylabel.models.encoders import pretrained
from manylabel.models.frozen.places import folder_of
from manylabel.models.inputs import Standard, TokenPreprocessor

TEXTS = "huggingface"
"""The name of all pretrained encoders of texts."""

TAKE_ENTRIES = ("mlp", "resmlp")
"""Encoders whose first layer takes sparse rows as they are."""

_VECTOR_ENCODERS = {"mlp": MLP, "resmlp": ResidualMLP, "numeric_mlp": NumericMLP}
# dimensions of a row that a network takes
_DIMENSIONS = dict.fromkeys(_VECTOR_ENCODERS, 1) | dict.fromkeys(PICTURE_ENCODERS, 3)
_COPIES = 4  # of each weight in training: itself, its gradient and two moments


def build_encoder(settings: EncoderSettings, inputs: Preprocessor) -> nn.Module:
    """An encoder for rows of the shape of ``inputs``, with fresh weights or those that the settings name.

    Raises
    ------
    ManyLabelError
        If the network is made for another kind of data, does not fit in memory, or its weights cannot be had.
    """
    if settings.name == TEXTS:
        return _of_texts(settings, inputs)
    if _DIMENSIONS[settings.name] != inputs.n_dims or isinstance(inputs, TokenPreprocessor):
        raise ManyLabelError("encoder", f"a network for {inputs.name}", settings.name)
    if settings.weights is not None:  # they have been in memory already
        return _build(settings, inputs.shape[0])
    return fitting("encoder", lambda: _build(settings, inputs.shape[0]))


def token_inputs(settings: EncoderSettings) -> TokenPreprocessor:
    """How texts become the tokens that a pretrained encoder eats.

    Raises
    ------
    ManyLabelError
        If the settings name no encoder, or it is not there.
    """
    folder, who = _folder(settings)
    return TokenPreprocessor.of_folder(folder, settings.length, who)


def rebuilt_encoder(
    settings: EncoderSettings, inputs: Preprocessor, told: dict[str, Any] | None
) -> nn.Module:
    """The encoder of a saved model, whose weights are loaded afterwards.

    Parameters
    ----------
    settings : EncoderSettings
    inputs : Preprocessor
    told : dict or None
        ``config.json`` of a network of texts, and its pooling.

    Raises
    ------
    ManyLabelError
        If there is no such network.
    """
    if told is None:
        return build_encoder(settings.model_copy(update={"weights": None}), inputs)
    network = pretrained.new_network(told["config"], "encoder")
    assert isinstance(inputs, TokenPreprocessor), "a network of texts takes tokens"
    return pretrained.PretrainedText(network, told["pooling"], inputs.pad)


def _folder(settings: EncoderSettings) -> tuple[Path, str]:
    """Where a pretrained encoder of texts is, and what messages call it."""
    if settings.weights is None:
        hint = "Such as a folder that save_pretrained wrote, or roberta-base."
        raise ManyLabelError("encoder.weights", "a pretrained encoder of texts", "none", hint)
    return folder_of(settings.weights, "encoder.weights"), f"encoder {settings.weights}"


def _of_texts(settings: EncoderSettings, inputs: Preprocessor) -> nn.Module:
    if not isinstance(inputs, TokenPreprocessor):
        raise ManyLabelError("encoder", f"a network for {inputs.name}", settings.name)
    folder, who = _folder(settings)
    network = pretrained.read_network(folder, who)
    if settings.checkpointing:
        pretrained.checkpoint_layers(network, who)
    pooling = pretrained.pooling_of(folder) if settings.pooling == "auto" else settings.pooling
    return pretrained.PretrainedText(network, pooling, inputs.pad).train()


def standard_of(settings: EncoderSettings) -> Standard | None:
    """How pictures were when the weights that the settings name were trained; None from scratch.

    Raises
    ------
    ManyLabelError
        If the weights cannot be had.
    """
    if settings.weights is None or settings.name not in PICTURE_ENCODERS:
        return None
    network = picture_encoder(settings.name, settings.weights, widths=settings.widths)
    return Standard(network.pixels, network.mean or (), network.std or ())


def fitting(who: str, build: Callable[[], nn.Module]) -> nn.Module:
    """What ``build`` makes, unless training it would take more memory than the machine has.

    Raises
    ------
    ManyLabelError
        Names the size.
    """
    hint = "Lower the widths."
    try:
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            size = sum(p.numel() * p.element_size() for p in build().parameters())
    except (
        NotImplementedError
    ):  # a network that reads its numbers while it is built cannot be measured before
        return build()
    except (RuntimeError, OverflowError, TypeError) as error:
        got = str(error).splitlines()[0]
        raise ManyLabelError(who, "a network of a size that a machine can hold", got, hint) from error
    if _COPIES * size > _memory():
        got = f"one whose weights alone take {size / 1e9:.3g} GB"
        expected = f"a network that trains in the {_memory() / 1e9:.3g} GB of this machine"
        raise ManyLabelError(who, expected, got, hint)
    return build()


def check_batch_norm(
    network: nn.Module, rows: int, hint: str = "Give a larger batch or fewer ranks."
) -> None:
    """Refuse a single row of each rank where features are divided by their spread over the rows, which is then 0.

    Parameters
    ----------
    network : nn.Module
    rows : int
        That the smallest step of each rank has.
    hint : str

    Raises
    ------
    ManyLabelError
        If the network has a batch norm over rows, and the step a single one.
    """
    if rows < 2 and any(isinstance(module, nn.BatchNorm1d) for module in network.modules()):
        raise ManyLabelError("batch norm", "at least 2 rows of a step on each rank", str(rows), hint)


def compile_networks(on: bool, *networks: nn.Module) -> None:
    """Let calls of networks go through ``torch.compile``, or as they are written."""
    for network in networks:
        network._compiled_call_impl = None
        if on:
            network.compile()


def _memory() -> float:
    """Bytes of this machine, infinite where that cannot be told."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return float("inf")


def _build(settings: EncoderSettings, size: int) -> nn.Module:
    if settings.name in PICTURE_ENCODERS:
        return picture_encoder(settings.name, settings.weights, size, settings.widths)
    chosen: dict[str, Any] = {"dropout": settings.dropout}
    if settings.widths is not None:
        chosen["widths"] = settings.widths
    if settings.sigma is not None:  # of numeric_mlp alone
        chosen["sigma"] = settings.sigma
    return _VECTOR_ENCODERS[settings.name](size, **chosen)


def check_network(who: str, network: object) -> None:
    """Refuse an encoder of the caller's own that is no network.

    Raises
    ------
    ManyLabelError
        For anything but an nn.Module whose weights are made.
    """
    if network is None:
        return
    if not isinstance(network, nn.Module):
        hint = "Pass an instance of torch.nn.Module."
        got = f"the class {network.__name__}" if isinstance(network, type) else type(network).__name__
        raise ManyLabelError(who, "an encoder that is an nn.Module", got, hint)
    if any(nn.parameter.is_lazy(p) for p in (*network.parameters(), *network.buffers())):
        hint = "Call it once on rows before you pass it."
        raise ManyLabelError(who, "an encoder whose weights are made", "lazy weights", hint)


def copied(network: nn.Module) -> nn.Module:
    """A copy of the caller's own network, which training leaves as it is."""
    try:
        return copy.deepcopy(network)
    except Exception as error:  # whatever a part of the network may raise
        hint = "Keep nothing in it that cannot be copied, such as the results of an earlier call."
        raise ManyLabelError("encoder", "a network that can be copied", _first_line(error), hint) from error


@torch.no_grad()
def check_encoder(encoder: nn.Module, inputs: Preprocessor) -> int:
    """How many numbers a network of the caller's own makes of one row, tried on two rows of zeros.

    Raises
    ------
    ManyLabelError
        If it does not turn (B, *shape) into (B, H).
    """
    shape = f"(2, {', '.join(map(str, inputs.shape))})"
    expected, mode = f"rows of shape {shape} to become (2, H)", encoder.training
    try:
        out = encoder.eval()(torch.zeros(2, *inputs.shape, device=inputs.mean.device))
    except Exception as error:  # whatever the caller's own network may raise
        hint = "Make its first layer for such rows, in float32."
        raise ManyLabelError("encoder", expected, _first_line(error), hint) from error
    finally:
        encoder.train(mode)
    if not isinstance(out, torch.Tensor):
        raise ManyLabelError("encoder", expected, type(out).__name__, "Return one tensor.")
    if out.ndim != 2 or len(out) != 2 or out.shape[1] == 0:
        raise ManyLabelError("encoder", expected, str(tuple(out.shape)), "Flatten what it returns.")
    if out.dtype != torch.float32:
        raise ManyLabelError("encoder", "numbers of float32", str(out.dtype), "Call .float() on it.")
    return int(out.shape[1])


def width(encoder: nn.Module, inputs: Preprocessor) -> int:
    """How many numbers an encoder makes of one row.

    Raises
    ------
    ManyLabelError
        If it does not turn (B, *shape) into (B, H).
    """
    if isinstance(encoder, MLP | ResidualMLP | NumericMLP | PictureEncoder | pretrained.PretrainedText):
        return int(encoder.out_features)
    return check_encoder(encoder, inputs)


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
