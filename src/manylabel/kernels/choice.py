"""The choice between kernels: one visit to each entry by compiled code where there is any, else torch's operators.

Tiles are overwritten. Compiled code takes float32 on a CPU; everything else goes through torch. Functions said to be
compiled alone are for callers that have asked :func:`compiles`.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import torch
from torch import Tensor

from manylabel.kernels import torch_ops
from manylabel.kernels.loading import compiled
from manylabel.kernels.transforms import transformed


def compiles(dtype: torch.dtype, device: torch.device) -> bool:
    """Whether there is compiled code for such tensors."""
    there = dtype == torch.float32 and device.type == "cpu"
    return there and not torch.compiler.is_compiling() and not transformed() and compiled() is not None


def row_norms(x: Tensor, dtype: torch.dtype) -> Tensor:
    """L2 norms of the rows of x, (n,)."""
    if x.dtype != dtype or not x.is_contiguous() or (fast := _compiled(x)) is None:
        return torch_ops.row_norms(x, dtype)
    norms = x.new_empty(len(x))
    fast.row_norms(x.detach().numpy(), norms.numpy())
    return norms


def project_rows(g: Tensor, z: Tensor, factors: Tensor) -> Tensor:
    """Take off each row of g (n, D), in place, what points along the row of z, and multiply by its factor.

    What is left is often a small part of g, so the rounding of what was taken off counts: hence with the length of
    z as it is instead of 1, and twice by torch's operators, once in float64 by compiled code.
    """
    if not z.is_contiguous() or not g.is_contiguous() or (fast := _compiled(g)) is None:
        return torch_ops.project_rows(g, z, factors)
    fast.project_rows(g.numpy(), z.numpy(), factors.numpy())
    return g


def add_powers(s: Tensor, sums: Tensor) -> None:
    """Replace a tile (m, n) by its powers of two and add their row sums to ``sums`` (m,)."""
    if (fast := _compiled(s)) is None:
        torch_ops.add_powers(s, sums)
    else:
        fast.add_powers(s.numpy(), sums.numpy())


def add_powers_both(s: Tensor, row_sums: Tensor, column_sums: Tensor | None) -> None:
    """Add the row sums (m,), and where wanted the column sums (n,), of the powers of two of a tile (m, n)."""
    if (fast := _compiled(s)) is None:
        torch_ops.add_powers_both(s, row_sums, column_sums)
    elif column_sums is None:
        fast.add_powers(s.numpy(), row_sums.numpy())
    else:
        fast.add_powers_both(s.numpy(), row_sums.numpy(), column_sums.numpy())


def add_weights(
    s: Tensor, w: Tensor, of_rows: tuple[Tensor, Tensor], of_columns: tuple[Tensor, Tensor] | None
) -> None:
    """Add the row sums of weights and of weights times exponents, two (m,), and where wanted those of columns."""
    if (fast := _compiled(s)) is None:
        torch_ops.add_weights(s, w, of_rows, of_columns)
        return
    arrays = (t.numpy() for t in (s, w, *of_rows, *(of_columns or of_rows)))
    fast.add_weights(*arrays, of_columns is not None)


def softmax_slopes(s: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """``2^s_ij (rows_i + columns_j)`` in place of a tile (m, n)."""
    if (fast := _compiled(s)) is None:
        return torch_ops.softmax_slopes(s, rows, columns)
    fast.softmax_slopes(s.numpy(), rows.numpy(), columns.numpy())
    return s


def subtract_weights(G: Tensor, w: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """``G_ij - w_ij (rows_i + columns_j)`` in place of G (m, n)."""
    if (fast := _compiled(G)) is None:
        return torch_ops.subtract_weights(G, w, rows, columns)
    fast.subtract_weights(G.numpy(), w.numpy(), rows.numpy(), columns.numpy())
    return G


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
    tiles = (s, there, back, of_rows, of_columns, row_scores, column_scores)
    if not bounded or (fast := _compiled(s)) is None:
        return torch_ops.asymmetric_slopes(*tiles, bounded, regularised)
    sums = row_scores if column_scores is None else column_scores
    arrays = (t.numpy() for t in (s, there, back, *of_rows, *of_columns, row_scores, sums))
    fast.asymmetric_slopes(*arrays, column_scores is not None, regularised)
    return s


def label_bits(offsets: Tensor, labels: Tensor, n_labels: int) -> Tensor:
    """Which of n rows, given as lists, carry each label, a bit for each: (n_labels, ceil(n / 32)); compiled alone."""
    bits = torch.zeros((n_labels, -(-(len(offsets) - 1) // 32)), dtype=torch.uint32)
    _code().set_bits(offsets.numpy(), labels.numpy(), bits.numpy())
    return bits


def shared_labels(offsets: Tensor, labels: Tensor, bits: Tensor, n: int) -> Tensor:
    """1 where a row of m lists shares a label with one of n rows, given as bits, else 0: (m, n); compiled alone."""
    tile = torch.empty(len(offsets) - 1, n, dtype=torch.float32)
    _code().mark_shared(offsets.numpy(), labels.numpy(), bits.numpy(), tile.numpy())
    return tile


def visit_kmcl_rows(*tensors: Tensor) -> None:
    """Take in rows (sample, label) of KMCL's contrastive term, as ``numba_cpu.visit_rows`` says; compiled alone."""
    _code().visit_rows(*(t.numpy() for t in tensors))


def _compiled(s: Tensor) -> ModuleType | None:
    return compiled() if compiles(s.dtype, s.device) else None


def _code() -> ModuleType:
    code = compiled()
    assert code is not None
    return code
