"""MPVAE: a variational autoencoder of rows and labels with a multivariate probit model of the labels."""

from __future__ import annotations

from pydantic import Field

from manylabel.methods.label_network import LabelNetworkMethod
from manylabel.methods.recipe import Config, VectorSettings, Widths
from manylabel.models.mpvae import MPVAE


class MPVAENetwork(Config):
    """The parameters of :class:`manylabel.models.mpvae.MPVAE`."""

    latent: int = Field(50, ge=1)
    factors: int | None = Field(None, ge=1)
    draws: int = Field(100, ge=1)
    widths: Widths = (256, 512, 256)
    label_widths: Widths = (512, 256)
    decoder_widths: Widths = (256, 512)
    dropout: float = Field(0.5, ge=0, lt=1)
    likelihood_weight: float = Field(0.1, ge=0)
    ranking_weight: float = Field(20.0, ge=0)
    divergence_weight: float = Field(1.1, ge=0)
    shared_noise: bool = True


class MPVAESettings(VectorSettings):
    """Settings of MPVAE."""

    network: MPVAENetwork = MPVAENetwork()


class MPVAEMethod(LabelNetworkMethod):
    """Multivariate probit variational autoencoder; see :class:`manylabel.models.mpvae.MPVAE`."""

    family = "mpvae"
    network_type = MPVAE
    settings_type = MPVAENetwork
