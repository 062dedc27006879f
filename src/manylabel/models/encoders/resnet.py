"""Encoders of pictures: residual networks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            _conv(channels_in, channels, 3, stride),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            _conv(channels, channels, 3),
            nn.BatchNorm2d(channels),
        )
        self.shortcut = _shortcut(channels_in, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.residual(x) + self.shortcut(x))


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 (with the stride) and 1 x 1 convolutions and a shortcut; the output has ``4 * channels`` maps."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            _conv(channels_in, channels, 1),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            _conv(channels, channels, 3, stride),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            _conv(channels, 4 * channels, 1),
            nn.BatchNorm2d(4 * channels),
        )
        self.shortcut = _shortcut(channels_in, 4 * channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.residual(x) + self.shortcut(x))


class SmallResNet(nn.Sequential):
    """A residual network for images of about 32 x 32 pixels.

    Parameters
    ----------
    channels : int
        Channels of the images.
    widths : sequence of int, default (16, 32, 64)
        Maps of each stage; each stage is one block and halves the picture, after a stem that halves it too.

    Notes
    -----
    (B, channels, height, width) -> (B, widths[-1]).
    """

    def __init__(self, channels: int, widths: Sequence[int] = (16, 32, 64)) -> None:
        stem = [_conv(channels, widths[0], 3, 2), nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True)]
        stages: list[nn.Module] = []
        for before, after in zip([widths[0], *widths[:-1]], widths, strict=True):
            stages.append(BasicBlock(before, after, 1 if before == after else 2))
        super().__init__(*stem, *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.out_features: int = widths[-1]
        _initialise(self)


class ResNet50(nn.Sequential):
    """ResNet-50, from scratch: bottlenecks 3-4-6-3, stride on the 3 x 3 convolution, global average pooling.

    Parameters
    ----------
    channels : int, default 3

    Notes
    -----
    (B, channels, height, width) -> (B, 2048); made for 224 x 224 pixels. Convolutions start Kaiming normal (fan out),
    batch norms at weight 1 and bias 0, the last one of each block included, as in Zhang and Wu, AAAI 2024.
    """

    def __init__(self, channels: int = 3) -> None:
        stem = [_conv(channels, 64, 7, 2), nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
        stages: list[nn.Module] = []
        before = 64
        for width, depth, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
            for block in range(depth):
                stages.append(Bottleneck(before, width, stride if block == 0 else 1))
                before = 4 * width
        super().__init__(*stem, *stages, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.out_features: int = before
        _initialise(self)


def _conv(channels_in: int, channels: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels, size, stride, size // 2, bias=False)


def _shortcut(channels_in: int, channels: int, stride: int) -> nn.Module:
    if stride == 1 and channels_in == channels:
        return nn.Identity()
    return nn.Sequential(_conv(channels_in, channels, 1, stride), nn.BatchNorm2d(channels))


def _initialise(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
