"""Methods by name: recipes that turn training rows into predictors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from manylabel.methods.families import SINGLE, Family, recipe_of
from manylabel.methods.held_out import HeldOut
from manylabel.methods.label_network import LabelNetworkMethod, LabelNetworkScorer
from manylabel.methods.method import Method
from manylabel.methods.part import Scorer
from manylabel.methods.predictor import Predictor
from manylabel.methods.recipe_files import PAPER, names, short_name
from manylabel.methods.resolve import Recipe
from manylabel.methods.scorer import NetworkScorer
from manylabel.methods.stacking.evidence import LearnerEvidence, StackEvidence
from manylabel.methods.stacking.settings import StackingSettings
from manylabel.methods.stacking.trainer import StackingMethod
from manylabel.methods.start import MODEL

FAMILIES = SINGLE | {"stacking": Family(StackingMethod, StackingSettings)}


def get(name: str, *, encoder: nn.Module | str | None = None, **overrides: Any) -> Method:
    """A method by its recipe.

    Parameters
    ----------
    name : str
        One of :func:`names`, the path of a recipe file that ends in ``.toml``, or the import path of a classifier of
        scikit-learn's kind, such as ``sklearn.neighbors.KNeighborsClassifier``.
    encoder : nn.Module or str, optional
        A network (B, *shape) -> (B, H) in place of the recipe's, for methods that train an encoder. Or, for every
        method, the name or folder of a frozen encoder that makes vectors of texts or pictures: short for the setting
        ``inputs.encoder``, see :class:`manylabel.models.frozen.FrozenSettings`.
    **overrides
        Settings that replace those of the recipe, by dotted name: ``get("bce", **{"classify.stage.epochs": 5})``. A
        setting of a section that the recipe has for one kind of data alone is refused when it meets another.

    Raises
    ------
    ManyLabelError
        For an unknown method or setting, or a value that a setting does not take; the message lists the known ones.
    """
    if isinstance(encoder, str):
        overrides, encoder = {"inputs.encoder": encoder, **overrides}, None
    recipe, family = recipe_of(name, FAMILIES, overrides)
    trainers = {kind: family.method(settings, encoder) for kind, settings in recipe.settings.items()}
    return Method(recipe, trainers)


def start_from(folder: str | Path, method: str = "bce") -> dict[str, str]:
    """Settings with which a method takes the encoder of a model that was trained before.

    Parameters
    ----------
    folder : str or Path
        A model folder.
    method : str, default "bce"
        As :func:`get` takes it.

    Returns
    -------
    dict
        For :func:`get`. A method that trains an encoder starts from that of the model, whose network and way of taking
        rows replace those of the recipe; with ``classify.encoder_rate`` 0 it stays as it is, with 0.1 it is
        fine-tuned. Any other method gets texts or pictures through the encoder, frozen, as vectors.

    Raises
    ------
    ManyLabelError
        For an unknown method.
    """
    if any(hasattr(own, "encoder") for own in get(method).recipe.settings.values()):
        return {"encoder.name": MODEL, "encoder.weights": str(folder)}
    return {"inputs.encoder": str(folder)}


__all__ = [
    "PAPER",
    "HeldOut",
    "LabelNetworkMethod",
    "LabelNetworkScorer",
    "LearnerEvidence",
    "Method",
    "NetworkScorer",
    "Predictor",
    "Recipe",
    "Scorer",
    "StackEvidence",
    "get",
    "names",
    "short_name",
    "start_from",
]
