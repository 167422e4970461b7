r"""The compiled Walsh-Hadamard transform: signs of Z strings, and Hadamard gates.

.. math:: a_z \leftarrow \sum_i (-1)^{|i \wedge z|} a_i

A pass over memory costs more than all additions that the cache can do meanwhile.
"""

from ._native import U, jit
from ._team import COLUMN, block_size, share, wait

CACHED = 2048  # numbers that a transform finishes before the next: 16 kB of float64


@jit
def walsh_hadamard(a, mask):
    """Replace a[z] by sum_i (-1)^popcount(i & z) a[i] over the bits of mask, in place.

    First within blocks of the first-level cache, then across them.
    """
    block = min(U(a.size), U(CACHED))
    for g in range(U(0), U(a.size), block):
        part, half = a[g : g + block], U(1)
        if block >= U(8) and mask & U(7) == U(7):
            lowest_three(part)
            half = U(8)
        butterflies(part, half, mask)
    butterflies(a, block, mask)


@jit
def transform(a, mask, team):
    """Do what ``walsh_hadamard`` does, in two passes over memory however large."""
    block = block_size(a)
    first, end = share(U(a.size) // block, team)
    for part in range(first, end):
        walsh_hadamard(a[part * block : (part + U(1)) * block], mask)
    if U(a.size) == block or mask < block:
        return
    wait(team)
    first, end = share(block // U(COLUMN), team)
    for column in range(first * U(COLUMN), end * U(COLUMN), U(COLUMN)):
        half = block
        while half < U(a.size):
            if mask & half:
                for g in range(column, U(a.size), block):
                    if not g & half:
                        h = g + half
                        butterfly(a[g : g + U(COLUMN)], a[h : h + U(COLUMN)])
            half += half
    wait(team)


@jit
def butterflies(a, half, mask):
    """Transform by the bits of mask from ``half`` on."""
    while half < U(a.size):
        two = half + half
        if mask & half and mask & two and two < U(a.size):
            for g in range(U(0), U(a.size), two + two):
                rest = g + two
                low, high = a[g : g + half], a[rest : rest + half]
                double_butterfly(
                    low, a[g + half : rest], high, a[rest + half : rest + two]
                )
            half = two
        elif mask & half:
            for g in range(U(0), U(a.size), two):
                butterfly(a[g : g + half], a[g + half : g + two])
        half += half


@jit
def double_butterfly(a, b, c, d):
    """Transform by two bits in one pass over memory."""
    for i in range(a.size):
        w, x, y, z = a[i] + b[i], a[i] - b[i], c[i] + d[i], c[i] - d[i]
        a[i], b[i], c[i], d[i] = w + y, x + z, w - y, x - z


@jit
def lowest_three(a):
    """Transform by the three lowest bits, in registers."""
    for g in range(U(0), U(a.size), U(8)):
        a0, a1, a2, a3 = a[g], a[g + U(1)], a[g + U(2)], a[g + U(3)]
        a4, a5, a6, a7 = a[g + U(4)], a[g + U(5)], a[g + U(6)], a[g + U(7)]
        a0, a1, a2, a3 = a0 + a1, a0 - a1, a2 + a3, a2 - a3
        a4, a5, a6, a7 = a4 + a5, a4 - a5, a6 + a7, a6 - a7
        a0, a1, a2, a3 = a0 + a2, a1 + a3, a0 - a2, a1 - a3
        a4, a5, a6, a7 = a4 + a6, a5 + a7, a4 - a6, a5 - a7
        a[g], a[g + U(4)] = a0 + a4, a0 - a4
        a[g + U(1)], a[g + U(5)] = a1 + a5, a1 - a5
        a[g + U(2)], a[g + U(6)] = a2 + a6, a2 - a6
        a[g + U(3)], a[g + U(7)] = a3 + a7, a3 - a7


@jit
def butterfly(low, high):
    """Replace (low, high) by (low + high, low - high)."""
    for i in range(low.size):
        x, y = low[i], high[i]
        low[i] = x + y
        high[i] = x - y
