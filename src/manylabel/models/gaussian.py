"""Gaussian latents: an encoder to mean and log variance, samples and densities."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from manylabel.models.encoders import MLP


class GaussianEncoder(nn.Module):
    """Linear, ReLU and dropout blocks, then one linear layer each for mean and log variance.

    Parameters
    ----------
    n_features : int
    widths : sequence of int
    latent : int
        Z, the size of the latent.
    dropout : float

    Notes
    -----
    (B, n_features) -> two tensors (B, Z).
    """

    def __init__(self, n_features: int, widths: Sequence[int], latent: int, dropout: float) -> None:
        super().__init__()
        self.body = MLP(n_features, widths, dropout)
        self.mean = nn.Linear(self.body.out_features, latent)
        self.log_variance = nn.Linear(self.body.out_features, latent)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = self.body(x)
        return self.mean(hidden), self.log_variance(hidden)


def sample(mean: Tensor, log_variance: Tensor, noise: Tensor | None = None) -> Tensor:
    """``mean + noise * exp(log_variance / 2)``, with fresh standard normal noise by default; (B, Z)."""
    noise = torch.randn_like(mean) if noise is None else noise
    return mean + noise * torch.exp(log_variance / 2)


def log_densities(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Log density of each point under each diagonal Gaussian, without the constant.

    Parameters
    ----------
    z : (B, Z) tensor
    mean, log_variance : (C, Z) tensors

    Returns
    -------
    (B, C) tensor
        ``-1/2 sum_d (log_variance + (z - mean)^2 / variance)``.

    Notes
    -----
    The square is multiplied out, so that nothing of B x C x Z is held.
    """
    precision = torch.exp(-log_variance)  # (C, Z)
    quadratic = (z * z) @ precision.T - 2 * z @ (mean * precision).T  # (B, C)
    return -0.5 * (quadratic + (log_variance + mean * mean * precision).sum(1))
