"""The compiled loops over all 2^N amplitudes: apply H, transform, take expectations.

A Hamiltonian is kept by *flip masks*: every Pauli string is a flip of some bits times
a sign that depends on others, so that

    (H v)[i] = sum_m D_m[i] v[i ^ m],      D_m[i] = sum_z a_m(z) (-1)^popcount(i & z).

``D_m`` is a Walsh-Hadamard transform of the few coefficients a_m(z); where the only
string of a flip has z = 0, ``D_m`` is one number. The same transform turns
conj(l[i]) r[i ^ m] into <l|P|r> of *every* string P with flip m at once.

A layout is the tuple ``(flips, starts, signs, num_tables)``: strings
``starts[m]:starts[m + 1]`` have flip ``flips[m]`` and signs z; the first ``num_tables``
flips need a table D_m, the rest a constant. Only importing this file loads numba.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np

# Sums may be reordered (SIMD); NaN and infinity keep their meaning.
jit = numba.njit(
    cache=True,
    nogil=True,
    error_model="numpy",
    fastmath={"reassoc", "contract", "nsz", "arcp"},
)
U = np.uint64  # unsigned indices: a signed one needs a wrap-around check, so no SIMD
TILE = 64  # amplitudes that are finished before the next are begun


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


@jit
def walsh_hadamard(a):
    """Replace a[z] by sum_i (-1)^popcount(i & z) a[i], in place."""
    half = U(1)
    while half < U(a.size):
        for g in range(U(0), U(a.size), half + half):
            for i in range(g, g + half):
                low, high = a[i], a[i + half]
                a[i] = low + high
                a[i + half] = low - high
        half += half


@jit
def parity_sign(i):
    """Return (-1)^popcount(i) for i < 2^32."""
    i ^= i >> U(16)
    i ^= i >> U(8)
    i ^= i >> U(4)
    i ^= i >> U(2)
    i ^= i >> U(1)
    return 1.0 - 2.0 * np.float64(i & U(1))


@jit
def fill(layout, row, tables, constants):
    """Write D_m of the coefficients ``row`` of the strings into tables, constants."""
    flips, starts, signs, num_tables = layout
    for m in range(num_tables):
        table = tables[m]
        table[:] = 0.0
        for s in range(starts[m], starts[m + 1]):
            table[signs[s]] = row[s]
        walsh_hadamard(table)
    for m in range(num_tables, flips.size):
        constants[m - num_tables] = row[starts[m]]


@jit
def add_flipped(out, source, flip, c):
    """Add c * source[l ^ flip] to out[l] within one tile."""
    tile = U(out.size)
    if flip == U(0):
        for i in range(tile):
            out[i] += c * source[i]
    elif flip & U(7) == U(0):
        for g in range(U(0), tile, U(8)):
            low, high = out[g : g + U(8)], source[g ^ flip : (g ^ flip) + U(8)]
            for i in range(8):
                low[i] += c * high[i]
    elif flip == U(1):
        for g in range(U(0), tile, U(2)):
            out[g] += c * source[g + U(1)]
            out[g + U(1)] += c * source[g]
    elif flip == U(2) or flip == U(4):
        for g in range(U(0), tile, flip + flip):
            for i in range(g, g + flip):
                out[i] += c * source[i + flip]
                out[i + flip] += c * source[i]
    else:
        for i in range(tile):
            out[i] += c * source[i ^ flip]


@jit
def apply(flips, tables, constants, v, out):
    """Compute out[i] = sum_m D_m[i] v[i ^ m]."""
    num_tables = len(tables)
    tile = U(min(TILE, v.size))
    inside = tile - U(1)
    for g in range(U(0), U(v.size), tile):
        o = out[g : g + tile]
        for i in range(tile):
            o[i] = 0.0
        for m in range(num_tables):
            low, far = flips[m] & inside, g ^ (flips[m] & ~inside)
            d, source = tables[m][g : g + tile], v[far : far + tile]
            if low == U(0):
                for i in range(tile):
                    o[i] += d[i] * source[i]
            else:
                for i in range(tile):
                    o[i] += d[i] * source[i ^ low]
        for m in range(num_tables, flips.size):
            low, far = flips[m] & inside, g ^ (flips[m] & ~inside)
            add_flipped(o, v[far : far + tile], low, constants[m - num_tables])


@jit
def apply_rows(layout, rows, vectors, out, first, last):
    """Apply the Hamiltonian with coefficients rows[b] to vectors[b], row by row."""
    flips, _, _, num_tables = layout
    tables = np.empty((num_tables, vectors.shape[1]), rows.dtype)
    constants = np.empty(flips.size - num_tables, rows.dtype)
    for b in range(first, last):
        fill(layout, rows[b], tables, constants)
        apply(flips, tables, constants, vectors[b], out[b])


@jit
def expectations(layout, left, right, out, first, last):
    """Write sum_i conj(l[i]) r[i ^ m] (-1)^popcount(i & z) of every string.

    One transform of the products serves all strings of a flip; up to three of them are
    summed directly, which is quicker.
    """
    flips, starts, signs, _ = layout
    dim = left.shape[1]
    product = np.empty(dim, left.dtype)
    for b in range(first, last):
        for m in range(flips.size):
            bra, ket, flip = left[b], right[b], flips[m]
            if starts[m + 1] - starts[m] > 3:
                for i in range(U(dim)):
                    product[i] = np.conj(bra[i]) * ket[i ^ flip]
                walsh_hadamard(product)
                for s in range(starts[m], starts[m + 1]):
                    out[b, s] = product[signs[s]]
            else:
                for s in range(starts[m], starts[m + 1]):
                    out[b, s] = signed_sum(bra, ket, flip, signs[s])


@jit
def signed_sum(bra, ket, flip, sign):
    """Sum conj(bra[i]) ket[i ^ flip] (-1)^popcount(i & sign) over i."""
    total = np.conj(bra[0]) * ket[0] * 0.0
    if sign == U(0):
        for i in range(U(bra.size)):
            total += np.conj(bra[i]) * ket[i ^ flip]
    else:
        for i in range(U(bra.size)):
            total += np.conj(bra[i]) * ket[i ^ flip] * parity_sign(i & sign)
    return total


@jit
def rotate(v, mask):
    """Apply a Hadamard gate to every qubit of the bit mask, in place."""
    half = U(1)
    while half < U(v.size):
        if mask & half != U(0):
            for g in range(U(0), U(v.size), half + half):
                for i in range(g, g + half):
                    low, high = v[i], v[i + half]
                    v[i] = (low + high) * 0.7071067811865476
                    v[i + half] = (low - high) * 0.7071067811865476
        half += half
