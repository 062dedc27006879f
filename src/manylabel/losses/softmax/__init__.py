"""The engine under every contrastive loss: weighted pairs against a softmax over candidates.

    L_i = W_i lse_i - sum_a w_ia s_ia / tau,    W_i = sum_a w_ia,    lse_i = logsumexp_a(s_ia / tau)

A loss says what its weights ``w`` are (:mod:`manylabel.losses.softmax.weights`); the engine picks a rung:

- ``dense``: ten lines of autograd, twice differentiable, for small batches and for compiled graphs;
- ``streamed``: tiles with their own gradient; memory of a tile and of what comes in;
- ``flash``: attention over constant candidates, where asked for; streamed where attention cannot do it.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from manylabel.errors import ManyLabelError
from manylabel.losses.softmax import flash
from manylabel.losses.softmax.dense import contrast_dense
from manylabel.losses.softmax.streamed import contrast_streamed
from manylabel.losses.softmax.weights import LabelWeights, Overlaps, PairWeights, TileWeights

__all__ = [
    "RUNGS",
    "Contrast",
    "Engine",
    "LabelWeights",
    "Overlaps",
    "PairWeights",
    "TileWeights",
    "contrast",
]

RUNGS = {"dense": contrast_dense, "streamed": contrast_streamed, "flash": flash.contrast_flash}
_DENSE_BYTES = 1 << 14


class Engine:
    """Which rung to run, which one ran last, and what the loss divided by.

    Parameters
    ----------
    name : "auto", "dense", "streamed" or "flash", default "auto"
        "auto" goes by bytes and takes one of the first two rungs.

    Attributes
    ----------
    ran : str or None
        The rung of the last call.
    divisor : scalar tensor, tuple of them, or None
        What the last call divided by, or would have with ``reduction="mean"``; see
        :class:`~manylabel.losses.module.LossModule`.
    """

    def __init__(self, name: str = "auto") -> None:
        if name not in ("auto", *RUNGS):
            raise ManyLabelError(
                "engine", "one of 'auto', " + ", ".join(map(repr, RUNGS)), repr(name), "Leave it at 'auto'."
            )
        self.name = name
        self.ran: str | None = None
        self.divisor: Tensor | tuple[Tensor, ...] | None = None

    @staticmethod
    def of(engine: str | Engine) -> Engine:
        return engine if isinstance(engine, Engine) else Engine(engine)

    def choose(self, n_rows: int, n_columns: int, itemsize: int, flash: bool = False) -> str:
        """The rung for B x N similarities of so many bytes each; the choice is recorded in ``ran``.

        ``flash`` says that attention can do it; where it cannot, tiles stand in for it.
        """
        name = "streamed" if self.name == "flash" and not flash else self.name
        if name == "auto":
            small = n_rows * n_columns * itemsize <= _DENSE_BYTES
            name = "dense" if small or torch.compiler.is_compiling() else "streamed"
        self.ran = name
        return name

    def __repr__(self) -> str:
        return f"Engine({self.name!r}, ran={self.ran!r})"


class Contrast(NamedTuple):
    """Per anchor: ``L_i`` and ``W_i``, both (B,)."""

    values: Tensor
    totals: Tensor


def contrast(
    x: Tensor,
    keys: Tensor | None,
    weights: PairWeights,
    *,
    temperature: float,
    normalize: bool = True,
    engine: str | Engine = "auto",
    own: int | None = None,
    multiplicity: Tensor | None = None,
    uniform: bool = False,
) -> Contrast:
    """Contrast anchors with candidates under given pair weights.

    Parameters
    ----------
    x : (B, D) floating tensor
        Anchors.
    keys : (N, D) floating tensor, or None
        Candidates; None contrasts the batch with itself, each anchor left out of its own candidates.
    weights : PairWeights
    temperature : float
    normalize : bool, default True
        Divide rows by their L2 norms first.
    engine : str or Engine, default "auto"
    own : int, optional
        Anchor i is candidate ``own + i`` and is left out of its own candidates.
    multiplicity : (N,) tensor, optional
        How often each candidate counts in the logsumexp.
    uniform : bool, default False
        A promise that all values will be multiplied by the same number; saves a visit to the pairs for some
        weights.

    Returns
    -------
    Contrast
        Values in natural units, differentiable in ``x`` and ``keys``; an anchor without weights has value 0.
    """
    own = 0 if keys is None else own
    candidates = x if keys is None else keys
    itemsize = 8 if x.dtype == torch.float64 else 4
    engine = Engine.of(engine)
    attention = engine.name == "flash" and flash.fits(x, keys, weights, own, multiplicity)
    name = engine.choose(len(x), len(candidates), itemsize, attention)
    return Contrast(*RUNGS[name](x, keys, weights, temperature, normalize, own, multiplicity, uniform))
