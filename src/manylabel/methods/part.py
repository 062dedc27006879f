"""Scorers, which a trained method leaves behind, and their parts: JSON, tensors and the parts within."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from torch import nn

from manylabel.data.rows import Features
from manylabel.models import Preprocessor, preprocessor_like
from manylabel.training.checkpoint import Tensors, prefixed, under


@dataclass(frozen=True)
class Part:
    """A scorer taken to pieces, for a model folder.

    Attributes
    ----------
    type : str
        Under which :func:`manylabel.methods.restore.restore` knows how to make it again.
    meta : dict
        Fits in JSON.
    tensors : dict of str to tensor
    parts : dict of str to Part
        The scorers within it; a name of letters, digits and hyphens each.
    """

    type: str
    meta: dict[str, Any]
    tensors: Tensors = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)


class Scorer(Protocol):
    """Scores rows it has never seen."""

    @property
    def n_labels(self) -> int: ...

    @property
    def embeds_features(self) -> bool:
        """Whether :meth:`embed` gives the features of rows, as of a method that learns no representation."""
        ...

    def scores(self, X: Features) -> np.ndarray[Any, Any]:
        """Probabilities, (n, n_labels) float32."""
        ...

    def embed(self, X: Features) -> np.ndarray[Any, Any]:
        """Representations, (n, H) float32."""
        ...

    def part(self) -> Part:
        """Everything that scoring needs, taken to pieces for a model folder.

        Raises
        ------
        ManyLabelError
            If something in it cannot be written without code.
        """
        ...


@dataclass(frozen=True)
class Opened:
    """What a scorer is made from again.

    Attributes
    ----------
    meta : dict
    tensors : dict of str to tensor
    scorers : mapping of str to Scorer
        Those of the inner parts.
    encoder : nn.Module or None
        The caller's own network.
    """

    meta: dict[str, Any]
    tensors: Tensors
    scorers: Mapping[str, Scorer]
    encoder: nn.Module | None = None


def tensors_of(inputs: Preprocessor) -> Tensors:
    """The tensors of a preprocessor, as they stand among those of a part."""
    return prefixed("inputs", inputs.state_dict())


def restored_inputs(meta: dict[str, Any], tensors: Tensors) -> Preprocessor:
    """The preprocessor of a part, from ``Preprocessor.meta`` and the tensors of :func:`tensors_of`.

    Raises
    ------
    ValueError
        For a shape that its tensors do not have: nothing of that size is made.
    """
    own = under("inputs", tensors)
    for told, means in ((meta, "mean"), (meta.get("inner"), "inner.mean")):
        if told is not None and own[means].shape[0] != told["shape"][0]:
            raise ValueError(f"inputs of shape {told['shape']} with {own[means].shape[0]} means")
    inputs = preprocessor_like(meta)
    inputs.load_state_dict(own)
    return inputs
