"""Scaled trainings: fewer epochs, or as many steps on a share of the rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from manylabel import methods
from manylabel.data.rows.registry import KINDS
from manylabel.methods.stacking.settings import StackingSettings, dotted
from manylabel.study.records import flattened
from manylabel.study.variants import Variant
from manylabel.training.sampling import rows_of_step

IN_EPOCHS = ("epochs", "monitor_every", "patience", "stop_after")
WITH_PERIOD = ("warm_restarts", "step")
ROWS_LEFT = 0.75  # of a share, at least so many are not validation rows


def fitted(
    method: str, scale: float, fraction: float, n_rows: int, *, scales_variants: bool = False
) -> dict[str, Any]:
    """Settings that replace those of a method's recipe.

    Parameters
    ----------
    method : str
        A recipe or a variant of one.
    scale : float
        Multiplies the epochs of every stage; averages of parameters then reach back as much less or more.
    fraction : float
        Share of the training rows. A batch is at most the largest power of two that the share holds, and epochs are
        multiplied such that the number of steps stays about that of training on all rows: curves over the share
        compare data, not training time. Learners of a stack take the share as they would take all rows.
    n_rows : int
        Training rows of the whole data set.
    scales_variants : bool, default False
        Whether what a variant names is scaled as well; by default it stays.
    """
    variant = Variant.parse(method)
    recipe = methods.get(variant.method, **variant.settings).recipe
    old = flattened({kind: own.model_dump(mode="json") for kind, own in recipe.own_settings.items()})
    for kind, own in recipe.own_settings.items():
        if isinstance(own, StackingSettings):
            old |= {f"{kind}.learners.{name}": value for name, value in _of_learners(own, kind)}
    largest = 2 ** int(math.log2(max(1.0, ROWS_LEFT * fraction * n_rows)))
    new: dict[str, Any] = {}
    for stage in (
        name.removesuffix("stage.epochs") + "stage." for name in old if name.endswith("stage.epochs")
    ):
        if f"{stage}batch" not in old:  # of a learner that such rows leave out
            continue
        batch, passes = old[f"{stage}batch"], scale
        if fraction != 1 and ".learners." not in stage:
            usual = rows_of_step(batch, n_rows)
            batch = min(usual, largest)
            passes = scale * batch / (usual * fraction)
        in_epochs = (*IN_EPOCHS, "period") if old[f"{stage}schedule"] in WITH_PERIOD else IN_EPOCHS
        lengths = {f"{stage}{name}": old[f"{stage}{name}"] for name in in_epochs}
        new |= {name: max(1, round(passes * length)) for name, length in lengths.items() if length}
        new[f"{stage}batch"] = batch
        if old[f"{stage}ema"]:
            new[f"{stage}ema"] = old[f"{stage}ema"] ** (1 / scale)
    named = () if scales_variants else tuple(variant.settings)
    changed = {
        name: value for name, value in new.items() if value != old[name] and not _is_named(name, named)
    }
    return _given_once(_without_shared(changed), variant.settings, old)


def _is_named(name: str, named: tuple[str, ...]) -> bool:
    """Whether a variant names a setting of a kind of rows, for this kind, for those it goes with, or for all."""
    kind, _, setting = name.partition(".")
    return any(f"{overlay}.{setting}".endswith(named) for overlay in (kind, *KINDS[kind]))


def _without_shared(changed: Mapping[str, Any]) -> dict[str, Any]:
    """Without what texts and tables share with vectors, whose settings hold for them, too."""
    found = {}
    for name, value in changed.items():
        kind, _, setting = name.partition(".")
        base = KINDS[kind][0]
        own = kind == base or setting.startswith("learners.")  # those of a stack are told for each kind
        if own or changed.get(f"{base}.{setting}") != value:
            found[name] = value
    return found


def _of_learners(stack: StackingSettings, kind: str) -> Iterator[tuple[str, Any]]:
    """All settings of the learners of a stack and of their rivals, by place, those of their recipes included."""
    for name, learner in stack.chosen("dense").items():
        forms = [(f"{name}.settings", learner.method, learner.settings)]
        for other, rival in learner.rivals.items():
            if rival is not None and rival.method is not None:
                forms.append((f"{name}.rivals.{other}.settings", rival.method, rival.settings))
        for place, method, changes in forms:
            own = dict(dotted(changes))
            recipe = methods.get(method, **own).recipe.settings.get(kind)
            if recipe is None:  # such rows leave it out
                continue
            for setting, value in flattened(recipe.model_dump(mode="json")).items():
                stage = _stage(setting)
                overlay = [
                    each for each in KINDS[kind] if any(key.startswith(f"{each}.{stage}") for key in own)
                ]
                yield ".".join([place, *overlay[-1:], setting]), value


def _given_once(
    changed: Mapping[str, Any], named: Mapping[str, Any], old: Mapping[str, Any]
) -> dict[str, Any]:
    """Whole stages in place of settings that a variant names, as a plan takes none that is given twice."""
    found: dict[str, Any] = {}
    whole = {_stage(name) for name in changed if name in named}
    for name, value in changed.items():
        stage = _stage(name)
        if stage not in whole:
            found[name] = value
        elif stage not in found:
            own = {other: changed.get(other, kept) for other, kept in old.items() if _stage(other) == stage}
            found[stage] = {other.rpartition(".")[2]: kept for other, kept in own.items()}
    return found


def _stage(name: str) -> str:
    return name.rpartition(".")[0]
