"""Families of methods by name: the code that trains the recipes of each, and the settings that these may hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import nn

from manylabel.errors import ManyLabelError
from manylabel.methods.base import EncoderTrainer
from manylabel.methods.cgmvae import CGMVAEMethod, CGMVAESettings
from manylabel.methods.contrastive import ContrastiveMethod, ContrastiveSettings
from manylabel.methods.kmcl import KMCLMethod, KMCLSettings
from manylabel.methods.lamp import LaMPMethod, LaMPSettings
from manylabel.methods.logit import LogitMethod
from manylabel.methods.method import Method
from manylabel.methods.mpvae import MPVAEMethod, MPVAESettings
from manylabel.methods.neighbour_votes import NeighbourVotesMethod, NeighbourVotesSettings
from manylabel.methods.rbcc import RBCCMethod, RBCCSettings
from manylabel.methods.recipe import AnySettings, Settings
from manylabel.methods.recipe_files import read, short_name
from manylabel.methods.resolve import Recipe, resolve_recipe
from manylabel.methods.setting_paths import whole
from manylabel.methods.sklearn_baseline import SklearnBaselineMethod, SklearnBaselineSettings


class Family(NamedTuple):
    """The code of the recipes that name this family, and the settings that they may hold."""

    method: Any
    settings: type[AnySettings]


SINGLE = {
    "logit": Family(LogitMethod, Settings),
    "contrastive": Family(ContrastiveMethod, ContrastiveSettings),
    "kmcl": Family(KMCLMethod, KMCLSettings),
    "lamp": Family(LaMPMethod, LaMPSettings),
    "mpvae": Family(MPVAEMethod, MPVAESettings),
    "rbcc": Family(RBCCMethod, RBCCSettings),
    "cgmvae": Family(CGMVAEMethod, CGMVAESettings),
    "sklearn_baseline": Family(SklearnBaselineMethod, SklearnBaselineSettings),
    "neighbour_votes": Family(NeighbourVotesMethod, NeighbourVotesSettings),
}
"""The families of methods that are no combination of others."""


def recipe_of(
    name: str, families: Mapping[str, Family], overrides: Mapping[str, Any]
) -> tuple[Recipe, Family]:
    """A recipe with changed settings, and its family.

    Raises
    ------
    ManyLabelError
        For an unknown recipe, family or setting, or a value that a setting does not take.
    """
    layers = read(name)
    name = short_name(name)
    named = next((layer["family"] for layer in reversed(layers) if "family" in layer), None)
    family = families.get(named) if isinstance(named, str) else None
    if family is None:
        expected = f"a family, one of {', '.join(families)}"
        raise ManyLabelError(f"method {name}", expected, f"{named!r:.60}")
    return resolve_recipe(name, layers, family.settings, whole(overrides)), family


def single(name: str, overrides: Mapping[str, Any], encoder: nn.Module | None = None) -> Method:
    """A method of a family of :data:`SINGLE`; ``encoder`` is for those that train one.

    Raises
    ------
    ManyLabelError
        As :func:`recipe_of`.
    """
    recipe, family = recipe_of(name, SINGLE, overrides)
    own = encoder if takes_encoder(family) else None
    return Method(recipe, {kind: family.method(found, own) for kind, found in recipe.settings.items()})


def takes_encoder(family: Family) -> bool:
    """Whether the methods of a family train an encoder."""
    return issubclass(family.method, EncoderTrainer)
