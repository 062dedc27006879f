"""Encoders: the network from one row to its representation of ``out_features`` numbers."""

from manylabel.models.encoders.mlp import MLP, Dropout, ResidualMLP
from manylabel.models.encoders.resnet import ResNet50, SmallResNet

__all__ = ["MLP", "Dropout", "ResNet50", "ResidualMLP", "SmallResNet"]
