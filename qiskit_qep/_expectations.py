"""The compiled sums over all amplitudes: <l|P|r> of every Pauli string at once.

All strings of one flip m are Walsh-Hadamard sums of the products l[i] r[i ^ m]. Only
those asked for are worked out: bit by bit from the highest, the sums of halves serve
the strings without a sign there, the differences those with one, and a half that
serves nobody is left. For all Z and ZZ that is about 4 passes instead of N.
"""

import numpy as np

from ._native import U, inline, jit
from ._simd import (
    TILE_BYTES,
    add_product,
    inner,
    load,
    load_flipped,
    popcount,
    store,
    zero,
)
from ._walsh import butterfly

BLOCK = 1 << 14  # products: 128 kB, a quarter of the second-level cache


@inline
def multiply_lane(bra, ket, flip, lane, out):
    """Write bra[i] ket[i ^ flip] and return its sum, given flip % 8 as a literal."""
    result = 0.0
    for g in range(U(0), U(bra.size), U(TILE_BYTES // bra.itemsize)):
        one, other = load(bra, g), load_flipped(ket, g, flip, lane)
        store(out, g, add_product(zero(bra), one, other))
        result += inner(one, other)
    return result


@jit
def multiply(bra, ket, flip, out):
    """Write bra[i] ket[i ^ flip] and return its sum."""
    lane = flip & U(7)
    if lane == U(0):
        return multiply_lane(bra, ket, flip, 0, out)
    if lane == U(1):
        return multiply_lane(bra, ket, flip, 1, out)
    if lane == U(2):
        return multiply_lane(bra, ket, flip, 2, out)
    if lane == U(3):
        return multiply_lane(bra, ket, flip, 3, out)
    if lane == U(4):
        return multiply_lane(bra, ket, flip, 4, out)
    if lane == U(5):
        return multiply_lane(bra, ket, flip, 5, out)
    if lane == U(6):
        return multiply_lane(bra, ket, flip, 6, out)
    return multiply_lane(bra, ket, flip, 7, out)


@jit
def add_half(low, high, sign):
    """Replace low by low + sign * high."""
    for i in range(low.size):
        low[i] += sign * high[i]


@jit
def fold(low, high):
    """Replace low by low + high and return the sum of low - high as it was."""
    result = 0.0
    for i in range(low.size):
        x, y = low[i], high[i]
        low[i] = x + y
        result += x - y
    return result


@jit
def total(a):
    """Return the sum of all numbers."""
    result = 0.0
    for i in range(a.size):
        result += a[i]
    return result


@jit
def signed_sums(a, signs, out):
    """Write sum_i (-1)^popcount(i & z) a[i] of every z of the ascending signs.

    Works in place, depth first: sums stay in the lower half, differences in the upper.
    """
    waiting = np.empty((64, 4), np.int64)  # where a part begins, its size, its signs
    waiting[0] = 0, a.size, 0, signs.size
    count = 1
    while count:
        count -= 1
        begin, size, first, last = waiting[count]
        while size > 1 and signs[last - 1] & U(size - 1):
            size //= 2
            low = a[begin : begin + size]
            high = a[begin + size : begin + 2 * size]
            middle = first
            while middle < last and not signs[middle] & U(size):
                middle += 1
            if first == middle:
                add_half(low, high, -1.0)
            elif middle == last:
                add_half(low, high, 1.0)
            elif last - middle == 1 and not signs[middle] & U(size - 1):
                out[middle] = fold(low, high)  # the difference serves but its sum
                last = middle
            else:
                butterfly(low, high)
                waiting[count] = begin + size, size, middle, last
                count += 1
                last = middle
        out[first] = total(a[begin : begin + size])


@jit
def sums_of_flip(bra, ket, flip, signs, product, out):
    """Write sum_i l[i] r[i ^ flip] (-1)^popcount(i & z) of every z of the signs.

    Block by block of what the product has room for, so that all work is done in the
    second-level cache: the higher bits of i give each block one sign per string.
    """
    inside = U(product.size - 1)
    lows = np.unique(signs & inside)
    which, part = np.searchsorted(lows, signs & inside), np.empty(lows.size)
    out[:] = 0.0
    for g in range(U(0), U(bra.size), U(product.size)):
        f = g ^ (flip & ~inside)
        one, other = bra[g : g + U(product.size)], ket[f : f + U(product.size)]
        part[0] = multiply(one, other, flip & inside, product)
        if lows[lows.size - 1]:
            signed_sums(product, lows, part)
        for s in range(signs.size):
            odd = popcount(g & signs[s]) & U(1)
            out[s] += -part[which[s]] if odd else part[which[s]]


@jit
def expectations(layout, left, right, out, first, last):
    """Write sum_i l[i] r[i ^ m] (-1)^popcount(i & z) of every string.

    From the flip ``first`` to ``last``, counted through all rows.
    """
    flips, starts, signs, _ = layout
    product = np.empty(min(left.shape[1], BLOCK))
    for k in range(first, last):
        b, m = k // flips.size, k % flips.size
        one, end = starts[m], starts[m + 1]
        sums_of_flip(
            left[b], right[b], flips[m], signs[one:end], product, out[b, one:end]
        )
