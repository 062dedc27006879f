"""The embedded data set `digits`: pictures of one to four handwritten digits, which are their labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

if TYPE_CHECKING:
    from manylabel.data.dataset import DataSet

CANVAS = 32  # pixels
N_DIGITS = 10
N_TRAIN, N_TEST = 3000, 1500
_SHARE_OF_COUNTS = (0.4, 0.3, 0.2, 0.1)  # scenes with one, two, three, four digits
_SIZE = (13.0, 18.0)  # pixels, side of a digit
_TURN = 0.2  # radians, largest to either side
_CONTRAST = (0.6, 1.0)
_NOISE = 0.02  # standard deviation, of a white digit's 1
_SHADE = 0.1  # brightest background


@dataclass(frozen=True)
class _Sources:
    """Single digits to compose scenes from: images (n, 1, 8, 8) in [0, 1], classes (n,)."""

    images: Tensor
    classes: Tensor


def compose_digits(n_train: int = N_TRAIN, n_test: int = N_TEST, seed: int = 0) -> DataSet:
    """Compose multi-label scenes from scikit-learn's handwritten digits.

    Parameters
    ----------
    n_train, n_test : int, default 3000 and 1500
        Scenes of each part; the training scenes include those to validate on.
    seed : int, default 0

    Returns
    -------
    DataSet
        uint8 pictures (n, 1, 32, 32); label j is "the digit j is in the picture".

    Notes
    -----
    A third of the 1797 digits, every third of each class, is set aside for the test scenes, so that no test
    scene shows a digit that a training scene shows. Digits differ in place, size, angle and contrast and may
    overlap; shading and noise keep a classifier from reading them off single pixels.
    """
    from manylabel.data.build import About, Part, assemble

    train, test = _split_sources()
    random = torch.Generator().manual_seed(seed)
    about = About(
        name="digits",
        source="composed from scikit-learn's handwritten digits (Alpaydin and Kaynak, UCI, 1998)",
        licence="CC BY 4.0",
        split=f"{n_train} training and {n_test} test scenes; no digit image is used in both; seed {seed}",
    )
    parts = [
        Part(*_compose(sources, n, random), where=f"digits, {what}")
        for what, sources, n in (("training part", train, n_train), ("test part", test, n_test))
    ]
    return assemble(about, *parts, label_names=[str(digit) for digit in range(N_DIGITS)])


def _split_sources() -> tuple[_Sources, _Sources]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = torch.from_numpy(bunch.images).float().div_(16)[:, None]
    classes = torch.from_numpy(bunch.target).long()
    rank = torch.zeros_like(classes)  # running number within the class
    for digit in range(N_DIGITS):
        rank[classes == digit] = torch.arange(int((classes == digit).sum()))
    of_test = rank % 3 == 2
    return _Sources(images[~of_test], classes[~of_test]), _Sources(images[of_test], classes[of_test])


def _compose(
    sources: _Sources, n: int, random: torch.Generator
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """n scenes, (n, 32, 32) uint8, and their labels, (n, 10) uint8."""
    counts = torch.multinomial(torch.tensor(_SHARE_OF_COUNTS), n, replacement=True, generator=random) + 1
    scene = torch.repeat_interleave(torch.arange(n), counts)  # the scene of each digit
    drawn = torch.randint(len(sources.images), scene.shape, generator=random)
    canvas = _paint(_background(n, random), scene, sources.images[drawn], random)
    canvas += _NOISE * torch.randn(canvas.shape, generator=random)
    labels = torch.zeros(n, N_DIGITS, dtype=torch.uint8)
    labels[scene, sources.classes[drawn]] = 1
    return canvas.clamp_(0, 1).mul_(255).round_().to(torch.uint8).numpy(), labels.numpy()


def _uniform(shape: tuple[int, ...], low: float, high: float, random: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=random) * (high - low) + low


def _background(n: int, random: torch.Generator) -> Tensor:
    """Soft shading, (n, 32, 32)."""
    knots = _uniform((n, 1, 3, 3), 0, _SHADE, random)
    return F.interpolate(knots, (CANVAS, CANVAS), mode="bilinear", align_corners=True)[:, 0]


def _paint(canvas: Tensor, scene: Tensor, images: Tensor, random: torch.Generator) -> Tensor:
    """Put images onto the scenes, each at its own place, size, angle and contrast; the brighter one shows."""
    n = len(images)
    size, turn = _uniform((n,), *_SIZE, random), _uniform((n,), -_TURN, _TURN, random)
    contrast = _uniform((n, 1, 1), *_CONTRAST, random)
    centre = _uniform((2, n), -1, 1, random) * (1 - size / CANVAS)  # the whole digit stays inside
    zoom, cos, sin = CANVAS / size, turn.cos(), turn.sin()
    linear = torch.stack([cos, -sin, sin, cos], 1).view(n, 2, 2) * zoom[:, None, None]
    shift = -(linear @ centre.T[:, :, None])
    grid = F.affine_grid(torch.cat([linear, shift], 2), [n, 1, CANVAS, CANVAS], align_corners=False)
    painted = F.grid_sample(images, grid, align_corners=False)[:, 0] * contrast
    index = scene[:, None, None].expand_as(painted)
    return canvas.scatter_reduce(0, index, painted, reduce="amax")
