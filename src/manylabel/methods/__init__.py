"""Methods by name: recipes that turn training rows into predictors."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import nn

from manylabel.errors import ManyLabelError
from manylabel.methods.cgmvae import CGMVAEMethod, CGMVAESettings
from manylabel.methods.contrastive import ContrastiveMethod, ContrastiveSettings
from manylabel.methods.kmcl import KMCLMethod, KMCLSettings
from manylabel.methods.label_network import LabelNetworkMethod, LabelNetworkScorer
from manylabel.methods.lamp import LaMPMethod, LaMPSettings
from manylabel.methods.logit import LogitMethod
from manylabel.methods.method import Method
from manylabel.methods.mpvae import MPVAEMethod, MPVAESettings
from manylabel.methods.part import Scorer
from manylabel.methods.predictor import Predictor
from manylabel.methods.rbcc import RBCCMethod, RBCCSettings
from manylabel.methods.recipe import AnySettings, Settings
from manylabel.methods.recipe_files import PAPER, names, read, short_name
from manylabel.methods.resolve import Recipe, resolve_recipe
from manylabel.methods.scorer import NetworkScorer
from manylabel.methods.sklearn_baseline import SklearnBaselineMethod, SklearnBaselineSettings


class Family(NamedTuple):
    """The code of the recipes that name this family, and the settings that they may hold."""

    method: Any
    settings: type[AnySettings]


FAMILIES = {
    "logit": Family(LogitMethod, Settings),
    "contrastive": Family(ContrastiveMethod, ContrastiveSettings),
    "kmcl": Family(KMCLMethod, KMCLSettings),
    "lamp": Family(LaMPMethod, LaMPSettings),
    "mpvae": Family(MPVAEMethod, MPVAESettings),
    "rbcc": Family(RBCCMethod, RBCCSettings),
    "cgmvae": Family(CGMVAEMethod, CGMVAESettings),
    "sklearn_baseline": Family(SklearnBaselineMethod, SklearnBaselineSettings),
}


def get(name: str, *, encoder: nn.Module | None = None, **overrides: Any) -> Method:
    """A method by its recipe.

    Parameters
    ----------
    name : str
        One of :func:`names`, the path of a recipe file that ends in ``.toml``, or the import path of a classifier of
        scikit-learn's kind, such as ``sklearn.neighbors.KNeighborsClassifier``.
    encoder : nn.Module, optional
        A network (B, *shape) -> (B, H) in place of the recipe's, for methods that train an encoder.
    **overrides
        Settings that replace those of the recipe, by dotted name: ``get("bce", **{"classify.stage.epochs": 5})``. A
        setting of a section that the recipe has for one kind of data alone is refused when it meets another.

    Raises
    ------
    ManyLabelError
        For an unknown method or setting, or a value that a setting does not take; the message lists the known ones.
    """
    layers = read(name)
    name = short_name(name)
    named = next((layer["family"] for layer in reversed(layers) if "family" in layer), None)
    family = FAMILIES.get(named) if isinstance(named, str) else None
    if family is None:
        expected = f"a family, one of {', '.join(FAMILIES)}"
        raise ManyLabelError(f"method {name}", expected, f"{named!r:.60}")
    recipe = resolve_recipe(name, layers, family.settings, overrides)
    trainers = {kind: family.method(settings, encoder) for kind, settings in recipe.settings.items()}
    return Method(recipe, trainers)


__all__ = [
    "PAPER",
    "LabelNetworkMethod",
    "LabelNetworkScorer",
    "Method",
    "NetworkScorer",
    "Predictor",
    "Recipe",
    "Scorer",
    "get",
    "names",
    "short_name",
]
