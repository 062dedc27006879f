"""Encoders, heads, the momentum encoder and the label queue; any other ``nn.Module`` can take an encoder's place."""

from manylabel.models.encoders import (
    MLP,
    PICTURE_ENCODERS,
    Dropout,
    EfficientNetLite0,
    NumericMLP,
    PictureEncoder,
    ResidualMLP,
    ResNet,
    SmallResNet,
    VisionTransformer,
    picture_encoder,
)
from manylabel.models.flat import FlatParameters
from manylabel.models.heads import PlainHead, ProjectionHead
from manylabel.models.inputs import Preprocessor, fit_preprocessor, preprocessor_like
from manylabel.models.momentum import MomentumEncoder
from manylabel.models.queue import LabelQueue

__all__ = [
    "MLP",
    "PICTURE_ENCODERS",
    "Dropout",
    "EfficientNetLite0",
    "FlatParameters",
    "LabelQueue",
    "MomentumEncoder",
    "NumericMLP",
    "PictureEncoder",
    "PlainHead",
    "Preprocessor",
    "ProjectionHead",
    "ResNet",
    "ResidualMLP",
    "SmallResNet",
    "VisionTransformer",
    "fit_preprocessor",
    "picture_encoder",
    "preprocessor_like",
]
