"""Pictures for an encoder: from bytes to [0, 1], standardised channel by channel."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from manylabel.data.rows import Features, Images, as_features
from manylabel.errors import ManyLabelError
from manylabel.models.inputs.augment import ImageViews, View, ViewSettings
from manylabel.models.inputs.base import Preprocessor


class ImagePreprocessor(Preprocessor):
    """Pictures, divided by 255 and standardised channel by channel after they are augmented.

    Parameters
    ----------
    shape : (channels, height, width)
    """

    name: ClassVar[str] = "images"
    n_dims: ClassVar[int] = 3

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__(shape, (shape[0], 1, 1))

    @classmethod
    def fit(cls, X: Images) -> Self:
        """Mean and scale of the channels of training pictures.

        Raises
        ------
        ManyLabelError
            For numbers that no byte has, and pictures that are all but black.
        """
        made = cls(X.shape[1:])
        check_range(X.values)
        std, mean = torch.std_mean(made.dense(X), dim=(0, 2, 3), correction=0)
        made.mean.copy_(mean.view_as(made.mean))
        made.scale.copy_(torch.where(std > 1e-8, std, torch.ones_like(std)).view_as(made.scale))
        return made

    @property
    def form(self) -> str:
        return f"shape {self.shape}"

    @classmethod
    def like(cls, meta: dict[str, Any]) -> Self:
        return cls(tuple(meta["shape"]))

    def read(self, X: Any) -> Features:
        found = super().read(X)
        check_range(found.values, dark=True)
        return found

    def dense(self, X: Any) -> Tensor:
        rows = as_features(X)
        self.check(rows)
        pictures: Tensor = rows.values
        # never in the caller's memory
        return pictures / 255 if pictures.dtype == torch.float32 else pictures.float().div_(255)

    def matrix(self, X: Any, sparse: bool) -> Any:
        return self.standardised(self.read(X))

    def prepared(self, x: Tensor) -> Tensor:
        return x

    def finished(self, x: Tensor) -> Tensor:
        return self(x)  # type: ignore[no-any-return]

    def augmentation(self, settings: ViewSettings) -> View:
        return ImageViews(
            crop=settings.crop, flip=settings.flip, jitter=settings.jitter, greyscale=settings.greyscale
        )


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
