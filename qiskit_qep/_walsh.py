r"""The compiled Walsh-Hadamard transform: signs of Z strings, and Hadamard gates.

.. math:: a_z \leftarrow \sum_i (-1)^{|i \wedge z|} a_i

A pass over memory costs more than all additions that the cache can do meanwhile.
"""

from ._native import U, jit
from ._simd import (
    BYTES,
    TILE_BYTES,
    hadamard_across,
    hadamard_within,
    load,
    load_spread,
    store,
    store_spread,
)
from ._team import COLUMN, block_size, share, wait

CACHED = 1 << 14  # bytes that a transform finishes before the next


@jit
def walsh_hadamard(a, mask):
    """Replace a[z] by sum_i (-1)^popcount(i & z) a[i] over the bits of mask, in place.

    First within blocks of the first-level cache, then across them.
    """
    block = min(U(a.size), U(CACHED // a.itemsize))
    for g in range(U(0), U(a.size), block):
        part = a[g : g + block]
        butterflies(part, within_tiles(part, mask), mask)
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
def within_tiles(a, mask):
    """Transform by the bits within a tile if all are asked for; return the next bit."""
    tile = U(TILE_BYTES // a.itemsize)
    inside = tile - U(1)
    if U(a.size) < tile or mask & inside != inside:
        return U(1)
    for g in range(U(0), U(a.size), tile):
        store(a, g, hadamard_across(hadamard_within(load(a, g))))
    return tile


@jit
def butterflies(a, half, mask):
    """Transform by the bits of mask from ``half`` on, three in one pass if it can."""
    lanes = U(BYTES // a.itemsize)
    while half < U(a.size):
        three, eight = U(7) * half, U(8) * half
        if half >= lanes and eight <= U(a.size) and mask & three == three:
            for g in range(U(0), U(a.size), eight):
                for i in range(g, g + half, lanes):
                    tile = hadamard_across(load_spread(a, i, half))
                    store_spread(a, i, half, tile)
            half = eight
            continue
        if mask & half:
            for g in range(U(0), U(a.size), half + half):
                butterfly(a[g : g + half], a[g + half : g + half + half])
        half += half


@jit
def butterfly(low, high):
    """Replace (low, high) by (low + high, low - high)."""
    for i in range(low.size):
        x, y = low[i], high[i]
        low[i] = x + y
        high[i] = x - y
