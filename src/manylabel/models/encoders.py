"""Encoders: the network from one row to its representation of ``out_features`` numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from manylabel.models.inputs.augment import keep_mask


def scaled_mask(n: int, p: float, like: Tensor) -> Tensor:
    """``n`` factors for dropout: 0 with probability ``p``, else ``1 / (1 - p)``; dtype and device of ``like``."""
    return keep_mask((n,), p, like.device).mul_(1 / (1 - p)).to(like.dtype)


class Dropout(nn.Module):
    """Dropout whose mask costs a quarter of a random draw per entry on a CPU.

    Parameters
    ----------
    p : float, default 0.2
        Share of entries set to zero in training; the others are scaled by ``1 / (1 - p)``.
    """

    def __init__(self, p: float = 0.2) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        return x * scaled_mask(x.numel(), self.p, x).view_as(x)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class MLP(nn.Module):
    """Blocks of Linear, ReLU and dropout, the last one included.

    Parameters
    ----------
    n_features : int
    widths : sequence of int, default (256, 512, 256)
    dropout : float, default 0.2

    Notes
    -----
    (B, n_features) -> (B, widths[-1]). The defaults are the vector encoder of Zhang and Wu, AAAI 2024. The dropout
    masks of all layers are one draw.
    """

    def __init__(
        self, n_features: int, widths: Sequence[int] = (256, 512, 256), dropout: float = 0.2
    ) -> None:
        super().__init__()
        sizes = [n_features, *widths]
        self.layers = nn.ModuleList(nn.Linear(i, o) for i, o in pairwise(sizes))
        self.widths, self.dropout, self.out_features = tuple(widths), dropout, sizes[-1]

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.dropout == 0:
            for layer in self.layers:
                x = torch.relu(layer(x))
            return x
        sizes = [len(x) * width for width in self.widths]
        masks = torch.split(scaled_mask(sum(sizes), self.dropout, x), sizes)
        for layer, mask, width in zip(self.layers, masks, self.widths, strict=True):
            x = torch.relu(layer(x)) * mask.view(-1, width)
        return x


class ResidualMLP(nn.Module):
    """A residual network for vectors: blocks of batch norm, Linear, ReLU, dropout and Linear beside a shortcut.

    Parameters
    ----------
    n_features : int
    widths : sequence of int, default (256, 512, 512)
        Numbers between blocks, then inside of each block.
    dropout : float, default 0.2

    Notes
    -----
    (B, n_features) -> (B, widths[0]), after a last batch norm and ReLU. After the ResNet of Y. Gorishniy et al.,
    *Revisiting Deep Learning Models for Tabular Data*, NeurIPS 2021. A training step takes at least two rows.
    """

    def __init__(
        self, n_features: int, widths: Sequence[int] = (256, 512, 512), dropout: float = 0.2
    ) -> None:
        super().__init__()
        size = widths[0]
        self.first = nn.Linear(n_features, size)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.BatchNorm1d(size),
                nn.Linear(size, inner),
                nn.ReLU(),
                Dropout(dropout),
                nn.Linear(inner, size),
            )
            for inner in widths[1:]
        )
        self.last = nn.BatchNorm1d(size)
        self.out_features = size

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)  # (B, widths[0])
        for block in self.blocks:
            x = x + block(x)
        return torch.relu(self.last(x))


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
