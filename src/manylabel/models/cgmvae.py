"""C-GMVAE: one Gaussian per label, rows with several labels as mixtures, and a contrast with label embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from manylabel.models.encoders import Dropout
from manylabel.models.gaussian import GaussianEncoder, log_densities, sample
from manylabel.models.label_network import LabelNetwork


class CGMVAE(LabelNetwork):
    """Contrastive Gaussian mixture variational autoencoder.

    A label table W (E x C) is the first layer of the label encoder, which makes one Gaussian per label, and the
    classifier: ``e = decode([x, z])``, unit length, ``logits = e W``. ::

        loss = likelihood_weight (sum of three BCEs) + divergence_weight KL + contrastive_weight contrast

    The BCEs are those of ``z = 1/|y| sum_{l in y} mean_l`` and of two draws from the Gaussian of the row.

    Parameters
    ----------
    n_features, n_labels : int
    embedding : int, default 512
        E; 2048 in the released settings for mirflickr.
    latent : int, default 64
        Z.
    widths, label_widths : sequence of int, default (256, 512, 256) and (512, 256)
        Of the feature encoder, and of the label encoder after the table.
    decoder_width : int, default 512
    dropout : float, default 0.5
        Share dropped in the encoders; the decoder has none.
    likelihood_weight, divergence_weight, contrastive_weight : float, default 0.5, 6 and 1

    Notes
    -----
    Every row trained on needs a label. In evaluation mode z is the mean of the row's Gaussian.

    References
    ----------
    J. Bai, S. Kong, C. Gomes, "Gaussian Mixture Variational Autoencoder with Contrastive Learning for Multi-Label
    Classification", ICML 2022.
    """

    def __init__(
        self,
        n_features: int,
        n_labels: int,
        *,
        embedding: int = 512,
        latent: int = 64,
        widths: Sequence[int] = (256, 512, 256),
        label_widths: Sequence[int] = (512, 256),
        decoder_width: int = 512,
        dropout: float = 0.5,
        likelihood_weight: float = 0.5,
        divergence_weight: float = 6.0,
        contrastive_weight: float = 1.0,
    ) -> None:
        super().__init__(n_features, n_labels)
        self.table = nn.Linear(n_labels, embedding)  # its weight is W
        self.drop = Dropout(dropout)
        self.from_labels = GaussianEncoder(embedding, label_widths, latent, dropout)
        self.from_features = GaussianEncoder(n_features, widths, latent, dropout)
        self.decoder = nn.Sequential(
            nn.Linear(n_features + latent, decoder_width),
            nn.ReLU(),
            nn.Linear(decoder_width, embedding),
            nn.LeakyReLU(0.01),
        )
        self.weights = (likelihood_weight, divergence_weight, contrastive_weight)

    def label_gaussians(self) -> tuple[Tensor, Tensor]:
        """Mean and log variance of each label, (C, Z): the label encoder applied to the identity matrix."""
        first = self.drop(torch.relu(self.table.weight.T + self.table.bias))  # (C, E)
        mean, log_variance = self.from_labels(first)
        return mean, log_variance

    def embed(self, x: Tensor, z: Tensor) -> Tensor:
        """Unit embeddings of rows with their latents, (B, E)."""
        return F.normalize(self.decoder(torch.cat([x, z], 1)).float(), dim=1)

    def loss(self, x: Tensor, Y: Tensor) -> Tensor:
        target = Y.float()
        label_mean, label_log_variance = self.label_gaussians()
        mean, log_variance = self.from_features(x)
        z_l = target @ label_mean / target.sum(1, keepdim=True)
        latents = (z_l, sample(mean, log_variance), sample(mean, log_variance))
        embeddings = [self.embed(x, z) for z in latents]
        z = sample(mean, log_variance)
        kl = mixture_divergence(z, mean, log_variance, label_mean, label_log_variance, target)
        return self.combine(embeddings, kl, target)

    def combine(self, embeddings: list[Tensor], kl: Tensor, Y: Tensor) -> Tensor:
        """The total from the embeddings of the label branch and of two draws of the feature branch."""
        logits = [e @ self.table.weight for e in embeddings]  # (B, C)
        likelihood = sum((likelihood_loss(x, Y) for x in logits), torch.zeros_like(kl))
        contrast = contrastive_loss(torch.cat(logits[:2]), Y.repeat(2, 1))
        return self.weights[0] * likelihood + self.weights[1] * kl + self.weights[2] * contrast

    def probabilities(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.represent(x) @ self.table.weight)

    def represent(self, x: Tensor) -> Tensor:
        """Unit embeddings of the rows, (B, E)."""
        return self.embed(x, self.from_features(x)[0])


def likelihood_loss(logits: Tensor, Y: Tensor) -> Tensor:
    """Binary cross entropy, summed over labels, mean over rows."""
    return F.binary_cross_entropy_with_logits(logits, Y, reduction="sum") / len(Y)


def contrastive_loss(logits: Tensor, Y: Tensor) -> Tensor:
    """Each row against the embeddings of all labels.

    ``mean_B ( logsumexp_l(e . W_l) - 1/|y| sum_{l in y} e . W_l )``, for logits ``e . W_l`` (B, C) and ``Y`` (B, C);
    the temperature is 1.
    """
    return (logits.logsumexp(1) - (logits * Y).sum(1) / Y.sum(1)).mean()


def mixture_divergence(
    z: Tensor, mean: Tensor, log_variance: Tensor, label_mean: Tensor, label_log_variance: Tensor, Y: Tensor
) -> Tensor:
    """One-sample KL divergence of each row's Gaussian from the mixture of its labels' Gaussians.

    Parameters
    ----------
    z : (B, Z) tensor
        A draw from each row's Gaussian.
    mean, log_variance : (B, Z) tensors
        The rows' Gaussians.
    label_mean, label_log_variance : (C, Z) tensors
    Y : (B, C) tensor

    Returns
    -------
    scalar
        ``mean_B [ log N(z; row) - log( 1/|y| sum_{l in y} N(z; l) ) ]``.
    """
    own = -0.5 * (log_variance + (z - mean).square() / torch.exp(log_variance)).sum(1)
    components = log_densities(z, label_mean, label_log_variance).masked_fill(Y == 0, -torch.inf)  # (B, C)
    return (own - components.logsumexp(1) + Y.sum(1).log()).mean()
