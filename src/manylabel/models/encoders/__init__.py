"""Encoders: the network from one row to its representation of ``out_features`` numbers."""

from manylabel.models.encoders.efficientnet import EfficientNetLite0
from manylabel.models.encoders.mlp import MLP, Dropout, NumericMLP, ResidualMLP
from manylabel.models.encoders.pictures import PictureEncoder
from manylabel.models.encoders.registry import PICTURE_ENCODERS, picture_encoder
from manylabel.models.encoders.resnet import ResNet, SmallResNet
from manylabel.models.encoders.vit import VisionTransformer

__all__ = [
    "MLP",
    "PICTURE_ENCODERS",
    "Dropout",
    "EfficientNetLite0",
    "NumericMLP",
    "PictureEncoder",
    "ResNet",
    "ResidualMLP",
    "SmallResNet",
    "VisionTransformer",
    "picture_encoder",
]
