"""The engine under every contrastive loss: weighted pairs against a softmax over candidates.

    L_i = W_i lse_i - sum_a w_ia s_ia / tau,    W_i = sum_a w_ia,    lse_i = logsumexp_a(s_ia / tau)

A loss says what its weights ``w`` are (:mod:`manylabel.losses.softmax.weights`); the engine picks a rung:

- ``dense``: ten lines of autograd, twice differentiable, for small batches and for compiled graphs;
- ``streamed``: tiles with their own gradient; memory of a tile and of what comes in;
- ``flash``: attention over constant candidates, where asked for; streamed where attention cannot do it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from manylabel.errors import ManyLabelError
from manylabel.kernels.transforms import transformed
from manylabel.losses.precision import working_dtype
from manylabel.losses.softmax import flash
from manylabel.losses.softmax.dense import contrast_dense
from manylabel.losses.softmax.rows import Sides, unit
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

    def choose(
        self, n_rows: int, n_columns: int, itemsize: int, flash: bool = False, plain: str | None = None
    ) -> str:
        """The rung for B x N similarities of so many bytes each; the choice is recorded in ``ran``.

        ``flash`` says that attention can do it; where it cannot, tiles stand in for it. ``plain`` names what only
        plain operators can differentiate: then the dense rung runs.

        Raises
        ------
        ManyLabelError
            If another rung was asked for by name.
        """
        plain = "a transform of torch.func, or forward-mode differentiation" if transformed() else plain
        if plain is not None:
            if self.name not in ("auto", "dense"):
                hint = "Only engine='dense' differentiates it; 'auto' takes that one by itself."
                raise ManyLabelError("engine", f"'auto' or 'dense' under {plain}", repr(self.name), hint)
            self.ran = "dense"
            return "dense"
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
    temperature: float | Tensor,
    normalize: bool = True,
    engine: str | Engine = "auto",
    own: int | None = None,
    multiplicity: Tensor | None = None,
    uniform: bool = False,
    plain: str | None = None,
) -> Contrast:
    """Contrast anchors with candidates under given pair weights.

    Parameters
    ----------
    x : (B, D) floating tensor
        Anchors.
    keys : (N, D) floating tensor, or None
        Candidates; None contrasts the batch with itself, each anchor left out of its own candidates.
    weights : PairWeights
    temperature : float, or scalar tensor where its gradient is wanted
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
    plain : str, optional
        What the weights depend on that only plain operators can differentiate, by name.

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
    name = engine.choose(len(x), len(candidates), itemsize, attention, plain)
    sides = Sides(normalize, normalize)
    if isinstance(temperature, Tensor) and name != "dense":
        x, temperature, sides = in_units_of_temperature(x, temperature, sides, mutual=keys is None)
    rung: Callable[..., tuple[Tensor, Tensor]] = RUNGS[name]
    return Contrast(*rung(x, keys, weights, temperature, sides, own, multiplicity, uniform))


def in_units_of_temperature(
    x: Tensor, temperature: Tensor, sides: Sides, mutual: bool
) -> tuple[Tensor, float, Sides]:
    """Anchors divided by a learnt temperature, for rungs that take it as a number.

    Similarities enter a loss as ``s / tau`` alone. Anchors times ``t / tau``, with ``t`` the number that tau is now,
    leave every value as it was and carry the gradient: one more sum over each row. A batch against itself has the
    factor on both sides, and takes its root.
    """
    dtype = working_dtype(x)
    tau = temperature.to(dtype)
    now = float(tau.detach())
    factor = now / tau
    z = unit(x.to(dtype)) if sides.anchors else x.to(dtype)
    left = Sides(False, sides.candidates and not mutual)
    return z * (factor.sqrt() if mutual else factor), now, left
