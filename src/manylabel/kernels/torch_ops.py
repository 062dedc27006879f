"""Kernels by torch's operators, for every device and type: elementwise work on a tile of exponents.

Tiles are overwritten: on a CPU, memory that is new for each tile costs more than the arithmetic on it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def row_norms(x: Tensor, dtype: torch.dtype) -> Tensor:
    """L2 norms of the rows of x (n, D), summed in a type, (n,)."""
    norms: Tensor = torch.linalg.vector_norm(x, dim=1, dtype=dtype)
    return norms


def project_rows(g: Tensor, z: Tensor, factors: Tensor) -> Tensor:
    """Take off each row of g (n, D), in place, what points along the row of z, and multiply by its factor (n,).

    What is left is often a small part of g, so the rounding of what was taken off counts: hence twice, and with the
    length of z as it is instead of 1.
    """
    length = torch.linalg.vecdot(z, z).clamp_min_(
        torch.finfo(z.dtype).tiny
    )  # (n,); a row of zeros has no direction
    for _ in range(2):
        g.addcmul_(z, torch.linalg.vecdot(g, z).div_(length)[:, None], value=-1)  # (n, D)
    return g.mul_(factors[:, None])


def add_powers(s: Tensor, sums: Tensor) -> None:
    """Replace a tile (m, n) by its powers of two and add their row sums to ``sums`` (m,)."""
    sums += s.exp2_().sum(1)


def add_powers_both(s: Tensor, row_sums: Tensor, column_sums: Tensor | None) -> None:
    """Add the row sums (m,), and where wanted the column sums (n,), of the powers of two of a tile (m, n)."""
    e = s.exp2_()  # (m, n)
    row_sums += e.sum(1)
    if column_sums is not None:
        column_sums += e.sum(0)


def add_weights(
    s: Tensor, w: Tensor, of_rows: tuple[Tensor, Tensor], of_columns: tuple[Tensor, Tensor] | None
) -> None:
    """Add the row sums of weights and of weights times exponents, two (m,), and where wanted those of columns."""
    for i, tile in enumerate((w, w * s)):  # (m, n) each
        of_rows[i].add_(tile.sum(1))
        if of_columns is not None:
            of_columns[i].add_(tile.sum(0))


def softmax_slopes(s: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """``2^s_ij (rows_i + columns_j)`` in place of a tile (m, n)."""
    return s.exp2_().mul_(rows[:, None] + columns)


def subtract_weights(G: Tensor, w: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """``G_ij - w_ij (rows_i + columns_j)`` in place of G (m, n)."""
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
    """Slopes of a tile of exponents ``s`` (m, n) under weights ``there`` (w_ij) and ``back`` (w_ji).

    ::

        G_ij = u_i p_ij + u_j p_ji - g_i w_ij - g_j w_ji,    p_ij = 2^(s_ij - lse_i)

    With ``regularised``, ``max(w, p)`` stands in place of every positive ``w``.

    Parameters
    ----------
    s, there, back : (m, n) tensors
        Overwritten; an own pair has the exponent -1e30 and no weight.
    of_rows, of_columns : three (m,) and three (n,) tensors
        ``2^-lse`` if ``bounded``, else ``lse``; ``u``; ``g``.
    row_scores, column_scores : (m,) and (n,) tensors
        Row sums of ``w_ij s_ij`` and column sums of ``w_ji s_ij`` are added to them.

    Returns
    -------
    (m, n) tensor
    """
    a, u, g = (line[:, None] for line in of_rows)  # (m, 1) each
    b, v, h = of_columns  # (n,) each
    if bounded:  # one power serves both directions
        e = s.exp2()
        p, q = e * a, e.mul_(b)
    else:  # 2^s alone might overflow, 2^(s - lse) cannot
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
