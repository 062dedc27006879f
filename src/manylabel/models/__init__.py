"""Encoders, heads, the momentum encoder and the label queue; any other ``nn.Module`` can take an encoder's place."""

from manylabel.models.encoders import MLP, Dropout, ResidualMLP, ResNet50, SmallResNet
from manylabel.models.flat import FlatParameters
from manylabel.models.heads import PlainHead, ProjectionHead
from manylabel.models.inputs import Preprocessor, fit_preprocessor, preprocessor_like
from manylabel.models.momentum import MomentumEncoder
from manylabel.models.queue import LabelQueue

__all__ = [
    "MLP",
    "Dropout",
    "FlatParameters",
    "LabelQueue",
    "MomentumEncoder",
    "PlainHead",
    "Preprocessor",
    "ProjectionHead",
    "ResNet50",
    "ResidualMLP",
    "SmallResNet",
    "fit_preprocessor",
    "preprocessor_like",
]
