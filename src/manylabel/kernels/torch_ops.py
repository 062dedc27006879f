"""Kernels by torch's operators, for every device and type: elementwise work on a tile of exponents.

Tiles are overwritten. :mod:`~manylabel.kernels.choice` says what each function does.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def row_norms(x: Tensor, dtype: torch.dtype) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(x, dim=1, dtype=dtype)
    return norms


def project_rows(g: Tensor, z: Tensor, factors: Tensor) -> Tensor:
    # the rounding of what is taken off counts: twice, and with the length of z as it is instead of 1
    length = torch.linalg.vecdot(z, z).clamp_min_(torch.finfo(z.dtype).tiny)  # (n,)
    for _ in range(2):
        g.addcmul_(z, torch.linalg.vecdot(g, z).div_(length)[:, None], value=-1)
    return g.mul_(factors[:, None])


def add_powers(s: Tensor, sums: Tensor) -> None:
    sums += s.exp2_().sum(1)


def add_powers_both(s: Tensor, row_sums: Tensor, column_sums: Tensor | None) -> None:
    e = s.exp2_()  # (m, n)
    row_sums += e.sum(1)
    if column_sums is not None:
        column_sums += e.sum(0)


def add_weights(
    s: Tensor, w: Tensor, of_rows: tuple[Tensor, Tensor], of_columns: tuple[Tensor, Tensor] | None
) -> None:
    for i, tile in enumerate((w, w * s)):
        of_rows[i].add_(tile.sum(1))
        if of_columns is not None:
            of_columns[i].add_(tile.sum(0))


def softmax_slopes(s: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    return s.exp2_().mul_(rows[:, None] + columns)


def subtract_weights(G: Tensor, w: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    return G.addcmul_(w, rows[:, None] + columns, value=-1)


def asymmetric_slopes(
    s: Tensor,
    there: Tensor,
    back: Tensor,
    of_rows: Sequence[Tensor],
    of_columns: Sequence[Tensor],
    row_scores: Tensor,
    column_scores: Tensor | None,
    bounded: bool,
    regularised: bool,
) -> Tensor:
    a, u, g = (line[:, None] for line in of_rows)  # (m, 1) each
    b, v, h = of_columns  # (n,) each
    if bounded:  # one power serves both directions
        e = s.exp2()
        p, q = e * a, e.mul_(b)
    else:
        p, q = (s - a).exp2_(), (s - b).exp2_()
    if regularised:
        there, back = raised(there, p), raised(back, q)
    row_scores += (there * s).sum(1)
    if column_scores is not None:
        column_scores += (back * s).sum(0)
    p.mul_(u).addcmul_(q, v)
    p.addcmul_(there, g, value=-1).addcmul_(back, h, value=-1)
    return p


def raised(w: Tensor, p: Tensor) -> Tensor:
    """``max(w, p)`` on the pairs with a weight, else 0; p must be finite."""
    return torch.maximum(w, p).mul_(w.sign())
