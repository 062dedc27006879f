"""The elementwise work on a tile in one visit to each entry, compiled by Numba for float32 on a CPU.

Torch makes a pass over the tile for each operator, and a power of two alone takes a tenth of the time of the
matrix product that made the tile. Here powers are a polynomial on vector registers, correct to 1e-7, and what
is done with them is done while they are there.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic

F = np.float32
# 2^f on [-1/2, 1/2], least squares weighted for the relative error
_C = tuple(
    F(c) for c in (1.0, 0.693147182, 0.240226462, 0.0555033594, 0.00961817142, 0.00133993162, 0.000154034729)
)
_C0, _C1, _C2, _C3, _C4, _C5, _C6 = _C
_TINY = np.finfo(F).tiny
_LOWEST = F(-126.0)  # smaller exponents count as this one: 1e-38

_compiled = numba.njit(nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz"})
_inlined = numba.njit(inline="always", fastmath={"contract", "reassoc", "nsz"})


@intrinsic
def float_of_bits(_: Any, bits: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        from llvmlite import ir

        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


@intrinsic
def bits_of_float(_: Any, number: Any) -> Any:
    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        from llvmlite import ir

        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.int32(types.float32), generate


@_inlined
def power_of_two(x):
    """``2^x`` for x below 128; NaN stays NaN."""
    x = _LOWEST if x < _LOWEST else x
    whole = np.floor(x + F(0.5))
    f = x - whole
    p = (((((_C6 * f + _C5) * f + _C4) * f + _C3) * f + _C2) * f + _C1) * f + _C0
    return p * float_of_bits((np.int32(whole) + np.int32(127)) << np.int32(23))


@_compiled
def row_norms(x, norms):
    for i in range(x.shape[0]):
        total = F(0)
        for j in range(x.shape[1]):
            total += x[i, j] * x[i, j]
        norms[i] = np.sqrt(total)


@_inlined
def project_row(g, z, factor):
    length = along = 0.0
    for j in range(len(g)):
        x = np.float64(z[j])
        length += x * x
        along += x * g[j]
    share = along / max(length, _TINY)
    for j in range(len(g)):
        g[j] = factor * (g[j] - share * z[j])


@_compiled
def project_rows(g, z, factors):
    for i in range(g.shape[0]):
        project_row(g[i], z[i], factors[i])


@_compiled
def finish_by_labels(slope, z, offsets, labels, weights, label_sums, shares, factors, scores):
    pull = np.empty(z.shape[1], F)
    for i in range(len(z)):
        pull[:] = F(0)
        for entry in range(offsets[i], offsets[i + 1]):
            weight, of_label = weights[entry], label_sums[labels[entry]]
            for j in range(len(pull)):
                pull[j] += weight * of_label[j]
        score, g = F(0), slope[i]
        for j in range(len(pull)):
            score += z[i, j] * pull[j]
            g[j] = shares[i] * g[j] - pull[j]
        scores[i] = score
        project_row(g, z[i], factors[i])


@_compiled
def add_powers(s, row_sums):
    for i in range(s.shape[0]):
        total = F(0)
        for j in range(s.shape[1]):
            e = power_of_two(s[i, j])
            s[i, j] = e
            total += e
        row_sums[i] += total


@_compiled
def add_powers_both(s, row_sums, column_sums):
    for i in range(s.shape[0]):
        total = F(0)
        for j in range(s.shape[1]):
            e = power_of_two(s[i, j])
            total += e
            column_sums[j] += e
        row_sums[i] += total


@_compiled
def add_weights(s, w, row_total, row_score, column_total, column_score, both):
    for i in range(s.shape[0]):
        total, score = F(0), F(0)
        for j in range(s.shape[1]):
            x, y = w[i, j], w[i, j] * s[i, j]
            total += x
            score += y
            if both:
                column_total[j] += x
                column_score[j] += y
        row_total[i] += total
        row_score[i] += score


@_compiled
def subtract_weights(G, w, rows, columns):
    for i in range(G.shape[0]):
        row = rows[i]
        for j in range(G.shape[1]):
            G[i, j] -= w[i, j] * (row + columns[j])


@_compiled
def softmax_slopes(s, rows, columns):
    for i in range(s.shape[0]):
        row = rows[i]
        for j in range(s.shape[1]):
            s[i, j] = power_of_two(s[i, j]) * (row + columns[j])


@_compiled
def lopsided_slopes(
    s, there, back, share, u, g, share_back, u_back, g_back, row_scores, column_scores, both, regularised
):
    raised = F(1) if regularised else F(0)
    for i in range(s.shape[0]):
        share_i, u_i, g_i = share[i], u[i], g[i]
        exponents, weights, weights_back = s[i], there[i], back[i]
        score = F(0)
        for j in range(s.shape[1]):
            x, w, v = exponents[j], weights[j], weights_back[j]
            e = power_of_two(x)
            p, q = e * share_i, e * share_back[j]
            least, least_back = raised * p, raised * q
            w = (least if least > w else w) if w > F(0) else F(0)
            v = (least_back if least_back > v else v) if v > F(0) else F(0)
            score += w * x
            weights_back[j] = v * x
            exponents[j] = u_i * p + u_back[j] * q - g_i * w - g_back[j] * v
        row_scores[i] += score
        if both:
            for j in range(s.shape[1]):
                column_scores[j] += weights_back[j]


@_compiled
def set_bits(offsets, labels, bits):
    for row in range(len(offsets) - 1):
        for entry in range(offsets[row], offsets[row + 1]):
            bits[labels[entry], row >> 5] |= np.uint32(1) << np.uint32(row & 31)


@_compiled
def mark_shared(offsets, labels, bits, tile):
    words = np.zeros(bits.shape[1], np.uint32)
    for i in range(tile.shape[0]):
        words[:] = 0
        for entry in range(offsets[i], offsets[i + 1]):
            of_label = bits[labels[entry]]
            for place in range(len(words)):
                words[place] |= of_label[place]
        for place in range(len(words)):
            word = words[place]
            for j in range(min(32, tile.shape[1] - 32 * place)):
                tile[i, 32 * place + j] = F(np.int32((word >> np.uint32(j)) & np.uint32(1)))
