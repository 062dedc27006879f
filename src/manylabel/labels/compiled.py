"""Sums over lists of labels, compiled by Numba for a CPU."""

from __future__ import annotations

import numba

_compiled = numba.njit(nogil=True, cache=True, fastmath={"contract", "reassoc", "nsz"})


@_compiled
def add_label_sums(offsets, labels, weights, factors, Z, sums):
    for row in range(len(offsets) - 1):
        for entry in range(offsets[row], offsets[row + 1]):
            label, share = labels[entry], Z.dtype.type(1)
            if len(weights):
                share *= weights[entry]
            if len(factors):
                share *= factors[row]
            for j in range(Z.shape[1]):
                sums[label, j] += share * Z[row, j]
