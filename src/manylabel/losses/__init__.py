"""Losses for rows with several labels, by name.

>>> from manylabel import losses
>>> losses.get("mulsupcon", temperature=0.1)
MulSupCon(temperature=0.1, reduction=mean, normalize=True)
"""

from __future__ import annotations

from typing import Any

from torch import nn

from manylabel.errors import ManyLabelError, did_you_mean
from manylabel.losses.debiased import Debiased
from manylabel.losses.drawn_labels import DrawnLabels, draw_labels
from manylabel.losses.gradient_cache import cached_step
from manylabel.losses.kmcl import KMCL
from manylabel.losses.logits import ASL, BCE, ZLPR, Focal, TwoWay
from manylabel.losses.overlap import Base, Jaccard, PairWeighted, SimilarityDissimilarity
from manylabel.losses.prototypes import MSC, REG, WRG, Proto
from manylabel.losses.supcon import (
    All,
    AnyShared,
    Decoupled,
    MulSupCon,
    MulSupConInBatch,
    MulSupConWeighted,
    SupCon,
)

__all__ = [
    "ASL",
    "BCE",
    "KMCL",
    "MSC",
    "REG",
    "WRG",
    "ZLPR",
    "All",
    "AnyShared",
    "Base",
    "Debiased",
    "Decoupled",
    "DrawnLabels",
    "Focal",
    "Jaccard",
    "MulSupCon",
    "MulSupConInBatch",
    "MulSupConWeighted",
    "PairWeighted",
    "Proto",
    "SimilarityDissimilarity",
    "SupCon",
    "TwoWay",
    "cached_step",
    "draw_labels",
    "get",
    "names",
]

_LOSSES: dict[str, type[nn.Module]] = {
    "supcon": SupCon,
    "all": All,
    "any": AnyShared,
    "mulsupcon": MulSupCon,
    "mulsupcon_weighted": MulSupConWeighted,
    "mulsupcon_inbatch": MulSupConInBatch,
    "decoupled": Decoupled,
    "debiased": Debiased,
    "base": Base,
    "jaccard": Jaccard,
    "similarity_dissimilarity": SimilarityDissimilarity,
    "pair_weighted": PairWeighted,
    "proto": Proto,
    "msc": MSC,
    "reg": REG,
    "wrg": WRG,
    "kmcl": KMCL,
    "bce": BCE,
    "focal": Focal,
    "asl": ASL,
    "zlpr": ZLPR,
    "twoway": TwoWay,
}


def names() -> tuple[str, ...]:
    """The names that :func:`get` knows."""
    return tuple(_LOSSES)


def get(name: str, **settings: Any) -> nn.Module:
    """Build a loss by name.

    Parameters
    ----------
    name : str
        One of :func:`names`.
    **settings
        Arguments of the loss: ``temperature``, ``reduction``, ``normalize``, ``engine``, and those of its
        own.

    Raises
    ------
    ManyLabelError
        If the name or a setting is unknown.
    """
    if not isinstance(name, str) or name not in _LOSSES:
        hint = did_you_mean(name, _LOSSES, "Names are lower case.") if isinstance(name, str) else ""
        raise ManyLabelError("losses.get", "one of " + ", ".join(_LOSSES), repr(name)[:80], hint)
    loss = _LOSSES[name]
    known = _settings(loss)
    for setting in settings:
        if setting not in known:
            raise ManyLabelError(
                loss.__name__, "settings among " + ", ".join(known), repr(setting), "Check the spelling."
            )
    return loss(**settings)


def _settings(loss: type[nn.Module]) -> tuple[str, ...]:
    from inspect import signature

    return tuple(signature(loss).parameters)
