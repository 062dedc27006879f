"""Network scorer: an encoder and a linear classifier, as training leaves them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from manylabel import metrics
from manylabel.data.rows import Features
from manylabel.errors import ManyLabelError
from manylabel.methods.networks import copied, rebuilt_encoder
from manylabel.methods.part import Opened, Part, restored_inputs
from manylabel.methods.recipe import EncoderSettings
from manylabel.models import Preprocessor
from manylabel.models.encoders.pretrained import PretrainedText

_BLOCK = 16  # rows; so many numbers of any column count fill the widest vector registers


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

    part_type: ClassVar[str] = "network"
    embeds_features: ClassVar[bool] = False

    def __init__(
        self,
        inputs: Preprocessor,
        encoder: nn.Module,
        classifier: nn.Linear,
        settings: EncoderSettings | None = None,
    ) -> None:
        self.inputs, self.encoder, self.classifier, self.settings = inputs, encoder, classifier, settings
        self.module = nn.ModuleDict({"inputs": inputs, "encoder": encoder, "classifier": classifier}).eval()

    @property
    def n_labels(self) -> int:
        return self.classifier.out_features

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
        return in_batches(self.module, self.inputs, X, lambda x: self.classifier(self.encoder(x)).sigmoid_())

    def embed(self, X: Features) -> np.ndarray[Any, Any]:
        """Representations that enter the classifier, (n, H) float32 array."""
        return in_batches(self.module, self.inputs, X, self.encoder)

    def part(self) -> Part:
        """Weights and shapes."""
        built = None if self.settings is None else self.settings.model_dump(mode="json") | {"weights": None}
        meta = {"inputs": self.inputs.meta(), "encoder": built}
        if isinstance(self.encoder, PretrainedText):
            meta["network"] = self.encoder.told()
        return Part(self.part_type, meta, self.module.state_dict())

    @classmethod
    def restore(cls, opened: Opened) -> Self:
        """The scorer of a part.

        Raises
        ------
        ManyLabelError
            If it was trained with a network of the caller's own, and none is given.
        """
        meta, tensors, encoder = opened.meta, opened.tensors, opened.encoder
        inputs = restored_inputs(meta["inputs"], tensors)
        settings = None if meta["encoder"] is None else EncoderSettings.model_validate(meta["encoder"])
        if settings is not None:
            encoder = rebuilt_encoder(settings, inputs, meta.get("network"))
        elif encoder is None:
            raise ManyLabelError(
                "encoder", "the network that the model was trained with", "none", "Pass `encoder`."
            )
        n_labels, width = tensors["classifier.weight"].shape
        scorer = cls(inputs, copied(encoder), nn.Linear(width, n_labels), settings)
        scorer.module.load_state_dict(tensors)
        return scorer


def scores_of(
    score: Callable[[Features], np.ndarray[Any, Any]], X: Features, n_labels: int
) -> np.ndarray[Any, Any] | metrics.StreamedScores:
    """Scores of rows for a metric: an array, or where that would be large made a block of rows at a time.

    Large are more than ``metrics.WHOLE_UP_TO`` bytes.
    """
    if 4 * len(X) * n_labels <= metrics.WHOLE_UP_TO:
        return score(X)
    return metrics.StreamedScores(lambda rows: score(X.take(rows)), (len(X), n_labels))


def top_scores(
    score: Callable[[Features], np.ndarray[Any, Any]], X: Features, n_labels: int, k: int
) -> metrics.TopScores:
    """The k highest scores of each row, of which a block of rows at a time is scored."""
    if len(X):
        scores = metrics.StreamedScores(lambda rows: score(X.take(rows)), (len(X), n_labels))
        return metrics.TopScores.of(scores, k)
    none = np.zeros((0, min(k, n_labels)))
    return metrics.TopScores(none.astype(np.int32), none.astype(np.float32), n_labels)


@torch.no_grad()
def in_batches(
    module: nn.Module,
    inputs: Preprocessor,
    X: Features,
    score: Callable[[Tensor], Tensor],
    rows: int | None = None,
) -> np.ndarray[Any, Any]:
    """What ``score`` makes of standardised rows, so many or a block at a time, with ``module`` in evaluation mode.

    A row gets the same, to the bit, whichever rows stand beside it: vectorised operators treat what is left beyond
    whole blocks of numbers by other code, so blocks of rows are filled up with zeros.
    """
    module.eval()
    features, device = inputs.read(X), inputs.mean.device
    n, rows = len(features), rows or inputs.block
    parts: list[Tensor] = []
    for start in range(0, n, rows):
        x = inputs(inputs.dense(features.take(slice(start, start + rows))).to(device))
        parts.append(score(_filled_up(x)).float().cpu()[: len(x)])
    if not n:  # a row of zeros tells the width: few networks take no rows
        parts.append(score(torch.zeros(1, *inputs.shape, device=device))[:0].float().cpu())
    # a copy of the scores of very many labels costs as much as making them
    whole = torch.cat(parts) if len(parts) > 1 else parts[0]
    out: np.ndarray[Any, Any] = whole.numpy()
    return out


def _filled_up(x: Tensor) -> Tensor:
    """Rows, and rows of zeros up to a whole number of blocks."""
    return torch.cat([x, x.new_zeros(-len(x) % _BLOCK, *x.shape[1:])])
