"""Scorers: what a trained method leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from manylabel import files, metrics
from manylabel.data.rows import Features
from manylabel.errors import ManyLabelError
from manylabel.methods.networks import build_encoder
from manylabel.methods.recipe import EncoderSettings
from manylabel.models import Preprocessor, preprocessor_like
from manylabel.training import checkpoint

type_name = "network scorer"


class Scorer(Protocol):
    """Scores rows it has never seen."""

    def scores(self, X: Features) -> np.ndarray[Any, Any]:
        """Probabilities, (n, n_labels) float32."""
        ...

    def embed(self, X: Features) -> np.ndarray[Any, Any]:
        """Representations, (n, H) float32."""
        ...

    def save(self, path: str | Path) -> None:
        """Write everything that scoring needs, to a file in a folder that is there."""
        ...


class NetworkScorer:
    """An encoder and a linear classifier behind the standardisation of their training rows.

    Parameters
    ----------
    inputs : Preprocessor
    encoder : nn.Module
        (B, *shape) -> (B, H)
    classifier : nn.Linear
        (B, H) -> (B, n_labels) logits
    settings : EncoderSettings or None
        How ``encoder`` was built; None for a network of the caller's own.
    """

    def __init__(
        self,
        inputs: Preprocessor,
        encoder: nn.Module,
        classifier: nn.Linear,
        settings: EncoderSettings | None = None,
    ) -> None:
        self.inputs, self.encoder, self.classifier, self.settings = inputs, encoder, classifier, settings
        self.module = nn.ModuleDict({"inputs": inputs, "encoder": encoder, "classifier": classifier}).eval()

    def scores(self, X: Features) -> np.ndarray[Any, Any]:
        """Probabilities of the labels.

        Parameters
        ----------
        X : rows like the training rows, n of them
            Whatever :class:`manylabel.data.Rows` takes as features; n may be 0.

        Returns
        -------
        (n, n_labels) float32 array

        Raises
        ------
        ManyLabelError
            If the rows do not have the form of the training rows, or hold anything but finite numbers.
        """
        return in_batches(
            self.module, self.inputs, X, lambda x: torch.sigmoid(self.classifier(self.encoder(x)))
        )

    def embed(self, X: Features) -> np.ndarray[Any, Any]:
        """Representations that enter the classifier, (n, H) float32 array."""
        return in_batches(self.module, self.inputs, X, self.encoder)

    def save(self, path: str | Path) -> None:
        """Write weights and shapes as one safetensors file.

        Raises
        ------
        ManyLabelError
            If the folder of the file is not there, or the file cannot be written.
        """
        if self.settings is None:
            built: dict[str, Any] | None = None
        else:
            built = self.settings.model_dump(mode="json")
        meta = {"type": type_name, "inputs": self.inputs.meta(), "encoder": built}
        checkpoint.save(files.as_path(path, "save"), self.module.state_dict(), meta)

    @classmethod
    def load(cls, path: str | Path, encoder: nn.Module | None = None) -> NetworkScorer:
        """Read what :meth:`save` wrote.

        Parameters
        ----------
        path : str or Path
        encoder : nn.Module, optional
            The network, for a scorer that was trained with a network of the caller's own.

        Raises
        ------
        ManyLabelError
            If the file is not a scorer, or if it needs ``encoder`` and none is given.
        """
        tensors, meta = checkpoint.load(files.as_path(path, "load"))
        if meta.get("type") != type_name:
            raise ManyLabelError(str(path), "a saved scorer", repr(meta.get("type", "something else")))
        inputs = preprocessor_like(meta["inputs"])
        settings = None if meta["encoder"] is None else EncoderSettings.model_validate(meta["encoder"])
        if settings is not None:
            encoder = build_encoder(settings, inputs)
        elif encoder is None:
            raise ManyLabelError(str(path), "the encoder it was trained with", "none", "Pass encoder=.")
        n_labels, width = tensors["classifier.weight"].shape
        scorer = cls(inputs, encoder, nn.Linear(width, n_labels), settings)
        scorer.module.load_state_dict(tensors)
        return scorer


def scores_of(scorer: Scorer, X: Features, n_labels: int) -> np.ndarray[Any, Any] | metrics.StreamedScores:
    """Scores of rows for a metric: an array, or where that would be large made a block of rows at a time.

    Large are more than ``metrics.WHOLE_UP_TO`` bytes.
    """
    if 4 * len(X) * n_labels <= metrics.WHOLE_UP_TO:
        return scorer.scores(X)
    return metrics.StreamedScores(lambda rows: scorer.scores(X.take(rows)), (len(X), n_labels))


@torch.no_grad()
def in_batches(
    module: nn.Module, inputs: Preprocessor, X: Features, score: Callable[[Tensor], Tensor], rows: int = 1024
) -> np.ndarray[Any, Any]:
    """What ``score`` makes of standardised rows, so many at a time, with ``module`` in evaluation mode."""
    module.eval()
    features, device = inputs.read(X), inputs.mean.device
    n = len(features)
    parts: list[Tensor] = []
    for start in range(0, n, rows):
        x = inputs(inputs.dense(features.take(slice(start, start + rows))).to(device))
        parts.append(score(x).float().cpu())
    if not n:  # a row of zeros tells the width: few networks take no rows
        parts.append(score(torch.zeros(1, *inputs.shape, device=device))[:0].float().cpu())
    out: np.ndarray[Any, Any] = torch.cat(parts).numpy()
    return out
