"""Methods by name: recipes that turn training rows into scorers."""

from __future__ import annotations

from typing import Any

from torch import nn

from manylabel.methods.base import Method
from manylabel.methods.contrastive import ContrastiveMethod
from manylabel.methods.logit import LogitMethod
from manylabel.methods.recipe import Recipe, load, names
from manylabel.methods.scorer import NetworkScorer, Scorer

FAMILIES: dict[str, Any] = {"logit": LogitMethod, "contrastive": ContrastiveMethod}


def get(name: str, *, encoder: nn.Module | None = None, **overrides: Any) -> Method:
    """A method by the name of its recipe.

    Parameters
    ----------
    name : str
        One of :func:`names`.
    encoder : nn.Module, optional
        A network (B, *shape) -> (B, H) in place of the recipe's.
    **overrides
        Settings that replace those of the recipe, by dotted name: ``get("bce", **{"classify.stage.epochs": 5})``.

    Raises
    ------
    ManyLabelError
        For an unknown method or setting, or a value that a setting does not take; the message lists the known ones.
    """
    recipe = load(name, overrides)
    method: Method = FAMILIES[recipe.family](recipe, encoder)
    return method


__all__ = ["Method", "NetworkScorer", "Recipe", "Scorer", "get", "names"]
