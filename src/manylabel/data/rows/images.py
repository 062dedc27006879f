"""Pictures, whose numbers go from 0 (black) to 255."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
import torch

from manylabel.data.rows.dense import DenseFeatures
from manylabel.errors import ManyLabelError


class Images(DenseFeatures):
    """Pictures; ``values`` is a tensor (n, channels, height, width) of any type."""

    kind: ClassVar[str] = "images"
    overlays: ClassVar[tuple[str, ...]] = ("images",)

    @classmethod
    def of_file(cls, X: np.ndarray[Any, Any], who: str) -> Self:
        """Bytes of (n, height, width), (n, height, width, channels) or (n, channels, height, width); 1 or 3 channels.

        Raises
        ------
        ManyLabelError
            For another number of channels, and pictures without a pixel.
        """
        pictures = torch.from_numpy(np.ascontiguousarray(X))
        if pictures.ndim == 3:
            pictures = pictures[:, None]
        elif X.shape[3] in (1, 3):
            pictures = pictures.permute(0, 3, 1, 2).contiguous()
        elif X.shape[1] not in (1, 3):
            hint = "Store them as (n, height, width, channels) or (n, channels, height, width)."
            raise ManyLabelError(who, "pictures with 1 or 3 channels", f"shape {X.shape}", hint)
        if 0 in pictures.shape:
            got = f"shape {tuple(pictures.shape)}"
            raise ManyLabelError(who, "pictures with at least one pixel", got)
        return cls(pictures)

    def describe(self) -> str:
        channels, height, width = self.values.shape[1:]
        return f"pictures of {height} x {width} pixels, {'grey' if channels == 1 else 'coloured'}"
