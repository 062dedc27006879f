"""What every encoder of pictures tells of itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PictureEncoder(nn.Module):
    """A network (B, channels, height, width) -> (B, out_features).

    Attributes
    ----------
    out_features : int
    channels : int
        Of the pictures.
    pixels : int
        Side of the pictures that it was made for; it takes others as well.
    mean, std : tuple of float, one for each channel, or None
        With which pictures in [0, 1] were standardised when its weights were trained; None from scratch.
    left_out : tuple of str
        Names in the file of its weights that it has no place for, such as a classifier.
    """

    out_features: int
    channels: int = 3
    pixels: int = 224
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    left_out: tuple[str, ...] = ()


class Convolutional(PictureEncoder):
    """An encoder whose maps are channels-last in memory, on which convolutions are faster.

    Only maps of our own networks are: others may flatten them with ``view``, which channels-last maps refuse. Weights
    are contiguous: safetensors writes no others, and convolutions reorder them as they like.
    """

    def initialise(self) -> None:
        """Convolutions Kaiming normal (fan out, ReLU)."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Pictures (B, channels, height, width) -> (B, out_features)."""
        return self.encode(x.contiguous(memory_format=torch.channels_last))

    def encode(self, x: Tensor) -> Tensor:
        """Of pictures that are channels-last."""
        raise NotImplementedError
