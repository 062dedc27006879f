"""A method without its contrastive term, at equal budget: the other half of every pair that is compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from manylabel import methods
from manylabel.errors import ManyLabelError
from manylabel.methods.recipe import AnySettings
from manylabel.study.records import flattened
from manylabel.study.variants import Variant

PLAIN = "bce"
PRETRAINING_COST = 1.5
"""Of an epoch of contrastive pretraining, in epochs of the classifier: it encodes two views of every row and compares
them. Measured from 1.3 (contrasted within the batch) to 2.2 (keys of a momentum encoder)."""
MEMBER = "learners.network.method"  # what a stack trains as its network
NOT_COPIED = ("name", "family", "about", "source", "expected", "loss")


def without_contrast(method: str) -> str:
    """The variant of a method that has everything but the contrastive term.

    Parameters
    ----------
    method : str
        A recipe with a contrastive loss, or a stack with a network that has one; or a variant of these.

    Returns
    -------
    str
        The classifier alone, with encoder, views, schedule, rates and neighbours of the recipe; epochs of pretraining
        become ``PRETRAINING_COST`` times as many of the classifier, which is equal time. Of joint training the epochs
        stay. Of a classifier on a frozen encoder, the network trained with its classifier for as many epochs. Of a
        stack, the stack whose network is the classifier alone.

    Raises
    ------
    ManyLabelError
        For a method without a contrastive term.
    """
    variant = Variant.parse(method)
    recipe = methods.get(variant.method, **variant.settings).recipe
    own = {kind: _decisive(settings) for kind, settings in recipe.own_settings.items()}
    first = next(iter(own.values()))
    if MEMBER in first:
        return str(Variant(variant.method, {**variant.settings, MEMBER: PLAIN}))
    if not _contrasts(first):
        hint = "Name one such as mulsupcon or best."
        raise ManyLabelError("`methods`", "methods with a contrastive term", method, hint)
    plain = methods.get(PLAIN).recipe.own_settings
    changed = {kind: _changed(own[kind], _decisive(plain[kind])) for kind in own}
    return str(Variant(PLAIN, _for_all_kinds(changed)))


def _decisive(settings: AnySettings) -> dict[str, Any]:
    """Settings by dotted name, without those that tell what a recipe is."""
    found = flattened(settings.model_dump(mode="json"))
    return {name: value for name, value in found.items() if name not in NOT_COPIED}


def _contrasts(settings: Mapping[str, Any]) -> bool:
    return any(name.startswith(("pretrain.", "contrast.")) for name in settings)


def _changed(with_contrast: Mapping[str, Any], plain: Mapping[str, Any]) -> dict[str, Any]:
    """What differs from the plain classifier, beside the contrastive term."""
    wanted = {
        name: value
        for name, value in with_contrast.items()
        if name in plain or name.startswith("neighbours.")
    }
    pretraining = with_contrast.get("pretrain.stage.epochs", 0)
    wanted["classify.stage.epochs"] += round(PRETRAINING_COST * pretraining)
    wanted["classify.encoder_rate"] = with_contrast["classify.encoder_rate"] or 1.0
    return {name: value for name, value in wanted.items() if plain.get(name) != value}


def _for_all_kinds(changed: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Settings under one name where all kinds of rows have the same, else with the kind before it."""
    named: dict[str, Any] = {}
    for kind, settings in changed.items():
        for name, value in settings.items():
            is_shared = all(name in other and other[name] == value for other in changed.values())
            named[name if is_shared else f"{kind}.{name}"] = value
    return named
