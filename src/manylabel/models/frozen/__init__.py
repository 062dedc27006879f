"""Frozen encoders: texts and pictures through a pretrained encoder as it is, once, so that any method takes vectors."""

from manylabel.models.frozen.base import FrozenEncoder
from manylabel.models.frozen.registry import open_encoder, reopened
from manylabel.models.frozen.settings import FrozenSettings

__all__ = ["FrozenEncoder", "FrozenSettings", "open_encoder", "reopened"]
