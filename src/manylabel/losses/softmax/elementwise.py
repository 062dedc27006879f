"""The elementwise work on a tile: one visit by compiled code where Numba is installed, else torch's operators.

Tiles are overwritten. Compiled code takes float32 on a CPU; everything else goes through torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import torch
from torch import Tensor

from manylabel.fast import compiled
from manylabel.labels import SparseLabels
from manylabel.labels.transforms import transformed

_CODE = "manylabel.losses.softmax.compiled"


def row_norms(x: Tensor, dtype: torch.dtype) -> Tensor:
    """L2 norms of the rows of x, (n,)."""
    if x.dtype != dtype or not x.is_contiguous() or (fast := _compiled(x)) is None:
        norms: Tensor = torch.linalg.vector_norm(x, dim=1, dtype=dtype)
        return norms
    norms = x.new_empty(len(x))
    fast.row_norms(x.detach().numpy(), norms.numpy())
    return norms


def project_rows(g: Tensor, z: Tensor, factors: Tensor) -> Tensor:
    """Take off each row of g (n, D), in place, what points along the row of z, and multiply by its factor.

    What is left is often a small part of g, so the rounding of what was taken off counts: hence with the length of
    z as it is instead of 1, and twice by torch's operators, once in float64 by compiled code.
    """
    if z.is_contiguous() and g.is_contiguous() and (fast := _compiled(g)) is not None:
        fast.project_rows(g.numpy(), z.numpy(), factors.numpy())
        return g
    length = torch.linalg.vecdot(z, z).clamp_min_(torch.finfo(z.dtype).tiny)
    for _ in range(2):
        g.addcmul_(z, torch.linalg.vecdot(g, z).div_(length)[:, None], value=-1)
    return g.mul_(factors[:, None])


def finish_by_labels(
    slope: Tensor, z: Tensor, lists: SparseLabels, label_sums: Tensor, shares: Tensor, factors: Tensor
) -> Tensor:
    """``sum_c w_ic z_i . S_c`` of each row from weighted lists (n, C) and label sums S (C, D); by compiled code alone.

    ``shares_i slope_i - sum_c w_ic S_c``, as :func:`project_rows` leaves it, takes the place of ``slope`` (n, D).

    Returns
    -------
    (n,) tensor
    """
    fast = compiled(_CODE)
    assert fast is not None
    assert lists.weights is not None
    scores, of_lists = z.new_empty(len(z)), (lists.offsets, lists.columns, lists.weights)
    of_rows = (z.contiguous(), *of_lists, label_sums.contiguous(), shares, factors, scores)
    fast.finish_by_labels(slope.numpy(), *(t.numpy() for t in of_rows))
    return scores


def add_powers(s: Tensor, sums: Tensor) -> None:
    """Replace a tile (m, n) by its powers of two and add their row sums to ``sums`` (m,)."""
    if (fast := _compiled(s)) is not None:
        fast.add_powers(s.numpy(), sums.numpy())
    else:
        sums += s.exp2_().sum(1)


def add_powers_both(s: Tensor, row_sums: Tensor, column_sums: Tensor | None) -> None:
    """Add the row sums (m,), and where wanted the column sums (n,), of the powers of two of a tile (m, n)."""
    if (fast := _compiled(s)) is None:
        e = s.exp2_()
        row_sums += e.sum(1)
        if column_sums is not None:
            column_sums += e.sum(0)
    elif column_sums is None:
        fast.add_powers(s.numpy(), row_sums.numpy())
    else:
        fast.add_powers_both(s.numpy(), row_sums.numpy(), column_sums.numpy())


def add_weights(
    s: Tensor, w: Tensor, of_rows: tuple[Tensor, Tensor], of_columns: tuple[Tensor, Tensor] | None
) -> None:
    """Add the row sums of weights and of weights times exponents, two (m,), and where wanted those of columns."""
    if (fast := _compiled(s)) is not None:
        arrays = (t.numpy() for t in (s, w, *of_rows, *(of_columns or of_rows)))
        fast.add_weights(*arrays, of_columns is not None)
        return
    for i, tile in enumerate((w, w * s)):
        of_rows[i].add_(tile.sum(1))
        if of_columns is not None:
            of_columns[i].add_(tile.sum(0))


def softmax_slopes(s: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """``2^s_ij (rows_i + columns_j)`` in place of a tile (m, n)."""
    if (fast := _compiled(s)) is None:
        return s.exp2_().mul_(rows[:, None] + columns)
    fast.softmax_slopes(s.numpy(), rows.numpy(), columns.numpy())
    return s


def subtract_weights(G: Tensor, w: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """``G_ij - w_ij (rows_i + columns_j)`` in place of G (m, n)."""
    if (fast := _compiled(G)) is None:
        return G.addcmul_(w, rows[:, None] + columns, value=-1)
    fast.subtract_weights(G.numpy(), w.numpy(), rows.numpy(), columns.numpy())
    return G


def lopsided_slopes(
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
    if bounded and (fast := _compiled(s)) is not None:
        sums = row_scores if column_scores is None else column_scores
        arrays = (t.numpy() for t in (s, there, back, *of_rows, *of_columns, row_scores, sums))
        fast.lopsided_slopes(*arrays, column_scores is not None, regularised)
        return s
    a, u, g = (line[:, None] for line in of_rows)
    b, v, h = of_columns
    if bounded:
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


def label_bits(labels: SparseLabels) -> Tensor:
    """Which rows carry each label, a bit for each row, (n_labels, ceil(n_rows / 32)); by compiled code alone."""
    shape = labels.n_labels, -(-labels.n_rows // 32)
    bits = torch.zeros(shape, dtype=torch.uint32, device=labels.device)
    fast = compiled(_CODE)
    assert fast is not None
    fast.set_bits(labels.offsets.numpy(), labels.columns.numpy(), bits.numpy())
    return bits


def shared_labels(labels: SparseLabels, bits: Tensor, n: int) -> Tensor:
    """1 where one of these m rows shares a label with one of n rows, given as bits, else 0: (m, n)."""
    tile = torch.empty(labels.n_rows, n, dtype=torch.float32, device=labels.device)
    fast = compiled(_CODE)
    assert fast is not None
    fast.mark_shared(labels.offsets.numpy(), labels.columns.numpy(), bits.numpy(), tile.numpy())
    return tile


def compiles(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether there is compiled code for such tensors."""
    there = dtype == torch.float32 and device.type == "cpu"
    return there and not transformed() and compiled(_CODE) is not None


def _compiled(s: Tensor) -> ModuleType | None:
    return compiled(_CODE) if compiles(s.dtype, s.device) else None
