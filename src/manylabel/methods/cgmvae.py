"""C-GMVAE: a Gaussian mixture variational autoencoder with a contrast between rows and label embeddings."""

from __future__ import annotations

from pydantic import Field

from manylabel.methods.label_network import LabelNetworkMethod
from manylabel.methods.recipe import Config, VectorSettings, Widths
from manylabel.models.cgmvae import CGMVAE


class CGMVAENetwork(Config):
    """The parameters of :class:`manylabel.models.cgmvae.CGMVAE`."""

    embedding: int = Field(512, ge=1)
    latent: int = Field(64, ge=1)
    widths: Widths = (256, 512, 256)
    label_widths: Widths = (512, 256)
    decoder_width: int = Field(512, ge=1)
    dropout: float = Field(0.5, ge=0, lt=1)
    likelihood_weight: float = Field(0.5, ge=0)
    divergence_weight: float = Field(6.0, ge=0)
    contrastive_weight: float = Field(1.0, ge=0)


class CGMVAESettings(VectorSettings):
    """Settings of C-GMVAE."""

    network: CGMVAENetwork = CGMVAENetwork()


class CGMVAEMethod(LabelNetworkMethod):
    """Contrastive Gaussian mixture variational autoencoder; see :class:`manylabel.models.cgmvae.CGMVAE`.

    Training rows without labels are left out: they are no mixture of anything.
    """

    family = "cgmvae"
    network_type = CGMVAE
    settings_type = CGMVAENetwork
    needs_labels = True
