"""Scorers made again from the parts of a model folder: the types of parts by name."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from manylabel.errors import ManyLabelError
from manylabel.methods.centroid_votes import CentroidScorer
from manylabel.methods.cgmvae import CGMVAEMethod
from manylabel.methods.ensemble import EnsembleScorer
from manylabel.methods.knn_interpolation import NeighbourScorer
from manylabel.methods.lamp import LaMPMethod
from manylabel.methods.mpvae import MPVAEMethod
from manylabel.methods.networks import check_network
from manylabel.methods.part import Opened, Part, Scorer
from manylabel.methods.rbcc import RBCCMethod
from manylabel.methods.scorer import NetworkScorer
from manylabel.methods.sklearn_baseline import SklearnBaselineScorer
from manylabel.methods.stacking.scorer import StackScorer

RESTORERS: dict[str, Callable[[Opened], Scorer]] = {
    NetworkScorer.part_type: NetworkScorer.restore,
    EnsembleScorer.part_type: EnsembleScorer.restore,
    CentroidScorer.part_type: CentroidScorer.restore,
    NeighbourScorer.part_type: NeighbourScorer.restore,
    SklearnBaselineScorer.part_type: SklearnBaselineScorer.restore,
    StackScorer.part_type: StackScorer.restore,
    **{network.family: network.restore for network in (CGMVAEMethod, LaMPMethod, MPVAEMethod, RBCCMethod)},
}


def restore(part: Part, encoder: nn.Module | None = None, who: str = "restore") -> Scorer:
    """The scorer that a part was taken from; it scores the same.

    Parameters
    ----------
    part : Part
    encoder : nn.Module, optional
        The network, for a scorer that was trained with a network of the caller's own.
    who : str
        For messages.

    Raises
    ------
    ManyLabelError
        If the part needs ``encoder`` and none is given, or it is of no type or form of this version.
    """
    check_network(who, encoder)
    try:
        return _restored(part, encoder)
    except ManyLabelError as error:
        raise ManyLabelError(f"{who}, {error.who}", error.expected, error.got, error.hint) from error
    except Exception as error:  # whatever another version, or somebody who means ill, may have written
        got = f"one of another version ({type(error).__name__}: {str(error)[:200]})"
        hint = "Read it with the version that wrote it, or train again."
        raise ManyLabelError(who, "a model of this version", got, hint) from error


def _restored(part: Part, encoder: nn.Module | None) -> Scorer:
    make = RESTORERS.get(part.type)
    if make is None:
        raise ManyLabelError("type of a part", f"one of {', '.join(RESTORERS)}", f"{part.type!r:.60}")
    inner = {name: _restored(within, encoder) for name, within in part.parts.items()}
    return make(Opened(part.meta, part.tensors, inner, encoder))
