"""Pictures, whose numbers go from 0 (black) to 255."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from hashlib import blake2b
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from manylabel.data.rows.dense import DenseFeatures
from manylabel.errors import ManyLabelError

_LARGE = (
    1 << 16
)  # numbers of a picture, from which on each is digested by itself, and bytes are compared as bytes
_AT_ONCE = 1 << 24  # bytes of pictures that are walked through at a time


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

    @property
    def are_large(self) -> bool:
        """Whether pictures are so large that each is digested by itself, wherever it is kept."""
        return math.prod(self.shape[1:]) >= _LARGE

    def batch(self, rows: slice | np.ndarray[Any, Any]) -> Tensor:
        """The pictures of a slice, or at these positions, (B, channels, height, width)."""
        return self.take(rows).values

    def blocks(self) -> Iterator[Tensor]:
        """All of the pictures in order, some at a time; not to be written to."""
        step = max(1, _AT_ONCE // math.prod(self.shape[1:]))
        yield from (self._block(start, min(start + step, len(self))) for start in range(0, len(self), step))

    def _block(self, start: int, stop: int) -> Tensor:
        return self.values[start:stop].detach().cpu()

    def content(self) -> Iterator[Any]:
        if not self.are_large:
            yield from super().content()
            return
        yield repr(self.shape).encode()
        for block in self.blocks():
            yield from (picture.contiguous().reshape(-1).view(torch.uint8).numpy() for picture in block)

    def row_keys(self) -> Iterator[Hashable]:
        if not self.are_large:
            yield from super().row_keys()
            return
        for block in self.blocks():
            for row in block.flatten(1).numpy():
                with np.errstate(invalid="ignore"):
                    small = row.astype(np.uint8, copy=False)
                same = small if small is row or (small == row).all() else row.astype(np.float64)
                yield blake2b(np.ascontiguousarray(same).data, digest_size=8).digest()

    def describe(self) -> str:
        channels, height, width = self.shape[1:]
        return f"pictures of {height} x {width} pixels, {'grey' if channels == 1 else 'coloured'}"
