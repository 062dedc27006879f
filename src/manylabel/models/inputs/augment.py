"""Random views of a batch, masked vectors or augmented pictures, drawn with torch's default generator."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional as F

from manylabel.errors import ManyLabelError, missing_extra

View: TypeAlias = Callable[[Tensor], Tensor]

_LEVELS = 1 << 16
_ASPECT = 4 / 3  # a crop is at most so much wider than high, or higher than wide
_JITTERED = 0.8  # share of pictures whose colours change


class ViewSettings(BaseModel):
    """How rows are disturbed in training.

    Attributes
    ----------
    mask : float, default 0
        Vectors: the probability of each feature to be set to 0 after standardisation.
    crop : float, default 1
        Images: the smallest share of the picture's area that a random crop keeps; 1 does not crop.
    flip : bool, default False
        Images: mirror at random.
    jitter : float, default 0
        Images: strength of random changes of brightness and contrast (and of saturation and hue of coloured ones).
    greyscale : float, default 0
        Coloured images: the probability of losing the colour.
    blur : float, default 0
        Images: the probability of being blurred.
    operations : int, default 0
        Images: operations that RandAugment picks.
    magnitude : int, default 9
        Of these operations, from 1 to 29.
    cutout : float, default 0
        Images: side of a square of one colour somewhere in the picture, as a share of the picture's sides.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    mask: float = Field(0.0, ge=0, lt=1)
    crop: float = Field(1.0, gt=0, le=1)
    flip: bool = False
    jitter: float = Field(0.0, ge=0)
    greyscale: float = Field(0.0, ge=0, le=1)
    blur: float = Field(0.0, ge=0, le=1)
    operations: int = Field(0, ge=0, le=10)
    magnitude: int = Field(9, ge=1, le=29)
    cutout: float = Field(0.0, ge=0, le=1)


def keep_mask(shape: torch.Size | tuple[int, ...], p: float, device: torch.device | str = "cpu") -> Tensor:
    """A float32 mask whose entries are independently 0 with probability ``p``, else 1.

    Parameters
    ----------
    shape : tuple of int
    p : float, from 0 to below 1
        On the CPU rounded to a multiple of 2**-16: one 64-bit draw decides four entries, which takes a
        quarter of the time of drawing each.
    device : torch.device, default the CPU
    """
    device = torch.device(device)
    if device.type != "cpu":
        return (torch.rand(shape, device=device) >= p).float()
    n = torch.Size(shape).numel()
    # from -2**63 with no upper end: random_() alone leaves the top bit 0, which would bias every fourth entry
    draws = torch.empty((n + 3) // 4, dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
    return (draws[:n] >= round(p * _LEVELS) - _LEVELS // 2).float().view(shape)


def mask(x: Tensor, p: float) -> Tensor:
    """Zero each entry of ``x`` with probability ``p``; the others stay as they are."""
    return x * keep_mask(x.shape, p, x.device).to(x.dtype)


def need_kornia(who: str) -> None:
    """Refuse what needs kornia where it is not installed.

    Raises
    ------
    ManyLabelError
        Names the extra.
    """
    try:
        import kornia  # noqa: F401
    except ImportError:
        raise missing_extra(who, "kornia", "vision") from None


class ImageViews:
    """Crop, mirror and recolour the pictures of a batch at random, each with its own draw.

    Parameters
    ----------
    crop : float, default 0.2
        Smallest share of the picture's area that a crop keeps before it is enlarged to the full size; 1 does
        not crop.
    flip : bool, default False
        Mirror left and right with probability 0.5.
    jitter : float, default 0.4
        With probability 0.8, brightness and contrast are multiplied by a factor from ``1 - jitter`` to ``1 +
        jitter``; in coloured pictures saturation too, and the hue turns by up to ``jitter / 4`` of the
        circle. 0 changes nothing.
    greyscale : float, default 0.2
        Probability that a coloured picture loses its colour.
    blur : float, default 0
        Probability of a Gaussian blur, of a standard deviation from 0.1 to 2 pixels over a tenth of the picture.
    size : (height, width), default that of the pictures
        Of the views where they are cropped or mirrored.

    Raises
    ------
    ManyLabelError
        If a setting is out of range, or kornia is missing where colours are to be changed.

    Notes
    -----
    Crop and mirror are one bilinear resampling. The defaults of jitter and greyscale are those of SimCLR, which also
    mirrors and blurs half of the pictures; crop and mirror alone are its simple mode.

    Examples
    --------
    >>> import torch
    >>> ImageViews(crop=0.5, jitter=0)(torch.rand(8, 3, 32, 32)).shape
    torch.Size([8, 3, 32, 32])
    """

    def __init__(
        self,
        crop: float = 0.2,
        flip: bool = False,
        jitter: float = 0.4,
        greyscale: float = 0.2,
        blur: float = 0.0,
        size: tuple[int, ...] | None = None,
    ) -> None:
        if not 0 < crop <= 1:
            raise ManyLabelError("ImageViews", "crop above 0 and up to 1", f"{crop:g}")
        if jitter < 0 or not 0 <= greyscale <= 1 or not 0 <= blur <= 1:
            expected = "jitter of at least 0, greyscale and blur from 0 to 1"
            raise ManyLabelError("ImageViews", expected, f"{jitter:g}, {greyscale:g} and {blur:g}")
        self.crop, self.flip, self.jitter, self.greyscale, self.size = crop, flip, jitter, greyscale, size
        self.blur = blur
        if jitter or greyscale or blur:
            need_kornia("ImageViews")

    def __call__(self, x: Tensor) -> Tensor:
        """A view of each picture, (B, C, H, W) in [0, 1] -> the same."""
        if self.crop < 1 or self.flip:
            x = self._resampled(x)
        if self.jitter:
            x = self._jittered(x)
        if self.greyscale and x.shape[1] == 3:
            from kornia.color import rgb_to_grayscale

            grey = torch.rand(len(x), 1, 1, 1, device=x.device) < self.greyscale
            x = torch.where(grey, rgb_to_grayscale(x), x)
        return self._blurred(x) if self.blur else x

    def _resampled(self, x: Tensor) -> Tensor:
        n = len(x)
        area = self._between(n, self.crop, 1, x)
        widest = -area.log().clamp(min=-math.log(_ASPECT))  # no side may be longer than the picture's
        stretch = self._between(n, -0.5, 0.5, x).mul(widest).exp()
        size = torch.stack([area.sqrt() * stretch, area.sqrt() / stretch], 1)  # width, height
        centre = (1 - size) * self._between((n, 2), -1, 1, x)
        if self.flip:
            size[:, 0] *= torch.randint(2, (n,), device=x.device) * 2 - 1
        theta = torch.cat([torch.diag_embed(size), centre[:, :, None]], 2)  # (n, 2, 3)
        grid = F.affine_grid(theta, [*x.shape[:2], *(self.size or x.shape[2:])], align_corners=False)
        return F.grid_sample(x, grid.to(x.dtype), padding_mode="border", align_corners=False)

    def _jittered(self, x: Tensor) -> Tensor:
        from kornia import enhance

        n, low, high = len(x), max(0.0, 1 - self.jitter), 1 + self.jitter
        y = enhance.adjust_brightness_accumulative(x, self._between(n, low, high, x))
        y = enhance.adjust_contrast_with_mean_subtraction(y, self._between(n, low, high, x))
        if x.shape[1] == 3:
            y = enhance.adjust_saturation_with_gray_subtraction(y, self._between(n, low, high, x))
            turn = min(self.jitter / 4, 0.5) * 2 * math.pi
            y = enhance.adjust_hue(y, self._between(n, -turn, turn, x))
        return torch.where(torch.rand(n, 1, 1, 1, device=x.device) < _JITTERED, y, x)

    def _blurred(self, x: Tensor) -> Tensor:
        from kornia.filters import gaussian_blur2d

        rows = (torch.rand(len(x), device=x.device) < self.blur).nonzero()[:, 0]
        sigma = self._between((len(rows), 1), 0.1, 2, x).expand(-1, 2)
        size = max(x.shape[2:]) // 20 * 2 + 1  # odd, about a tenth of the picture
        return x.index_copy(0, rows, gaussian_blur2d(x[rows], size, sigma)) if len(rows) else x

    @staticmethod
    def _between(shape: int | tuple[int, ...], low: float, high: float, like: Tensor) -> Tensor:
        return torch.rand(shape, device=like.device) * (high - low) + low
