"""A method without its contrastive term, at equal budget: the other half of every pair that is compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from manylabel import methods
from manylabel.data.rows.registry import KINDS
from manylabel.errors import ManyLabelError
from manylabel.methods.recipe import AnySettings, NeighbourSettings
from manylabel.study.records import flattened
from manylabel.study.variants import Variant

PLAIN = "bce"
PRETRAINING_COST = 1.5
"""Of an epoch of contrastive pretraining, in epochs of the classifier: it encodes two views of every row and compares
them. Measured from 1.3 (contrasted within the batch) to 2.2 (keys of a momentum encoder)."""
CLOSE = 0.1  # the epochs of the recipe of the classifier alone stay where they are so close to equal time
MEMBER, SETTINGS = (
    "learners.network.method",
    "learners.network.settings.",
)  # what a stack trains as its network
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
        become ``PRETRAINING_COST`` times as many of the classifier, which is equal time to about a tenth. Of joint
        training the epochs stay. Of a classifier on a frozen encoder, the network trained with its classifier for as
        many epochs. Of a stack, the stack whose network is the classifier alone.

    Raises
    ------
    ManyLabelError
        For a method without a contrastive term.
    """
    variant = Variant.parse(method)
    recipe = methods.get(variant.method, **variant.settings).recipe
    own = {kind: _decisive(settings) for kind, settings in recipe.own_settings.items()}
    if all(MEMBER in settings for settings in own.values()):
        changed = {kind: _in_stack(kind, settings[MEMBER]) for kind, settings in own.items()}
        return str(Variant(variant.method, {**variant.settings, **_for_all_kinds(changed)}))
    if not all(map(_contrasts, own.values())):
        hint = "Name one such as mulsupcon or best."
        raise ManyLabelError("`methods`", "methods with a contrastive term", method, hint)
    changed = {kind: _changed(kind, settings) for kind, settings in own.items()}
    return str(Variant(PLAIN, _for_all_kinds(changed)))


def _in_stack(kind: str, network: str) -> dict[str, Any]:
    """Settings of a stack by which its network is the classifier alone."""
    settings = _decisive(methods.get(network).recipe.resolve(kind))
    return {MEMBER: PLAIN} | {f"{SETTINGS}{name}": value for name, value in _changed(kind, settings).items()}


def _decisive(settings: AnySettings) -> dict[str, Any]:
    """Settings by dotted name, without those that tell what a recipe is."""
    found = flattened(settings.model_dump(mode="json"))
    return {name: value for name, value in found.items() if name not in NOT_COPIED}


def _contrasts(settings: Mapping[str, Any]) -> bool:
    return any(name.startswith(("pretrain.", "contrast.")) for name in settings)


def _changed(kind: str, with_contrast: Mapping[str, Any]) -> dict[str, Any]:
    """What differs from the plain classifier on a kind of rows, beside the contrastive term."""
    plain = _decisive(methods.get(PLAIN).recipe.resolve(kind))
    unsaid = {f"neighbours.{name}": value for name, value in NeighbourSettings().model_dump().items()}
    wanted = {name: value for name, value in with_contrast.items() if name in plain or name in unsaid}
    pretraining = with_contrast.get("pretrain.stage.epochs", 0)
    epochs = wanted["classify.stage.epochs"] + round(PRETRAINING_COST * pretraining)
    own = plain["classify.stage.epochs"]
    wanted["classify.stage.epochs"] = own if abs(own - epochs) <= CLOSE * epochs else epochs
    wanted["classify.encoder_rate"] = with_contrast["classify.encoder_rate"] or 1.0
    usual = {**unsaid, "neighbours.weight": None, **plain}  # the weight is always said: it brings the section
    return {name: value for name, value in wanted.items() if usual.get(name) != value}


def _for_all_kinds(changed: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Settings under one name where all kinds of rows have the same, else with the kind before it.

    What texts and tables share with vectors, whose settings hold for them, too, is said once.
    """
    named: dict[str, Any] = {}
    for kind, settings in changed.items():
        base = changed.get(KINDS[kind][0], {}) if kind != KINDS[kind][0] else {}
        for name, value in settings.items():
            is_shared = all(name in other and other[name] == value for other in changed.values())
            if is_shared or name not in base or base[name] != value:
                named[name if is_shared else f"{kind}.{name}"] = value
    return named
