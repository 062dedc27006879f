"""What every method shares: the face, the seed, the device, the fingerprint of what it trains on."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from manylabel.data.dataset import Kind, Rows
from manylabel.errors import ManyLabelError
from manylabel.methods.networks import build_encoder
from manylabel.methods.recipe import AnyRecipe, EncoderSettings, Recipe
from manylabel.methods.scorer import Scorer
from manylabel.models import Inputs
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
        folder : Path, optional
            Keeps a checkpoint and a history; a second call with the same folder goes on from there.
        progress : callable, optional
            Receives :class:`manylabel.training.Progress`.

        Raises
        ------
        ManyLabelError
            If there are fewer training rows than a batch, the rows do not fit the kind, training diverges, or the
            folder holds the checkpoint of another recipe.
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
    encoder = build_encoder(settings, inputs) if own is None else copy.deepcopy(own)
    return Prepared(inputs, encoder.to(device()), settings if own is None else None)


def device() -> torch.device:
    """Where training happens: the first GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Torch's default generators at a seed, and back as they were at the end."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def check_validation(name: str, validation: Rows) -> None:
    """Refuse to train without validation rows."""
    if len(validation) == 0:
        hint = "Keep some rows out of training, for example with manylabel.data.split_validation."
        raise ManyLabelError(f"method {name}", "validation rows", "none", hint)


def start_run(
    recipe: AnyRecipe,
    stages: tuple[str, ...],
    train: Rows,
    validation: Rows,
    kind: Kind,
    seed: int,
    folder: Path | None,
    progress: Listener | None,
) -> Run:
    """A run whose checkpoint belongs to what this recipe trains on this kind of data, these rows and this seed."""
    check_validation(recipe.name, validation)
    asked_later = {"neighbours"}
    settings = recipe.settings(kind).model_dump_json(exclude=asked_later)
    rest = {"name", "about", "source", "expected", "vectors", "images"}
    text = f"{settings}\n{recipe.model_dump_json(exclude=rest)}"
    rows = f"{len(train)} {len(validation)} {train.Y.n_labels} {seed} {getattr(train.X, 'shape', None)}"
    fingerprint = hashlib.sha256(f"{text}\n{rows}".encode()).hexdigest()
    return Run(stages, seed, folder, fingerprint, progress)
