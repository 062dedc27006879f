"""Frozen network of pictures: an encoder with the weights of a file, pictures brought to its size and scale."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from manylabel.data.rows import Features
from manylabel.errors import ManyLabelError
from manylabel.models.encoders import PictureEncoder, picture_encoder
from manylabel.models.frozen.base import Array, FrozenEncoder, digest_of_tensors
from manylabel.models.frozen.settings import FrozenSettings
from manylabel.models.inputs.images import check_range

BATCH = 64  # pictures
_AT_ONCE = 512  # pictures; a kill loses so many at most


class PictureNetwork(FrozenEncoder):
    """A pretrained encoder of pictures that stays as it is.

    Parameters
    ----------
    settings : FrozenSettings
    device : torch.device

    Raises
    ------
    ManyLabelError
        For an encoder that nobody knows, and one without weights or with those of another network.
    """

    kinds: ClassVar[tuple[str, ...]] = ("images",)

    def __init__(self, settings: FrozenSettings, device: torch.device) -> None:
        name, self.who = str(settings.encoder), f"encoder {settings.encoder}"
        weights = settings.weights or ("package" if name == "efficientnet_lite0" else None)
        if weights is None:
            hint = "Give the file of weights that somebody trained: fresh ones say nothing."
            raise ManyLabelError("`inputs.weights`", f"a file of weights of {name}", "none", hint)
        network = picture_encoder(name, weights).eval().requires_grad_(False)
        self.network: PictureEncoder = network.to(device)
        self.pixels = settings.pixels or network.pixels
        told = ["pictures", name, self.pixels, network.mean, network.std]
        super().__init__(settings, digest_of_tensors(network.state_dict(), told), device)

    @property
    def width(self) -> int:
        return int(self.network.out_features)

    @torch.no_grad()
    def blocks(self, X: Features) -> Iterator[Array]:
        pictures: Tensor = X.values
        check_range(pictures, dark=True)
        for start in range(0, len(pictures), _AT_ONCE):
            parts = torch.split(pictures[start : start + _AT_ONCE], BATCH)
            yield torch.cat([self.network(self._prepared(part)).float().cpu() for part in parts]).numpy()

    def _prepared(self, x: Tensor) -> Tensor:
        """Pictures of numbers from 0 to 255 as the network takes them, (B, C, pixels, pixels) float32."""
        x = x.to(self.device).float() / 255
        channels = self.network.channels
        if x.shape[1] != channels:
            if x.shape[1] != 1:
                got = f"{x.shape[1]} channels"
                raise ManyLabelError(self.who, f"pictures of {channels} channels, or grey ones", got)
            x = x.expand(-1, channels, -1, -1)
        if x.shape[2:] != (self.pixels, self.pixels):
            size = (self.pixels, self.pixels)
            x = F.interpolate(x, size, mode="bicubic", antialias=True).clamp(0, 1)
        mean, std = (self._of_channels(values) for values in (self.network.mean, self.network.std))
        return (x - mean) / std

    def _of_channels(self, values: Any) -> Tensor:
        return torch.tensor(values, device=self.device).view(1, -1, 1, 1)
