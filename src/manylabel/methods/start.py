"""A trained model to start from: its encoder, and how it takes rows, for training on other labels or other data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from manylabel.data.build import Like
from manylabel.data.rows import Features
from manylabel.errors import ManyLabelError
from manylabel.methods import model_folder
from manylabel.methods.model_folder import ModelRecord
from manylabel.methods.networks import copied
from manylabel.methods.part import Opened, Part
from manylabel.methods.recipe import EncoderSettings
from manylabel.methods.scorer import NetworkScorer
from manylabel.models import Preprocessor

MODEL = "model"
"""The name of all encoders of models that were trained before."""


@dataclass(frozen=True)
class Start:
    """The encoder of a model, as it was trained.

    Attributes
    ----------
    who : str
        For messages.
    inputs : Preprocessor
        How it takes rows.
    encoder : nn.Module
    settings : EncoderSettings
        How it is built.
    """

    who: str
    inputs: Preprocessor
    encoder: nn.Module
    settings: EncoderSettings

    @classmethod
    def of_folder(cls, folder: str | None, kind: str) -> Start:
        """The encoder of a model folder.

        Parameters
        ----------
        folder : str or None
        kind : str
            Of the rows that it will be trained on.

        Raises
        ------
        ManyLabelError
            If there is no model, it is damaged or one of other rows, or has no single network of a recipe.
        """
        if folder is None:
            hint = "Such as one that fit or pretrain wrote."
            raise ManyLabelError("encoder.weights", "the folder of a model", "none", hint)
        who = f"encoder {folder}"
        parts = representing_parts(folder, kind, who)[1]
        part = _network_of(parts["scorer"], who)
        try:
            scorer = NetworkScorer.restore(Opened(part.meta, part.tensors, {}))
        except ManyLabelError as error:  # of a network of the caller's own
            raise ManyLabelError(who, "an encoder that a recipe names", error.got) from error
        except Exception as error:  # whatever another version, or somebody who means ill, may have written
            got = f"one of another version ({type(error).__name__}: {str(error)[:200]})"
            hint = "Read it with the version that wrote it, or train again."
            raise ManyLabelError(who, "a model of this version", got, hint) from error
        assert scorer.settings is not None, "restored without the caller's own network"
        return cls(who, scorer.inputs, scorer.encoder, scorer.settings)

    def inputs_for(self, X: Features) -> Preprocessor:
        """How the encoder takes rows: its preprocessor, as it was learnt, for rows of this form.

        Raises
        ------
        ManyLabelError
            If it cannot take them.
        """
        try:
            return self.inputs.adapted(X)
        except ManyLabelError as error:
            hint = "Take rows like those that it was trained on, or another model."
            raise ManyLabelError(f"{self.who}, {error.who}", error.expected, error.got, hint) from error

    def new_encoder(self) -> nn.Module:
        """A copy to train."""
        return copied(self.encoder).train()


def like_of_encoder(settings: Mapping[str, Any]) -> Like | None:
    """What rows are like that the encoder of a model takes, if settings name one; pictures it brings to its size."""
    folder = folder_of(settings)
    if folder is None or not model_folder.holds_model(folder):  # told where the encoder is asked for
        return None
    return replace(model_folder.read(folder)[0].input.like, picture_shape=None)


def folder_of(settings: Mapping[str, Any]) -> Path | None:
    """Where the model lies whose encoder settings take, trained on or frozen; None where they take none.

    A frozen encoder may be no model.
    """
    for name, value in settings.items():
        found = re.fullmatch(r"(?:\w+\.)?(encoder\.weights|inputs\.encoder)", name)
        started = found and settings.get(name.replace(".weights", ".name")) == MODEL
        if found and value is not None and (started or found[1] == "inputs.encoder"):
            return Path(str(value))
    return None


def representing_parts(folder: str, kind: str, who: str) -> tuple[ModelRecord, dict[str, Part]]:
    """The record and the parts of a model that represents rows of a kind itself.

    Raises
    ------
    ManyLabelError
        If there is no model, it is damaged, one of other rows, or has a frozen encoder itself: name that one.
    """
    record, parts = model_folder.read(Path(folder))
    if record.input.kind != kind:
        expected = f"a model of {kind}, like the rows"
        raise ManyLabelError(who, expected, f"one of {record.input.kind}", "Name another model.")
    if "encoder" in parts:
        hint = "Name the encoder that it was trained behind."
        raise ManyLabelError(who, "a model that represents rows itself", "one behind an encoder", hint)
    return record, parts


def _network_of(part: Part, who: str) -> Part:
    """The network of a scorer, be it beside neighbours."""
    while part.type != NetworkScorer.part_type:
        if len(part.parts) != 1:
            hint = "Take the model frozen, as inputs.encoder, or one of a method such as bce or mulsupcon."
            raise ManyLabelError(who, "a model of one network", f"one of the type {part.type!r:.40}", hint)
        part = next(iter(part.parts.values()))
    return part
