"""RandAugment and Cutout: random changes of pictures that hide or distort parts of them."""

from __future__ import annotations

import torch
from torch import Tensor

from manylabel.errors import ManyLabelError
from manylabel.models.inputs.augment import need_kornia

_ALIKE = 4  # pictures that share their operations: each group costs calls of its own


class RandAugment:
    """Some operations, picked at random, on the pictures of a batch.

    Parameters
    ----------
    operations : int, default 2
    magnitude : int, default 9
        From 1 to 29.

    Raises
    ------
    ManyLabelError
        For settings out of range, or if kornia is missing.

    Notes
    -----
    (B, 1 or 3, H, W) in [0, 1] -> the same. After E. Cubuk et al., *RandAugment*, NeurIPS 2020, with the operations of
    kornia. Groups of four pictures have the same operations, with signs and places of their own.
    """

    def __init__(self, operations: int = 2, magnitude: int = 9) -> None:
        if operations < 1 or not 0 < magnitude < 30:
            expected = "at least 1 operation of a magnitude from 1 to 29"
            raise ManyLabelError("RandAugment", expected, f"{operations} and {magnitude}")
        need_kornia("RandAugment")
        from kornia.augmentation import auto

        self.policy = auto.RandAugment(n=operations, m=magnitude, transformation_matrix_mode="skip")

    def __call__(self, x: Tensor) -> Tensor:
        coloured = x.expand(-1, 3, -1, -1)  # some operations take three channels alone
        y = torch.cat([self.policy(part) for part in torch.split(coloured, _ALIKE)]).clamp_(0, 1)
        return y if x.shape[1] == 3 else y.mean(1, keepdim=True)


class Cutout:
    """A square of one colour at a random place of each picture; both are drawn for each.

    Parameters
    ----------
    side : float, default 0.5
        Of the square, as a share of the picture's sides.

    Raises
    ------
    ManyLabelError
        For a share out of range.

    Notes
    -----
    (B, C, H, W) -> the same. After T. DeVries and G. Taylor, *Improved Regularization of Convolutional Neural Networks
    with Cutout*, 2017; the centre is anywhere in the picture, so that a part of the square may lie outside of it.
    """

    def __init__(self, side: float = 0.5) -> None:
        if not 0 < side <= 1:
            raise ManyLabelError("Cutout", "a side above 0 and up to 1", f"{side:g}")
        self.side = side

    def __call__(self, x: Tensor) -> Tensor:
        inside = [self._span(len(x), n, x.device) for n in x.shape[2:]]
        square = inside[0][:, None, :, None] & inside[1][:, None, None, :]  # (B, 1, H, W)
        colour = torch.rand(*x.shape[:2], 1, 1, device=x.device, dtype=x.dtype)
        return torch.where(square, colour, x)

    def _span(self, rows: int, n: int, device: torch.device) -> Tensor:
        """Which of n pixels the square of each row takes, (rows, n) bool."""
        centre = torch.rand(rows, 1, device=device) * n
        return ((torch.arange(n, device=device) + 0.5 - centre).abs() * 2) < self.side * n
