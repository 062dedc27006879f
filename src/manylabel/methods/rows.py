"""Rows made ready to train on: resident tensors that are indexed, and the views that disturb a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from manylabel.data import views
from manylabel.data.dataset import Rows
from manylabel.methods.recipe import ViewSettings
from manylabel.models import Inputs

View: TypeAlias = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Resident:
    """Rows as tensors on the device of the network.

    Attributes
    ----------
    X : (n, ...) float32 tensor
        Standardised vectors, or pictures in [0, 1].
    Y : (n, n_labels) uint8 tensor, or float32 for soft labels
    """

    X: Tensor
    Y: Tensor

    @classmethod
    def of(cls, rows: Rows, inputs: Inputs) -> Resident:
        """Make rows ready; vectors are standardised here, once."""
        device = inputs.mean.device
        X = inputs.dense(rows.X).to(device)
        soft = getattr(rows.Y.sparse(), "weights", None) is not None
        Y = rows.Y.dense(torch.float32 if soft else torch.uint8).to(device)
        return cls(inputs(X) if inputs.kind == "vectors" else X, Y)

    def __len__(self) -> int:
        return len(self.X)


def view(settings: ViewSettings, inputs: Inputs) -> View:
    """What happens to a batch of :class:`Resident` rows before it enters the encoder in training.

    Vectors are masked; pictures are cropped, jittered and standardised.
    """
    if inputs.kind == "vectors":
        return (lambda x: views.mask(x, settings.mask)) if settings.mask else _same
    augment = views.ImageViews(
        crop=settings.crop, flip=settings.flip, jitter=settings.jitter, greyscale=settings.greyscale
    )
    return lambda x: inputs(augment(x))


def plain(inputs: Inputs) -> View:
    """What happens to rows outside training: pictures are standardised."""
    return _same if inputs.kind == "vectors" else inputs


def _same(x: Tensor) -> Tensor:
    return x
