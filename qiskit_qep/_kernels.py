"""The compiled loops over all amplitudes: apply H, by flip masks and without a matrix.

Every Pauli string is a flip of some bits times a sign that depends on others, so that

    (H v)[i] = sum_m D_m[i] v[i ^ m],      D_m[i] = sum_z a_m(z) (-1)^popcount(i & z).

``D_m`` is a Walsh-Hadamard transform of the few coefficients a_m(z); where the only
string of a flip has z = 0, ``D_m`` is one number. All numbers are real, float64 or
float32: a complex state is a real one with one more bit (see ``_pauli``).

A layout is the tuple ``(flips, starts, signs, bounds)``: strings
``starts[m]:starts[m + 1]`` have flip ``flips[m]`` and signs z. Flips come in groups
that one loop serves, ``bounds[kind, far]`` being where the nine groups of a kind begin:
kind 0 has a table D_m, kind 1 a number; far flips reach beyond a block of 2^BLOCK_BITS;
the first group moves whole tiles and the others are sorted by their lowest three bits,
which one shuffle flips. Only importing this file loads numba.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from ._simd import add_product, add_scaled, inner, load, load_flipped, store, zero

# Sums may be reordered (SIMD); NaN and infinity keep their meaning.
how: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "nsz", "arcp"},
}
jit = numba.njit(cache=True, **how)
inline = numba.njit(inline="always", **how)  # a tile stays in registers only so
U = np.uint64  # unsigned indices: a signed one needs a wrap-around check, so no SIMD
CACHED = 2048  # numbers that a transform finishes before the next: 16 kB of float64
TILE_BYTES = 256  # what _simd holds in registers
BLOCK_BITS = 18  # 2 MB of float64: smaller blocks pay for a second pass up to N = 18


def over_rows(work: Callable[[int, int], None], batch: int, size: int) -> None:
    """Call ``work(first, last)`` on slices of ``batch`` rows of ``size`` numbers.

    The slices run in threads (the kernels release the GIL) when there is enough to do;
    every row is computed alone, so the result does not depend on their number.
    """
    allowed: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined] # set late
    threads = min(allowed, batch, 1 + batch * size // 4096)
    if threads <= 1:
        work(0, batch)
        return
    bounds = [batch * k // threads for k in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, bounds[:-1], bounds[1:]))


def aligned(rows: int, dim: int, dtype: type) -> NDArray[Any]:
    """Return uninitialised rows that begin on a cache line.

    Of NumPy, not of numba: it asks for huge pages, and the first touch of 40 MB takes
    1 ms instead of 10.
    """
    size = rows * dim * np.dtype(dtype).itemsize
    memory = np.empty(size + 64, np.uint8)
    first = -memory.ctypes.data % 64
    return memory[first : first + size].view(dtype).reshape(rows, dim)


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


@jit
def allocate(layout, dim, like):
    """Return the room for one Hamiltonian: the layout's flips, tables and numbers."""
    flips, _, _, bounds = layout
    tables = np.empty((bounds[0, 1, 9], dim), like.dtype)
    return flips, tables.reshape(-1), np.empty(flips.size, like.dtype), bounds


@jit
def fill(layout, row, h):
    """Write D_m of the coefficients ``row`` of the strings into h."""
    flips, starts, signs, bounds = layout
    _, tables, numbers, _ = h
    count = bounds[0, 1, 9]
    dim = tables.size // max(count, 1)
    for m in range(flips.size):
        if m < count:
            table = tables[m * dim : (m + 1) * dim]
            table[:] = 0.0
            for s in range(starts[m], starts[m + 1]):
                table[signs[s]] = row[s]
            walsh_hadamard(table, U(table.size - 1))
        else:
            numbers[m] = row[starts[m]]


@jit
def halve(h, rough):
    """Write the same Hamiltonian in float32."""
    for i in range(h[1].size):
        rough[1][i] = h[1][i]
    for m in range(h[2].size):
        rough[2][m] = h[2][m]


@inline
def gather(out, h, v, g, far, group, lane):
    """Add sum_m D_m[i] v[i ^ m] over the flips of one group to a tile."""
    flips, tables, numbers, bounds = h
    for m in range(U(bounds[0, far, group]), U(bounds[0, far, group + 1])):
        table = load(tables, m * U(v.size) + g)
        out = add_product(out, table, load_flipped(v, g, flips[m], lane))
    for m in range(U(bounds[1, far, group]), U(bounds[1, far, group + 1])):
        out = add_scaled(out, numbers[m], load_flipped(v, g, flips[m], lane))
    return out


@inline
def apply_tile(h, v, out, g, far):
    """Write (far: add to) a tile of H v; return <v|H v> so far of it."""
    flips, tables, numbers, bounds = h
    tile = load(out, g) if far else zero(v)
    for m in range(U(bounds[0, far, 0]), U(bounds[0, far, 1])):
        table = load(tables, m * U(v.size) + g)
        tile = add_product(tile, table, load(v, g ^ flips[m]))
    for m in range(U(bounds[1, far, 0]), U(bounds[1, far, 1])):
        tile = add_scaled(tile, numbers[m], load(v, g ^ flips[m]))
    tile = gather(tile, h, v, g, far, 1, 0)
    tile = gather(tile, h, v, g, far, 2, 1)
    tile = gather(tile, h, v, g, far, 3, 2)
    tile = gather(tile, h, v, g, far, 4, 3)
    tile = gather(tile, h, v, g, far, 5, 4)
    tile = gather(tile, h, v, g, far, 6, 5)
    tile = gather(tile, h, v, g, far, 7, 6)
    tile = gather(tile, h, v, g, far, 8, 7)
    store(out, g, tile)
    return inner(tile, load(v, g))


@jit
def apply(h, v, out):
    """Compute out[i] = sum_m D_m[i] v[i ^ m] and return <v|out>."""
    bounds, total = h[3], 0.0
    tile = U(TILE_BYTES // v.itemsize)
    reaches = bounds[0, 1, 0] < bounds[0, 1, 9] or bounds[1, 1, 0] < bounds[1, 1, 9]
    for far in range(2 if reaches else 1):
        total, columns = 0.0, U(1) << U(BLOCK_BITS) if far else tile
        for column in range(U(0), columns, tile):
            for g in range(column, U(v.size), columns):
                total += apply_tile(h, v, out, g, far)
    return total


@jit
def apply_rows(layout, rows, vectors, out, first, last):
    """Apply the Hamiltonian with coefficients rows[b] to vectors[b], row by row."""
    h = allocate(layout, vectors.shape[1], vectors)
    for b in range(first, last):
        fill(layout, rows[b], h)
        apply(h, vectors[b], out[b])
