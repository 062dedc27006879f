"""A trained model as a frozen encoder: its representation of rows, for methods on other labels or other data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import numpy as np
import torch
from torch.nn import functional as F

from manylabel.data.rows import Features, Images, Texts
from manylabel.errors import ManyLabelError
from manylabel.methods import model_folder
from manylabel.methods.part import Part, Scorer
from manylabel.methods.restore import restore
from manylabel.methods.start import representing_parts
from manylabel.models.frozen import FrozenEncoder, FrozenSettings
from manylabel.models.frozen.base import digest_of

Array: TypeAlias = "np.ndarray[Any, Any]"
_BLOCK = 1024  # rows


class ModelEncoder(FrozenEncoder):
    """The representation that a model of a model folder has of rows; its labels and decisions are not looked at.

    Parameters
    ----------
    settings : FrozenSettings
        Their encoder is the model folder.
    kind : str
        Of the rows.

    Raises
    ------
    ManyLabelError
        If the folder is damaged, the model is one of other rows, or has a frozen encoder itself: name that one.

    Notes
    -----
    Pictures of another size or number of channels than the model's are brought to it: bicubically, grey by the mean of
    channels, coloured by repeating the grey.
    """

    kinds: ClassVar[tuple[str, ...]] = (Texts.kind, Images.kind)

    def __init__(self, settings: FrozenSettings, kind: str) -> None:
        self.who = f"encoder {settings.encoder}"
        if settings.of_encoder or settings.pixels is not None:
            expected = "no settings beside it: a model has its own"
            given = (*settings.of_encoder, *(() if settings.pixels is None else ("pixels",)))
            raise ManyLabelError(self.who, expected, f"inputs.{given[0]}")
        if kind not in self.kinds:
            raise ManyLabelError(self.who, "texts or pictures", kind)
        self.contents, self.parts = representing_parts(str(settings.encoder), kind, self.who)
        path = Path(str(settings.encoder)) / model_folder.RECORD
        super().__init__(settings, digest_of([path], ["model"]))

    @cached_property
    def _scorer(self) -> Scorer:
        part: Part = self.parts["scorer"]
        return restore(part, None, self.who)

    @cached_property
    def _shape(self) -> tuple[int, ...]:
        """Channels, height and width of the pictures that the model takes; nothing for texts."""
        return tuple(map(int, re.findall(r"\d+", self.contents.input.form)))

    @cached_property
    def width(self) -> int:
        one = Images(torch.zeros(1, *self._shape, dtype=torch.uint8)) if self._shape else Texts(["a"])
        return int(self._scorer.embed(one).shape[1])

    def blocks(self, X: Features) -> Iterator[Array]:
        for start in range(0, len(X), _BLOCK):
            yield self._scorer.embed(self._fitting(X.take(slice(start, start + _BLOCK))))

    def _fitting(self, X: Features) -> Features:
        """Pictures in the shape that the model takes; other rows as they are."""
        shape = self._shape
        if not shape or tuple(X.shape[1:]) == shape:
            return X
        x = X.values.float()
        x = x.mean(1, keepdim=True) if shape[0] == 1 else x
        x = x.expand(-1, shape[0], -1, -1) if x.shape[1] == 1 else x
        if x.shape[1] != shape[0]:
            got = f"{X.shape[1]} channels"
            raise ManyLabelError(self.who, f"pictures of {shape[0]} channels, or grey ones", got)
        if tuple(x.shape[2:]) != shape[1:]:
            x = F.interpolate(x, shape[1:], mode="bicubic", antialias=True)
        return Images(x.clamp(0, 255).round().to(torch.uint8))
