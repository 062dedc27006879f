"""The engine under every contrastive loss: weighted pairs against a softmax over candidates.

    L_i = W_i lse_i - sum_a w_ia s_ia / tau,    W_i = sum_a w_ia,    lse_i = logsumexp_a(s_ia / tau)

A loss says what its weights ``w`` are (:mod:`manylabel.losses.softmax.pair_weights`); the engine picks a backend:

- ``dense``: ten lines of autograd, twice differentiable, for small batches and for compiled graphs;
- ``streamed``: tiles with their own gradient; memory of a tile and of what comes in;
- ``flash``: attention over constant candidates, where asked for; streamed where attention cannot do it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from manylabel.errors import ManyLabelError
from manylabel.kernels.transforms import transformed
from manylabel.losses.precision import working_dtype
from manylabel.losses.softmax import flash
from manylabel.losses.softmax.decoupled import contrast_decoupled
from manylabel.losses.softmax.dense import contrast_dense
from manylabel.losses.softmax.pair_weights import (
    LabelAware,
    LabelWeights,
    LeftOut,
    Overlaps,
    PairWeights,
    TileWeights,
)
from manylabel.losses.softmax.streamed import contrast_streamed
from manylabel.losses.softmax.tiles import Sides, unit

__all__ = [
    "BACKENDS",
    "LabelAware",
    "LabelWeights",
    "LeftOut",
    "Overlaps",
    "PairWeights",
    "TileWeights",
    "check_engine",
    "choose",
    "choose_backend",
    "contrast",
]

BACKENDS = {"dense": contrast_dense, "streamed": contrast_streamed, "flash": flash.contrast_flash}
_DENSE_BYTES = 1 << 14


def check_engine(engine: Any) -> None:
    """Refuse anything but "auto" or the name of a backend."""
    if not isinstance(engine, str) or engine not in ("auto", *BACKENDS):
        expected = "one of 'auto', " + ", ".join(map(repr, BACKENDS))
        raise ManyLabelError("engine", expected, repr(engine)[:80], "Leave it at 'auto'.")


def choose(
    engine: str,
    x: Tensor,
    keys: Tensor | None,
    weights: PairWeights,
    self_offset: int | None,
    multiplicity: Tensor | None,
    plain: str | None = None,
) -> str:
    """The backend for a contrast; see :func:`choose_backend`."""
    attention = engine == "flash" and flash.fits(x, keys, weights, self_offset, multiplicity)
    n_columns, itemsize = (x if keys is None else keys).shape[0], 8 if x.dtype == torch.float64 else 4
    return choose_backend(engine, x.shape[0], n_columns, itemsize, attention, plain)


def choose_backend(
    engine: str, n_rows: int, n_columns: int, itemsize: int, attention: bool = False, plain: str | None = None
) -> str:
    """The backend for B x N similarities of so many bytes each; "auto" goes by bytes and takes one of the first two.

    ``attention`` says that attention can do it; where it cannot, tiles stand in for it. ``plain`` names what only plain
    operators can differentiate: then the dense backend runs.

    Raises
    ------
    ManyLabelError
        If another backend was asked for by name, or there is none of that name.
    """
    if engine != "auto":
        check_engine(engine)
    plain = "a transform of torch.func, or forward-mode differentiation" if transformed() else plain
    if plain is not None:
        if engine not in ("auto", "dense"):
            hint = "Only engine='dense' differentiates it; 'auto' takes that one by itself."
            raise ManyLabelError("engine", f"'auto' or 'dense' under {plain}", repr(engine), hint)
        return "dense"
    if engine == "auto":
        small = n_rows * n_columns * itemsize <= _DENSE_BYTES
        return "dense" if small or torch.compiler.is_compiling() else "streamed"
    return "streamed" if engine == "flash" and not attention else engine


def contrast(
    x: Tensor,
    keys: Tensor | None,
    weights: PairWeights,
    self_offset: int | None,
    multiplicity: Tensor | None,
    temperature: float | Tensor,
    normalize: bool,
    backend: str,
    uniform: bool = False,
    factors: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Contrast anchors with candidates under given pair weights.

    Parameters
    ----------
    x : (B, D) floating tensor
        Anchors.
    keys : (N, D) floating tensor, or None
        Candidates; None contrasts the batch with itself, each anchor left out of its own candidates.
    weights : PairWeights
    self_offset : int or None
        Anchor i is candidate ``self_offset + i`` and is left out of its own candidates.
    multiplicity : (N,) tensor or None
        How often each candidate counts in the logsumexp.
    temperature : float, or scalar tensor where its gradient is wanted
    normalize : bool
        Divide rows by their L2 norms first.
    backend : "dense", "streamed" or "flash"
        As :func:`choose` gives it.
    uniform : bool, default False
        A promise that all values will be multiplied by the same number; saves a visit to the pairs for some
        weights.
    factors : (B,) tensor or None
        What the similarities of each anchor are multiplied by: a temperature of its own; None for 1.

    Returns
    -------
    L, W : (B,) tensors
        Values in natural units, differentiable in ``x`` and ``keys``, and ``W_i``; an anchor without weights has
        value 0.
    """
    self_offset = 0 if keys is None else self_offset
    one_sided = isinstance(weights, TileWeights) and weights.one_sided
    if keys is None and (one_sided or factors is not None or not weights.plain):
        keys = x  # what differs from anchor to anchor makes pairs asymmetric
    sides = Sides(normalize, normalize)
    if factors is not None:  # an anchor that is longer has a lower temperature
        z = x.to(working_dtype(x))
        x, sides = (unit(z) if normalize else z) * factors[:, None], Sides(False, normalize)
    if isinstance(temperature, Tensor) and backend != "dense":
        x, temperature, sides = in_units_of_temperature(x, temperature, sides, in_batch=keys is None)
    run: Callable[..., tuple[Tensor, Tensor]] = BACKENDS[backend]
    if weights.decoupled:
        run = partial(contrast_decoupled, stream=backend != "dense")
    return run(x, keys, weights, temperature, sides, self_offset, multiplicity, uniform)


def in_units_of_temperature(
    x: Tensor, temperature: Tensor, sides: Sides, in_batch: bool
) -> tuple[Tensor, float, Sides]:
    """Anchors divided by a learnt temperature, for backends that take it as a number.

    Similarities enter a loss as ``s / tau`` alone. Anchors times ``t / tau``, with ``t`` the number that tau is now,
    leave every value as it was and carry the gradient: one more sum over each row. A batch against itself has the
    factor on both sides, and takes its root.
    """
    dtype = working_dtype(x)
    tau = temperature.to(dtype)
    now = float(tau.detach())
    factor = now / tau
    z = unit(x.to(dtype)) if sides.anchors else x.to(dtype)
    left = Sides(False, sides.candidates and not in_batch)
    return z * (factor.sqrt() if in_batch else factor), now, left
