"""Encoders of pictures: residual networks."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from manylabel.errors import ManyLabelError
from manylabel.models.encoders.pictures import PictureEncoder


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(channels_in, channels, 3, stride), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = _conv(channels, channels, 3), nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(channels_in, channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out.add_(self.downsample(x)))  # type: ignore[no-any-return]


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 (with the stride) and 1 x 1 convolutions and a shortcut; the output has ``4 * channels`` maps."""

    expansion = 4

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = _conv(channels_in, channels, 1), nn.BatchNorm2d(channels)
        self.conv2, self.bn2 = _conv(channels, channels, 3, stride), nn.BatchNorm2d(channels)
        self.conv3, self.bn3 = _conv(channels, 4 * channels, 1), nn.BatchNorm2d(4 * channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(channels_in, 4 * channels, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out.add_(self.downsample(x)))  # type: ignore[no-any-return]


class SmallResNet(nn.Sequential, PictureEncoder):
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
        self.out_features, self.channels, self.pixels = widths[-1], channels, 32
        initialise(self)


DEPTHS: dict[int, tuple[type[BasicBlock | Bottleneck], tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
}
"""Blocks of each stage of a residual network, by its number of layers."""


class ResNet(PictureEncoder):
    """A residual network for pictures of about 224 x 224 pixels, without its last layer.

    Parameters
    ----------
    depth : 18, 34, 50 or 101
        Layers, counted with the last one of the published network; from 50 on blocks are bottlenecks whose stride is
        on the 3 x 3 convolution.
    channels : int, default 3
        Of the pictures.

    Notes
    -----
    (B, channels, height, width) -> (B, 512), or (B, 2048) from depth 50 on, after global average pooling. Convolutions
    start Kaiming normal (fan out), batch norms at weight 1 and bias 0, the last one of each block included, as in Zhang
    and Wu, AAAI 2024. After K. He et al., *Deep Residual Learning for Image Recognition*, CVPR 2016; parameters have
    the names that published weights have.
    """

    def __init__(self, depth: int = 50, channels: int = 3) -> None:
        super().__init__()
        if depth not in DEPTHS:
            raise ManyLabelError("ResNet", f"depth as one of {', '.join(map(str, DEPTHS))}", repr(depth))
        block, repeats = DEPTHS[depth]
        self.conv1, self.bn1 = _conv(channels, 64, 7, 2), nn.BatchNorm2d(64)
        self.relu, self.maxpool = nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        before, stages = 64, []
        for width, n, stride in zip((64, 128, 256, 512), repeats, (1, 2, 2, 2), strict=True):
            stages.append(_stage(block, before, width, n, stride))
            before = block.expansion * width
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.out_features, self.channels = before, channels
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))  # (B, 64, height / 4, width / 4)
        x = self.layer4(
            self.layer3(self.layer2(self.layer1(x)))
        )  # (B, out_features, height / 32, width / 32)
        return x.mean((2, 3))


def _stage(
    block: type[BasicBlock | Bottleneck], channels_in: int, channels: int, n: int, stride: int
) -> nn.Sequential:
    """Blocks of one width, of which the first one has the stride."""
    rest = (block(block.expansion * channels, channels, 1) for _ in range(n - 1))
    return nn.Sequential(block(channels_in, channels, stride), *rest)


def _conv(channels_in: int, channels: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(channels_in, channels, size, stride, size // 2, bias=False)


def _shortcut(channels_in: int, channels: int, stride: int) -> nn.Module:
    if stride == 1 and channels_in == channels:
        return nn.Identity()
    return nn.Sequential(_conv(channels_in, channels, 1, stride), nn.BatchNorm2d(channels))


def initialise(network: nn.Module) -> None:
    """Convolutions Kaiming normal (fan out, ReLU)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
