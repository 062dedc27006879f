"""Frozen encoders opened by name, and again by what a model folder tells of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from manylabel.errors import ManyLabelError
from manylabel.models.frozen.base import FrozenEncoder
from manylabel.models.frozen.network import TextNetwork
from manylabel.models.frozen.pictures import PictureNetwork
from manylabel.models.frozen.places import WHO, folder_of
from manylabel.models.frozen.settings import FrozenSettings
from manylabel.models.frozen.static import StaticEncoder, StaticFiles


def open_encoder(settings: FrozenSettings, kind: str, device: torch.device) -> FrozenEncoder:
    """The encoder that settings name, for rows of one kind.

    Parameters
    ----------
    settings : FrozenSettings
        They name one.
    kind : str
        Of the rows, as :attr:`manylabel.data.rows.Features.kind` says it.
    device : torch.device
        Where a network computes.

    Raises
    ------
    ManyLabelError
        If there is no such encoder, a file of it lacks, or it is none for rows of this kind.
    """
    assert settings.encoder is not None
    if kind in PictureNetwork.kinds:
        return PictureNetwork(settings, device)
    if kind not in TextNetwork.kinds:
        hint = "Vectors need no encoder: leave it out."
        raise ManyLabelError(WHO, "rows of texts or pictures", f"{settings.encoder!r} for {kind}", hint)
    folder = folder_of(settings.encoder)
    static = StaticFiles.of(folder)
    if static is not None:
        return StaticEncoder.open(settings, static)
    return TextNetwork(settings, folder, device)


def reopened(
    meta: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
    kind: str,
    device: torch.device,
    place: str | None,
    opened: Callable[[FrozenSettings, str, torch.device], FrozenEncoder] = open_encoder,
) -> FrozenEncoder:
    """The encoder of a model folder: the copy in it, or else the files that it names, unless these have changed.

    Parameters
    ----------
    meta : mapping
        Of :meth:`FrozenEncoder.meta`.
    tensors : mapping
        Of :meth:`FrozenEncoder.tensors`.
    kind : str
    device : torch.device
    place : str or None
        Where the encoder is now, or its file of weights, if not where they were.
    opened : callable, default open_encoder
        Opens an encoder by settings, kind and device.

    Raises
    ------
    ManyLabelError
        If it is not there, or another one is.
    """
    if "table" in tensors:
        return StaticEncoder.of_tensors(meta, tensors)
    settings = FrozenSettings.model_validate(meta["settings"])
    told = f"the encoder {settings.encoder!r} that the model was trained with"
    hint = "Put its files back, or name where they are now with `encoder`."
    files = "encoder" if settings.weights is None else "weights"
    moved = settings.model_copy(update={} if place is None else {files: place})
    try:
        found = opened(moved, kind, device)
    except ManyLabelError as error:
        raise ManyLabelError(error.who, told, error.got, hint) from error
    if found.digest != meta["digest"]:
        got = f"another one in its place (sha256 {found.digest[:12]}, not {str(meta['digest'])[:12]})"
        raise ManyLabelError(WHO, told, got, hint)
    return found
