"""Rows through the frozen encoder that settings name, once, before any method sees them."""

from __future__ import annotations

import torch

from manylabel.data import Rows
from manylabel.data.rows import EncodedRows, Features, TableRows, raw_rows
from manylabel.errors import ManyLabelError
from manylabel.methods import model_folder
from manylabel.methods.base import as_device
from manylabel.methods.model_encoder import ModelEncoder
from manylabel.methods.part import Part
from manylabel.models.frozen import FrozenEncoder, FrozenSettings, open_encoder, reopened


def opened(settings: FrozenSettings, kind: str, device: str) -> FrozenEncoder | None:
    """The frozen encoder of settings, for rows of one kind; None where they name none.

    Raises
    ------
    ManyLabelError
        If it is not there, or none for such rows.
    """
    if settings.encoder is None:
        return None
    own = FrozenSettings(**{name: getattr(settings, name) for name in FrozenSettings.model_fields})
    return _open(own, kind, as_device(device, "encoder"))


def _open(settings: FrozenSettings, kind: str, device: torch.device) -> FrozenEncoder:
    """A pretrained encoder, or a model of a model folder."""
    if model_folder.holds_model(str(settings.encoder)):
        return ModelEncoder(settings, kind)
    return open_encoder(settings, kind, device)


def opened_again(part: Part, kind: str, place: str | None) -> FrozenEncoder:
    """The frozen encoder of a model folder; ``place`` is where it is now, if not where it was.

    Raises
    ------
    ManyLabelError
        If it is gone or has changed, or the part is none of this version.
    """
    try:
        return reopened(part.meta, part.tensors, kind, as_device("auto", "encoder"), place, _open)
    except ManyLabelError:
        raise
    except Exception as error:  # whatever another version, or somebody who means ill, may have written
        got = f"one of another version ({type(error).__name__}: {str(error)[:200]})"
        hint = "Read it with the version that wrote it, or train again."
        raise ManyLabelError("encoder", "a frozen encoder of this version", got, hint) from error


def encoded(rows: Rows, encoder: FrozenEncoder | None) -> Rows:
    """Rows beside the vectors that an encoder makes of them, kept on disk; as they are where there is none."""
    if encoder is None:
        return rows
    return Rows(encoder.encoded(rows.X, keep=True), rows.Y, rows.weights)


def seen(rows: Rows, encoder: FrozenEncoder | None, keeps_rows: bool) -> Rows:
    """What a method learns from: rows as they are, their vectors, or both.

    Raises
    ------
    ManyLabelError
        Where the encoder alone would read rows, and leave columns of a table unread.
    """
    if encoder is not None and not keeps_rows:
        _refuse_unread(raw_rows(rows.X))
    rows = encoded(rows, encoder)
    if keeps_rows and encoder is not None:
        return rows
    X = rows.X.vectors if encoder is not None and isinstance(rows.X, EncodedRows) else raw_rows(rows.X)
    return rows if X is rows.X else Rows(X, rows.Y, rows.weights)


def _refuse_unread(X: Features) -> None:
    """Refuse tables with columns that no encoder of texts reads."""
    if not isinstance(X, TableRows):
        return
    unread = [name for name, column in X.columns.items() if column.role != "text"]
    if unread and len(unread) < len(X.columns):
        got = f"{unread[0]!r:.60}" + (f" and {len(unread) - 1} more" if len(unread) > 1 else "")
        hint = 'Give them the role "skip", or take `best`, whose other learners read them.'
        raise ManyLabelError("`inputs.encoder`", "no columns beside those of text", got, hint)
