"""LaMP: labels pass messages to each other along the graph of the labels that occur together."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from manylabel.methods.label_network import LabelNetworkMethod
from manylabel.methods.recipe import Config, VectorSettings
from manylabel.methods.rows import DeviceRows
from manylabel.models.lamp import LaMP
from manylabel.training import Run


class LaMPNetwork(Config):
    """The parameters of :class:`manylabel.models.lamp.LaMP`."""

    width: int = Field(512, ge=1)
    inner: int = Field(512, ge=1)
    layers: int = Field(2, ge=1)
    heads: int = Field(4, ge=1)
    dropout: float = Field(0.2, ge=0, lt=1)
    inputs: Literal["vector", "words"] = "vector"
    max_words: int = Field(300, ge=1)
    encoder_attention: bool = False
    graph: Literal["none", "edgeless", "prior"] = "prior"
    intermediate: float = Field(0.0, ge=0)
    tied: bool = False

    @model_validator(mode="after")
    def _check_heads(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"a width that {self.heads} heads share evenly, not {self.width}")
        return self


class LaMPSettings(VectorSettings):
    """Settings of LaMP."""

    network: LaMPNetwork = LaMPNetwork()


class LaMPMethod(LabelNetworkMethod):
    """Label message passing; see :class:`manylabel.models.lamp.LaMP`.

    Rows that are read as words are not standardised: a word is a feature other than 0.
    """

    settings: LaMPSettings
    family = "lamp"
    network_type = LaMP
    settings_type = LaMPNetwork

    @property
    def standardise(self) -> bool:
        settings = self.settings
        return settings.standardise and settings.network.inputs == "vector"

    def build(self, train: DeviceRows, validation: DeviceRows, run: Run) -> LaMP:
        network = self.new_network(train)
        assert isinstance(network, LaMP)
        if network.graph == "prior":
            network.connect(train.Y)
        return network
