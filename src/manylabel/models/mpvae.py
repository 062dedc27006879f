"""MPVAE: label and feature Gaussians in one latent space, a multivariate probit model on what is decoded."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from manylabel.models.encoders import MLP
from manylabel.models.gaussian import GaussianEncoder, sample
from manylabel.models.label_network import LabelNetwork


class MPVAE(LabelNetwork):
    """Multivariate probit variational autoencoder.

    Two branches share latent space, decoder and covariance: one encodes rows with their labels, one rows alone, which
    is the one that predicts. Each decodes [x, z] to probit means mu, and with ``xi ~ N(0, I_r)``::

        P_s = Phi(mu + R xi_s)
        loss = likelihood_weight (nll_l + nll_f) + ranking_weight (rank_l + rank_f) + divergence_weight KL

    Parameters
    ----------
    n_features, n_labels : int
    latent : int, default 50
        Z.
    factors : int or None, default None
        r, columns of R; None for n_labels.
    draws : int, default 100
        S, draws of xi for a row and step; both branches have the same.
    widths, label_widths, decoder_widths : sequence of int, default (256, 512, 256), (512, 256), (256, 512)
        Of the feature encoder, the label encoder and the shared decoder.
    dropout : float, default 0.5
        Share dropped in the encoders; the decoder has none.
    likelihood_weight, ranking_weight, divergence_weight : float, default 0.1, 20 and 1.1
    shared_noise : bool, default True
        Both branches draw z with the same noise, as the original code does; its PyTorch port draws twice.

    Notes
    -----
    Divisors: each term is a mean over the rows of the batch. In evaluation mode z is the mean of the feature Gaussian
    and the mean over xi has its closed form ``Phi(mu / sqrt(1 + ||R_l||^2))``, so that nothing is drawn; the original
    code draws both.

    References
    ----------
    J. Bai, S. Kong, C. Gomes, "Disentangled Variational Autoencoder based Multi-Label Classification with
    Covariance-Aware Multivariate Probit Model", IJCAI 2020.
    """

    def __init__(
        self,
        n_features: int,
        n_labels: int,
        *,
        latent: int = 50,
        factors: int | None = None,
        draws: int = 100,
        widths: Sequence[int] = (256, 512, 256),
        label_widths: Sequence[int] = (512, 256),
        decoder_widths: Sequence[int] = (256, 512),
        dropout: float = 0.5,
        likelihood_weight: float = 0.1,
        ranking_weight: float = 20.0,
        divergence_weight: float = 1.1,
        shared_noise: bool = True,
    ) -> None:
        super().__init__(n_features, n_labels)
        self.from_features = GaussianEncoder(n_features, widths, latent, dropout)
        self.from_labels = GaussianEncoder(n_features + n_labels, label_widths, latent, dropout)
        self.decoder = MLP(n_features + latent, decoder_widths, dropout=0.0)
        self.feature_means, self.label_means = (
            nn.Linear(self.decoder.out_features, n_labels) for _ in range(2)
        )
        factors = n_labels if factors is None else factors
        bound = math.sqrt(6 / (n_labels + factors))
        self.factor = nn.Parameter(torch.empty(n_labels, factors).uniform_(-bound, bound))  # R
        self.draws, self.shared_noise = draws, shared_noise
        self.weights = (likelihood_weight, ranking_weight, divergence_weight)

    def loss(self, x: Tensor, Y: Tensor) -> Tensor:
        target = Y.float()
        features = self.from_features(x)  # mean and log variance, (B, Z)
        labels = self.from_labels(torch.cat([x, target], 1))
        noise = torch.randn_like(features[0])
        z_f = sample(features[0], features[1], noise)
        z_l = sample(labels[0], labels[1], noise if self.shared_noise else None)
        mu_f = self.feature_means(self.decoder(torch.cat([x, z_f], 1)))
        mu_l = self.label_means(self.decoder(torch.cat([x, z_l], 1)))
        xi = torch.randn(self.draws, *mu_f.shape[:1], self.factor.shape[1], device=x.device)
        value = self.weights[2] * divergence(*features, *labels)
        for mu in (mu_l, mu_f):
            P = probit_probabilities(mu.float(), self.factor, xi)
            value = value + self.weights[0] * negative_log_likelihood(P, target)
            value = value + self.weights[1] * ranking(P, target)
        return value

    def probabilities(self, x: Tensor) -> Tensor:
        mu = self.feature_means(self.decoder(torch.cat([x, self.represent(x)], 1)))
        return mean_probabilities(mu.float(), self.factor)

    def represent(self, x: Tensor) -> Tensor:
        """The mean of the feature Gaussian, (B, Z)."""
        mean: Tensor = self.from_features(x)[0]
        return mean


def probit_probabilities(mu: Tensor, factor: Tensor, xi: Tensor) -> Tensor:
    """``Phi(mu + R xi)``, kept away from 0 and 1.

    Parameters
    ----------
    mu : (B, C) tensor
    factor : (C, r) tensor
    xi : (S, B, r) tensor

    Returns
    -------
    (S, B, C) tensor in [5e-7, 1 - 5e-7]
    """
    P: Tensor = torch.special.ndtr(mu + xi @ factor.T) * (1 - 1e-6) + 0.5e-6
    return P


def mean_probabilities(mu: Tensor, factor: Tensor) -> Tensor:
    """The mean of ``Phi(mu + R xi)`` over ``xi ~ N(0, I)``: ``Phi(mu / sqrt(1 + ||R_l||^2))``, (B, C)."""
    P: Tensor = torch.special.ndtr(mu / (1 + factor.square().sum(1)).sqrt())
    return P


def negative_log_likelihood(P: Tensor, Y: Tensor) -> Tensor:
    """``mean_B -log( 1/S sum_s prod_l P_sl^y (1 - P_sl)^(1 - y) )``, for ``P`` (S, B, C) and ``Y`` (B, C)."""
    log_joint = torch.where(Y > 0, P, 1 - P).log().sum(-1)  # (S, B)
    return (math.log(len(P)) - log_joint.logsumexp(0)).mean()


def ranking(P: Tensor, Y: Tensor) -> Tensor:
    """How often absent labels come near present ones.

    ``mean_{S, B} sum_{l in y, m not in y} exp(-5 (P_l - P_m)) / (5 |y| (C - |y|))``, 0 for a row with all labels or
    none; for ``P`` (S, B, C) and ``Y`` (B, C). The sum is a product of two sums over labels.
    """
    present = Y.to(P.dtype)
    absent = 1 - present
    sums = (torch.exp(-5 * P) * present).sum(-1) * (torch.exp(5 * P) * absent).sum(-1)  # (S, B)
    pairs = present.sum(-1) * absent.sum(-1)
    return (sums / (5 * pairs.clamp(min=1))).mean()


def divergence(f_mean: Tensor, f_log_variance: Tensor, l_mean: Tensor, l_log_variance: Tensor) -> Tensor:
    """Mean over rows of the KL divergence of the label Gaussian from the feature Gaussian, each (B, Z)."""
    spread = f_log_variance - l_log_variance - 1 + torch.exp(l_log_variance - f_log_variance)
    apart = (f_mean - l_mean).square() / (torch.exp(f_log_variance) + 1e-6)
    return 0.5 * (spread + apart).sum(1).mean()
