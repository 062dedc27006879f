"""From raw rows to what an encoder eats: dense, floating, standardised."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from manylabel.data.dataset import Features, Kind
from manylabel.errors import ManyLabelError


class Inputs(nn.Module):
    """Standardisation fitted on training rows.

    Vectors are standardised feature by feature, images (after division by 255) channel by channel. A constant feature
    becomes 0.

    Parameters
    ----------
    kind : "vectors" or "images"
    shape : tuple of int
        ``(n_features,)`` or ``(channels, height, width)``.

    Attributes
    ----------
    mean, scale : (n_features,) or (channels, 1, 1) buffers
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, kind: Kind, shape: tuple[int, ...]) -> None:
        super().__init__()
        if kind not in ("vectors", "images"):
            hint = "Turn the texts into vectors first, for example with scikit-learn's TfidfVectorizer."
            raise ManyLabelError("encoder", "vectors or images", kind, hint)
        self.kind, self.shape = kind, tuple(shape)
        per = shape if kind == "vectors" else (shape[0], 1, 1)
        self.register_buffer("mean", torch.zeros(per))
        self.register_buffer("scale", torch.ones(per))

    @classmethod
    def fit(cls, X: Features, kind: Kind) -> Inputs:
        """Learn mean and scale from training rows."""
        inputs = cls(kind, tuple(getattr(X, "shape", (0,))[1:]))
        raw = inputs.dense(X)
        axes = (0,) if kind == "vectors" else (0, 2, 3)
        std, mean = torch.std_mean(raw, dim=axes, correction=0)
        inputs.mean.copy_(mean.view_as(inputs.mean))
        inputs.scale.copy_(torch.where(std > 1e-8, std, torch.ones_like(std)).view_as(inputs.scale))
        return inputs

    def dense(self, X: Features) -> Tensor:
        """Raw rows as a float32 tensor, pictures in [0, 1]; (n, *shape).

        Raises
        ------
        ManyLabelError
            If the rows do not have the shape of the training rows.
        """
        rows = _as_tensor(X)
        if tuple(rows.shape[1:]) != self.shape:
            raise ManyLabelError(
                "X",
                f"rows of shape {self.shape}",
                f"shape {tuple(rows.shape[1:])}",
                "Use the features of the training rows.",
            )
        return rows.float().div_(255) if rows.dtype == torch.uint8 else rows.float()

    def forward(self, x: Tensor) -> Tensor:
        """Standardise dense rows, (B, *shape) -> (B, *shape)."""
        return (x - self.mean) / self.scale


def _as_tensor(X: Any) -> Tensor:
    if hasattr(X, "toarray"):
        X = X.toarray()
    return torch.as_tensor(X)
