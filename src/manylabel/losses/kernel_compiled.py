"""KMCL's kernel contrastive term for isotropic mixtures, compiled by Numba for float32 on a CPU.

A row (sample, label) is met with the batch in a few loops over its B entries, whose results stay in the nearest cache.
Each loop writes so little that the compiler can see that no array overlaps another, and uses vector registers.
"""

from __future__ import annotations

import numba
import numpy as np

from manylabel.losses.softmax.compiled import F, bits_of_float, float_of_bits, power_of_two

_LN2, _LOG2E = F(np.log(2.0)), F(np.log2(np.e))
_HALF, _ONE, _TWO, _THREE_QUARTERS, _NONE = F(0.5), F(1), F(2), F(0.75), F(0)
# atanh(s) / s in s^2, as far as s = 1/5 needs it
_A1, _A2, _A3, _A4, _A5 = F(1 / 3), F(1 / 5), F(1 / 7), F(1 / 9), F(1 / 11)

# divisions as in NumPy: a check for zeros would keep loops from vector registers
_compiled = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})
_inlined = numba.njit(inline="always", fastmath={"contract", "reassoc", "nsz"})


@_inlined
def _log_near(f, whole):
    """``log(2^whole (1 + f))`` for f in [-1/4, 1/2]."""
    s = f / (f + _TWO)
    q = s * s
    series = ((((_A5 * q + _A4) * q + _A3) * q + _A2) * q + _A1) * q
    return np.float32(whole) * _LN2 + (_TWO * s + _TWO * s * series)


@_inlined
def _whole(x):
    """The power of two that x is divided by to lie in [3/4, 3/2)."""
    return (bits_of_float(x) - bits_of_float(_THREE_QUARTERS)) >> np.int32(23)


@_inlined
def _log(x):
    """``log x`` for a normal x above 0."""
    whole = _whole(x)
    return _log_near(float_of_bits(bits_of_float(x) - (whole << np.int32(23))) - _ONE, whole)


@_inlined
def _log1p(x):
    """``log(1 + x)`` for x from 0, right to the last digits of the result."""
    y = _ONE + x
    whole = _whole(y)
    f = float_of_bits(bits_of_float(y) - (whole << np.int32(23))) - _ONE
    return _log_near(x if whole == np.int32(0) else f, whole)


@_inlined
def _meet(mu, variance, inverse, n, factor, scale, exponent, pull):
    """Exponents ``exp(-bd) / tau`` of a row, and slopes of its distances."""
    m, v, quarter_inverse = mu[n], variance[n], F(0.25) * inverse[n]
    for j in range(len(mu)):
        gap, shift = variance[j] - v, mu[j] - m
        p = shift / (variance[j] + v)
        distance = _HALF * (_log1p(gap * gap * (quarter_inverse * inverse[j])) + shift * p)
        exponent[j], pull[j] = power_of_two(scale - factor * distance), p


@_inlined
def _add_powers(exponent, n, power):
    """Powers of e of a row, and their sum; none for the sample itself."""
    mass = _NONE
    for j in range(len(exponent)):
        x = power_of_two(exponent[j] * _LOG2E)
        x = x if j != n else _NONE
        power[j] = x
        mass += x
    return mass


@_inlined
def _share(power, jaccard, carriers, n, mass, eps, follows):
    """Logarithms of the shares of a row's partners, summed; powers become shares."""
    inverse = _ONE / mass
    logs, total = _NONE, _NONE
    for j in range(len(power)):
        present = carriers[j] if j != n else _NONE
        share = power[j] * inverse
        q = jaccard[j] * present * share
        f = q / (q + eps)  # minus the slope of the logarithm in log share
        logs += present * _log(q + eps)
        total += f
        power[j], follows[j] = share, f
    return (logs if mass == mass else mass), total  # NaN stays NaN


@_inlined
def _turn(exponent, share, follows, total, weight):
    """Replace exponents by the slopes of the values in the distances."""
    for j in range(len(exponent)):
        exponent[j] *= (share[j] * total - follows[j]) * weight


@_inlined
def _scatter(variance, n, slope, pull, by_mean, by_variance):
    """Add what a row gives to the gradients of its label's means and variances."""
    v = variance[n]
    means, variances, logs = _NONE, _NONE, _NONE
    for j in range(len(variance)):
        t, x = variance[j], slope[j]
        part = pull[j] * x
        squares = part * pull[j]
        log_part = x * (t - v) / (t + v)
        means += part
        variances += squares
        logs += log_part
        by_mean[j] += part
        by_variance[j] += _HALF * (log_part / t - squares)
    by_mean[n] -= means
    by_variance[n] -= _HALF * (logs / v + variances)


@_compiled
def visit_rows(
    samples,
    labels,
    places,
    jaccard,
    share_of_partner,
    weights,
    values,
    by_mean,
    by_variance,
    mu,
    variance,
    inverse,
    carriers,
    constants,
):
    """Take in the rows (sample, label) of a block of anchors.

    Parameters
    ----------
    samples, labels, places : (rows,) int64
        The place of a sample is its number in the block.
    jaccard : (block, B) float32
    share_of_partner : (block,) float32
    weights : (block,) float32
        What turns slopes in distances into gradients; empty where none are wanted.
    values : (block,) float32
        Added to.
    by_mean, by_variance : (C, B) float32
        Gradients, added to.
    mu, variance, inverse, carriers : (C, B) float32
        ``inverse = 1 / variance``.
    constants : (3,) float32
        ``M / 2 log2 e``, ``-log2 tau`` and what is added inside the logarithm.
    """
    factor, scale, eps = constants
    b = mu.shape[1]
    exponent, pull = np.empty(b, np.float32), np.empty(b, np.float32)
    power, follows = np.empty(b, np.float32), np.empty(b, np.float32)
    for row in range(len(samples)):
        n, k, place = samples[row], labels[row], places[row]
        _meet(mu[k], variance[k], inverse[k], n, factor, scale, exponent, pull)
        mass = _add_powers(exponent, n, power)
        logs, total = _share(power, jaccard[place], carriers[k], n, mass, eps, follows)
        values[place] -= logs * share_of_partner[place]
        if len(weights):
            _turn(exponent, power, follows, total, weights[place])
            _scatter(variance[k], n, exponent, pull, by_mean[k], by_variance[k])
