"""Scaled trainings: fewer epochs, or as many steps on a share of the rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from manylabel import methods
from manylabel.study.records import flattened
from manylabel.study.variants import Variant
from manylabel.training.sampling import rows_of_step

IN_EPOCHS = ("epochs", "monitor_every", "patience")
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
        compare data, not training time.
    n_rows : int
        Training rows of the whole data set.
    scales_variants : bool, default False
        Whether what a variant names is scaled as well; by default it stays.
    """
    variant = Variant.parse(method)
    recipe = methods.get(variant.method, **variant.settings).recipe
    old = flattened({kind: own.model_dump(mode="json") for kind, own in recipe.own_settings.items()})
    largest = 2 ** int(math.log2(max(1.0, ROWS_LEFT * fraction * n_rows)))
    new: dict[str, Any] = {}
    for stage in (
        name.removesuffix("stage.epochs") + "stage." for name in old if name.endswith("stage.epochs")
    ):
        if f"{stage}batch" not in old:  # what a stack changes of a learner, whose recipe has the rest
            continue
        usual = rows_of_step(old[f"{stage}batch"], n_rows)
        batch = old[f"{stage}batch"] if fraction == 1 else min(usual, largest)
        passes = scale * (1 if fraction == 1 else batch / (usual * fraction))
        in_epochs = (*IN_EPOCHS, "period") if old[f"{stage}schedule"] in WITH_PERIOD else IN_EPOCHS
        lengths = {f"{stage}{name}": old[f"{stage}{name}"] for name in in_epochs}
        new |= {name: max(1, round(passes * length)) for name, length in lengths.items() if length}
        new[f"{stage}batch"] = batch
        if old[f"{stage}ema"]:
            new[f"{stage}ema"] = old[f"{stage}ema"] ** (1 / scale)
    named = () if scales_variants else tuple(variant.settings)
    changed = {name: value for name, value in new.items() if value != old[name] and not name.endswith(named)}
    return _given_once(changed, variant.settings, old)


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
