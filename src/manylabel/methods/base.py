"""What every method shares: the face, the seed, the device, the fingerprint of what it trains on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from manylabel import files
from manylabel.data.dataset import Kind, Rows
from manylabel.data.features import row_shape
from manylabel.errors import ManyLabelError
from manylabel.methods.fingerprint import fingerprint
from manylabel.methods.networks import build_encoder, check_encoder, copied
from manylabel.methods.recipe import AnyRecipe, EncoderSettings, Recipe
from manylabel.methods.scorer import Scorer
from manylabel.models import Inputs
from manylabel.models.inputs import check_kind
from manylabel.training import Listener, Run


class Method(Protocol):
    """Turns training rows into a scorer. It never sees test rows.

    Attributes
    ----------
    name : str
    recipe : AnyRecipe
    """

    name: str

    @property
    def recipe(self) -> AnyRecipe: ...

    def fit(
        self,
        train: Rows,
        validation: Rows,
        *,
        kind: Kind = "vectors",
        seed: int = 0,
        folder: str | Path | None = None,
        progress: Listener | None = None,
    ) -> Scorer:
        """Train.

        Parameters
        ----------
        train, validation : Rows
            The validation rows choose epochs and are never trained on.
        kind : "vectors", "images" or "text", default "vectors"
            Texts become vectors; see :class:`manylabel.models.Inputs`.
        seed : int, default 0
            Initial weights, order of rows, views. The caller's random state is left as it was.
        folder : str or Path, optional
            Keeps a checkpoint and a history; it is made where it is missing. A second call with the same folder, rows,
            recipe, seed and network goes on from there.
        progress : callable, optional
            Receives :class:`manylabel.training.Progress`.

        Raises
        ------
        ManyLabelError
            If the parts lack rows, do not fit each other or the kind, the network or the seed cannot be used, training
            diverges, or the folder cannot be written to or holds the checkpoint of another training.

        Warns
        -----
        UserWarning
            If there are fewer training rows than a batch: each step then takes all of them.
        """
        ...


@dataclass
class Prepared:
    """An encoder and its inputs, on the device where they train.

    Attributes
    ----------
    inputs : Inputs
    encoder : nn.Module
    built_from : EncoderSettings or None
        None for a network of the caller's own.
    """

    inputs: Inputs
    encoder: nn.Module
    built_from: EncoderSettings | None


def prepare(recipe: Recipe, own: nn.Module | None, train: Rows, kind: Kind) -> Prepared:
    """Fit the standardisation and build the encoder, or copy the caller's own."""
    inputs = Inputs.fit(train.X, kind).to(device())
    settings = recipe.settings(kind).encoder
    encoder = build_encoder(settings, inputs) if own is None else copied(own)
    encoder = encoder.to(device())
    if own is not None:
        check_encoder(encoder, inputs)
    return Prepared(inputs, encoder, settings if own is None else None)


def device() -> torch.device:
    """Where training happens: the first GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


MOST_SEED = 2**43 - 1
"""Every stage makes seeds of its own out of it, which must fit in 64 bits."""


def check_seed(who: str, seed: Any, most: int = MOST_SEED) -> None:
    """Refuse a seed that is no integer from 0 to ``most``."""
    whole = isinstance(seed, Integral) and not isinstance(seed, bool)
    if not whole or not 0 <= int(seed) <= most:
        raise ManyLabelError(who, f"a seed from 0 to {most}", repr(seed), "Pass a small integer, such as 0.")


@contextmanager
def seeded(seed: int, who: str = "fit") -> Iterator[None]:
    """Torch's default generators at a seed, and back as they were at the end; memory that runs out is told."""
    with torch.random.fork_rng(), enough_memory(who):
        torch.manual_seed(int(seed))
        yield


@contextmanager
def enough_memory(who: str) -> Iterator[None]:
    """Tell of memory that cannot be had in the words of this library.

    Raises
    ------
    ManyLabelError
        Names the settings that take memory.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        known = ("not enough memory", "out of memory", "can't allocate", "overflow", "MemoryError")
        if not isinstance(error, MemoryError) and not any(word in text for word in known):
            raise
        hint = "Lower the widths, the queue or the batch, or give fewer rows."
        raise ManyLabelError(who, "a training that fits in memory", text, hint) from error


def check_rows(who: str, train: Rows, validation: Rows, kind: Kind, seed: int) -> None:
    """Refuse what cannot be trained on, before any work.

    Raises
    ------
    ManyLabelError
        For parts that are no :class:`Rows`, lack rows, do not fit each other or are not of the kind, and for a seed
        that is no integer from 0 to :data:`MOST_SEED`.
    """
    for name, part in (("train", train), ("validation", validation)):
        if not isinstance(part, Rows):
            hint = "Pass manylabel.data.Rows(X, as_labels(Y))."
            raise ManyLabelError(f"{who}, {name}", "Rows", type(part).__name__, hint)
    if len(train) == 0:
        raise ManyLabelError(who, "training rows", "none", "Pass at least one.")
    if len(validation) == 0:
        hint = "Keep some rows out of training, for example with manylabel.data.split_validation."
        raise ManyLabelError(who, "validation rows", "none", hint)
    check_seed(who, seed)
    check_kind(train.X, kind)
    hint = "Take both from one table."
    for what, here, there in (
        ("labels", train.Y.n_labels, validation.Y.n_labels),
        ("features", row_shape(train.X), row_shape(validation.X)),
    ):
        if here != there:
            raise ManyLabelError(
                f"{who}, validation", f"the {what} of the training rows ({_said(here)})", _said(there), hint
            )
    if train.Y.n_labels == 0:
        raise ManyLabelError(who, "at least one label", "none", "Give the labels a column.")


def _said(of_row: Any) -> str:
    return "texts" if of_row is None else f"{of_row}"


def start_run(
    recipe: AnyRecipe,
    stages: tuple[str, ...],
    train: Rows,
    validation: Rows,
    kind: Kind,
    seed: int,
    folder: str | Path | None,
    progress: Listener | None,
    network: nn.Module | None = None,
) -> Run:
    """A run whose checkpoint belongs to what this recipe trains on this kind of data, these rows and this seed.

    The folder is made and tried before any work. ``network`` is the caller's own, if there is one.
    """
    who = f"method {recipe.name}"
    check_rows(who, train, validation, kind, seed)
    if folder is None:
        return Run(stages, int(seed), None, "", progress)
    place = files.usable_folder(folder, f"{who}, folder")
    asked_later = {"neighbours"}
    settings = recipe.settings(kind).model_dump_json(exclude=asked_later)
    rest = {"name", "about", "source", "expected", "vectors", "images"}
    text = f"{settings}\n{recipe.model_dump_json(exclude=rest)}\n{kind} {int(seed)} {stages}"
    return Run(stages, int(seed), place, fingerprint(text, network, train, validation), progress)
