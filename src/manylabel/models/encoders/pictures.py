"""What every encoder of pictures tells of itself."""

from __future__ import annotations

from torch import nn


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
