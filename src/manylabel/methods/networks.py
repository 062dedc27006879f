"""Networks by the settings of a recipe."""

from __future__ import annotations

import torch
from torch import nn

from manylabel.errors import ManyLabelError
from manylabel.methods.recipe import EncoderSettings
from manylabel.models import MLP, Inputs, ResNet50, SmallResNet


def build_encoder(settings: EncoderSettings, inputs: Inputs) -> nn.Module:
    """An encoder with fresh weights for rows of the shape of ``inputs``."""
    if (settings.name == "mlp") != (inputs.kind == "vectors"):
        raise ManyLabelError("encoder", f"a network for {inputs.kind}", settings.name)
    size = inputs.shape[0]
    if settings.name == "resnet50":
        return ResNet50(size)
    if settings.name == "small_resnet":
        return SmallResNet(size) if settings.widths is None else SmallResNet(size, settings.widths)
    if settings.widths is None:
        return MLP(size, dropout=settings.dropout)
    return MLP(size, settings.widths, settings.dropout)


@torch.no_grad()
def width(encoder: nn.Module, inputs: Inputs) -> int:
    """How many numbers an encoder makes of one row.

    Raises
    ------
    ManyLabelError
        If it does not turn (B, *shape) into (B, H).
    """
    declared = getattr(encoder, "out_features", None)
    if isinstance(declared, int):
        return declared
    mode = encoder.training
    out = encoder.eval()(torch.zeros(2, *inputs.shape, device=inputs.mean.device))
    encoder.train(mode)
    if out.ndim != 2 or len(out) != 2:
        shape = f"(2, {', '.join(map(str, inputs.shape))})"
        raise ManyLabelError("encoder", f"rows of shape {shape} to become (2, H)", str(tuple(out.shape)))
    return int(out.shape[1])
