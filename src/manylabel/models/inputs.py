"""From raw rows to what an encoder eats: dense, floating, standardised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from manylabel.data.dataset import Features, Kind
from manylabel.errors import ManyLabelError
from manylabel.models.words import Words

MOST_FEATURES = 10_000  # of texts, and of sparse rows that have more
_CHUNK = 2**26  # entries of a dense block


class Inputs(nn.Module):
    """How raw rows become what an encoder eats, fitted on training rows.

    Images (after division by 255) are standardised channel by channel, vectors feature by feature; a constant feature
    becomes 0. Texts become TF-IDF vectors of the words of the training texts. These, and sparse vectors of more than
    10 000 features, of which those kept are not 0 in the most training rows, are divided by one number, the root mean
    square of all entries: rare words scaled to the variance of frequent ones would drown them.

    Parameters
    ----------
    kind : "vectors" or "images"
        What the encoder eats.
    shape : tuple of int
        ``(n_features,)`` or ``(channels, height, width)``.
    vocabulary : sequence of n_features str, optional
        For rows that are texts.
    raw_features : int, optional
        For sparse vectors of which ``n_features`` columns are kept.

    Attributes
    ----------
    mean, scale : (n_features,) or (channels, 1, 1) buffers
    columns : (n_features,) int64 buffer, or None
        The columns that are kept, where not all are.
    words : Words or None
    """

    mean: Tensor
    scale: Tensor
    columns: Tensor | None

    def __init__(
        self,
        kind: Kind,
        shape: tuple[int, ...],
        *,
        vocabulary: Sequence[str] | None = None,
        raw_features: int | None = None,
    ) -> None:
        super().__init__()
        if kind not in ("vectors", "images"):
            raise ManyLabelError("encoder", "vectors or images", kind, "Use Inputs.fit for texts.")
        self.kind, self.shape, self.raw_features = kind, tuple(shape), raw_features
        per = shape if kind == "vectors" else (shape[0], 1, 1)
        self.register_buffer("mean", torch.zeros(per))
        self.register_buffer("scale", torch.ones(per))
        self.register_buffer("columns", None if raw_features is None else torch.arange(shape[0]))
        self.words = None if vocabulary is None else Words(vocabulary)

    @classmethod
    def fit(cls, X: Any, kind: Kind) -> Inputs:
        """Learn from training rows."""
        if isinstance(X, list):
            words = Words.fit(X, MOST_FEATURES)
            inputs = cls("vectors", (len(words.vocabulary),), vocabulary=words.vocabulary)
            inputs.words = words
            return inputs._scaled_by_one_number(X)
        if hasattr(X, "tocsr") and X.shape[1] > MOST_FEATURES:
            inputs = cls("vectors", (MOST_FEATURES,), raw_features=X.shape[1])
            assert inputs.columns is not None
            frequent = np.argsort(-X.getnnz(axis=0), kind="stable")[:MOST_FEATURES]
            inputs.columns.copy_(torch.from_numpy(np.sort(frequent)))
            return inputs._scaled_by_one_number(X)
        inputs = cls(kind, tuple(X.shape[1:]))
        std, mean = inputs._moments(X)
        inputs.mean.copy_(mean.view_as(inputs.mean))
        inputs.scale.copy_(torch.where(std > 1e-8, std, torch.ones_like(std)).view_as(inputs.scale))
        return inputs

    def meta(self) -> dict[str, Any]:
        """What :meth:`like` makes inputs of this form from; fits in JSON."""
        vocabulary = None if self.words is None else self.words.vocabulary
        own = {"kind": self.kind, "shape": self.shape}
        return own | {"vocabulary": vocabulary, "raw_features": self.raw_features}

    @classmethod
    def like(cls, meta: dict[str, Any]) -> Inputs:
        """Inputs of the form that :meth:`meta` tells, not fitted."""
        own = {name: meta[name] for name in ("vocabulary", "raw_features")}
        return cls(meta["kind"], tuple(meta["shape"]), **own)

    def unscaled(self) -> Inputs:
        """The same words or columns, their values as they are."""
        inputs = self.like(self.meta())
        kept = {"mean": inputs.mean, "scale": inputs.scale}
        inputs.load_state_dict(self.state_dict() | kept)
        return inputs

    def sparse(self, X: Any) -> Any:
        """Texts or sparse rows as a CSR matrix of the features that are kept, (n, n_features) float32."""
        if self.words is not None:
            if not isinstance(X, list):
                raise ManyLabelError("X", "a list of texts, as in training", type(X).__name__)
            return self.words.rows(X)
        width = self.raw_features or self.shape[0]
        if isinstance(X, list) or X.shape[1] != width:
            got = "texts" if isinstance(X, list) else f"shape {tuple(X.shape[1:])}"
            raise _other_shape((width,), got)
        return X if self.columns is None else X[:, self.columns.cpu().numpy()]

    def dense(self, X: Features) -> Tensor:
        """Raw rows as a float32 tensor, pictures in [0, 1]; (n, *shape).

        Raises
        ------
        ManyLabelError
            If the rows do not have the shape of the training rows.
        """
        if isinstance(X, list) or hasattr(X, "tocsr") or self.words is not None:
            return torch.from_numpy(self.sparse(X).toarray()).float()
        rows = torch.as_tensor(X)
        shape = self.shape if self.raw_features is None else (self.raw_features,)
        if tuple(rows.shape[1:]) != shape:
            raise _other_shape(shape, f"shape {tuple(rows.shape[1:])}")
        if self.columns is not None:
            rows = rows[:, self.columns.to(rows.device)]
        return rows.float().div_(255) if rows.dtype == torch.uint8 else rows.float()

    def forward(self, x: Tensor) -> Tensor:
        """Standardise dense rows, (B, *shape) -> (B, *shape)."""
        return (x - self.mean) / self.scale

    def _scaled_by_one_number(self, X: Any) -> Inputs:
        rows = self.sparse(X)
        squares = float(np.square(rows.data, dtype=np.float64).sum())
        self.scale.fill_((squares / (rows.shape[0] * rows.shape[1])) ** 0.5 or 1.0)
        return self

    def _moments(self, X: Any) -> tuple[Tensor, Tensor]:
        """Standard deviation and mean of features or channels; large sparse rows a block of columns at a time."""
        if not hasattr(X, "tocsc") or X.shape[0] * X.shape[1] <= _CHUNK:
            return torch.std_mean(
                self.dense(X), dim=(0,) if self.kind == "vectors" else (0, 2, 3), correction=0
            )
        columns, width = X.tocsc(), max(1, _CHUNK // X.shape[0])
        blocks = (columns[:, start : start + width].toarray() for start in range(0, X.shape[1], width))
        moments = [torch.std_mean(torch.from_numpy(block), dim=0, correction=0) for block in blocks]
        return torch.cat([std for std, _ in moments]), torch.cat([mean for _, mean in moments])


def _other_shape(expected: tuple[int, ...], got: str) -> ManyLabelError:
    return ManyLabelError("X", f"rows of shape {expected}", got, "Use the features of the training rows.")
