"""Pictures for an encoder: from bytes to [0, 1], standardised channel by channel."""

from __future__ import annotations

import math
from functools import reduce
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from manylabel.data.rows import Features, Images, as_features
from manylabel.errors import ManyLabelError
from manylabel.models.inputs.augment import ImageViews, View, ViewSettings
from manylabel.models.inputs.base import Preprocessor
from manylabel.models.inputs.policies import Cutout, RandAugment

_LEAST = 16  # pictures of a block
_NUMBERS = 2**24  # of the pictures of a block: maps of an encoder are larger
_PICTURES = 256  # looked at at a time for their statistics


class Standard(NamedTuple):
    """How pictures were when the weights of an encoder were trained.

    Attributes
    ----------
    pixels : int
        Their side.
    mean, std : tuple of float
        Of each channel, for pictures in [0, 1].
    """

    pixels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


class ImagePreprocessor(Preprocessor):
    """Pictures, divided by 255, brought to a size and standardised channel by channel after they are augmented.

    Parameters
    ----------
    rows : (channels, height, width)
        Of the pictures as they come.
    shape : (channels, height, width), default as they come
        Of those that the encoder eats. Grey pictures may become coloured ones of three equal channels, coloured ones
        grey by the mean of their channels.
    """

    name: ClassVar[str] = "images"
    n_dims: ClassVar[int] = 3

    def __init__(self, rows: tuple[int, ...], shape: tuple[int, ...] | None = None) -> None:
        shape = tuple(rows if shape is None else shape)
        super().__init__(shape, (shape[0], 1, 1))
        self.rows = tuple(rows)

    @classmethod
    def fit(cls, X: Images, pixels: int | None = None, standard: Standard | None = None) -> Self:
        """Mean and scale of the channels of training pictures, or those that the weights of an encoder ask for.

        Parameters
        ----------
        X : Images
        pixels : int or None, default None
            Side to which pictures are brought; None takes that of ``standard``, and else leaves them as they are.
        standard : Standard or None, default None

        Raises
        ------
        ManyLabelError
            For numbers that no byte has, training pictures that are all but black, and coloured pictures where the
            weights were trained on grey ones.
        """
        check_range(X.values)
        rows = X.shape[1:]
        if pixels is None and standard is not None:
            pixels = standard.pixels
        channels = rows[0] if standard is None else len(standard.mean)
        if rows[0] not in (1, channels):
            hint = "Take weights of coloured pictures, or make these grey."
            raise ManyLabelError("X", f"pictures of {channels} channels as the weights", str(rows[0]), hint)
        made = cls(rows, (channels, *(rows[1:] if pixels is None else (pixels, pixels))))
        mean, std = (
            _statistics(X.values) if standard is None else (torch.tensor(part) for part in standard[1:])
        )
        made.mean.copy_(mean.view_as(made.mean))
        made.scale.copy_(torch.where(std > 1e-8, std, torch.ones_like(std)).view_as(made.scale))
        return made

    def adapted(self, X: Features) -> Self:
        """Pictures of other sizes are brought to that of the encoder, grey ones coloured and the other way round."""
        if not isinstance(X, Images):
            self.check(X)
        channels = self.shape[0]
        if channels != 1 and X.shape[1] not in (1, channels):
            expected = f"pictures of {channels} channels, or grey ones"
            raise ManyLabelError("X", expected, f"{X.shape[1]} channels")
        check_range(X.values)
        made = type(self)(tuple(X.shape[1:]), self.shape)
        made.load_state_dict(self.state_dict())
        return made

    @property
    def form(self) -> str:
        return f"shape {self.rows}"

    @property
    def hint(self) -> str:
        height, width = self.rows[1:]
        told = f", such as with `options`: side={height}" if height == width else ""
        return f"Read pictures as those of the training were{told}."

    def meta(self) -> dict[str, Any]:
        own = super().meta()
        return own if self.rows == self.shape else own | {"rows": self.rows}

    @classmethod
    def like(cls, meta: dict[str, Any]) -> Self:
        return cls(tuple(meta.get("rows", meta["shape"])), tuple(meta["shape"]))

    @property
    def block(self) -> int:
        return min(super().block, max(_LEAST, _NUMBERS // math.prod(self.shape) // _LEAST * _LEAST))

    def read(self, X: Any) -> Features:
        found = super().read(X)
        check_range(found.values, dark=True)
        return found

    def dense(self, X: Any) -> Tensor:
        rows = as_features(X)
        self.check(rows)
        return self.from_bytes(rows.values)

    @staticmethod
    def from_bytes(pictures: Tensor) -> Tensor:
        """Pictures from 0 to 255 as float32 in [0, 1], never in the caller's memory."""
        return pictures / 255 if pictures.dtype == torch.float32 else pictures.float().div_(255)

    def matrix(self, X: Any, sparse: bool) -> Any:
        return self.standardised(self.read(X))

    def prepared(self, x: Tensor) -> Tensor:
        return x

    def finished(self, x: Tensor) -> Tensor:
        return self(x)  # type: ignore[no-any-return]

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(self._resized(x))

    def _resized(self, x: Tensor) -> Tensor:
        """Pictures of the size that the encoder eats; smaller ones are means of what they replace."""
        if self.shape[0] == 1 < x.shape[1]:
            x = x.mean(1, keepdim=True)  # (B, 1, height, width)
        if x.shape[2:] == self.shape[1:]:
            return x
        return F.interpolate(x, self.shape[1:], mode="bilinear", antialias=True)

    def augmentation(self, settings: ViewSettings) -> View:
        steps: list[View] = [
            ImageViews(
                crop=settings.crop,
                flip=settings.flip,
                jitter=settings.jitter,
                greyscale=settings.greyscale,
                blur=settings.blur,
                size=self.shape[1:],
            )
        ]
        if settings.operations:
            steps.append(RandAugment(settings.operations, settings.magnitude))
        if settings.cutout:
            steps.append(Cutout(settings.cutout))
        return lambda x: reduce(lambda drawn, step: step(drawn), steps, x)


def _statistics(X: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, for pictures in [0, 1]; a block of pictures at a time."""
    total = torch.zeros(2, X.shape[1], dtype=torch.float64, device=X.device)
    for part in torch.split(X, _PICTURES):
        values = part.double().div_(255)  # so many squares are too many for float32
        total += torch.stack([values.sum((0, 2, 3)), values.square().sum((0, 2, 3))])
    mean, square = total / (X.numel() / X.shape[1])
    return mean.float(), (square - mean.square()).clamp(min=0).sqrt().float()


def check_range(X: Tensor, dark: bool = False) -> None:
    """Refuse numbers that no byte has, and training pictures that are all but black: their numbers go to 1.

    Raises
    ------
    ManyLabelError
        Tells from where to where the numbers go.
    """
    if X.dtype == torch.uint8 or not X.numel():
        return
    low, high = (float(bound) for bound in X.aminmax())
    if low < 0 or high > 255 or (not dark and X.is_floating_point() and 0 < high <= 1):
        hint = "Multiply pictures that go from 0 to 1 by 255."
        raise ManyLabelError("X", "pictures whose numbers go from 0 to 255", f"{low:g} to {high:g}", hint)
