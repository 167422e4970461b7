"""The compiled loops over all 2^N amplitudes: apply H, transform, take expectations.

A Hamiltonian is kept by *flip masks*: every Pauli string is a flip of some bits times
a sign that depends on others, so that

    (H v)[i] = sum_m D_m[i] v[i ^ m],      D_m[i] = sum_z a_m(z) (-1)^popcount(i & z).

``D_m`` is a Walsh-Hadamard transform of the few coefficients a_m(z); where the only
string of a flip has z = 0, ``D_m`` is one number. The same transform turns
conj(l[i]) r[i ^ m] into <l|P|r> of *every* string P with flip m at once.

A layout is the tuple ``(flips, starts, signs, (a, b, c))``: strings
``starts[m]:starts[m + 1]`` have flip ``flips[m]`` and signs z. Flips up to a need a
table D_m, the others a constant: up to b they mix amplitudes within and beyond a tile,
up to c they move whole tiles, and the rest flip one of the six lowest bits. Only
importing this file loads numba.
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
TILE = 64  # amplitudes that are finished before the next are begun: six bits


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
    if a.size >= 8:
        half = U(8)
        for g in range(U(0), U(a.size), half):  # the three lowest bits in registers
            a0, a1, a2, a3 = a[g], a[g + U(1)], a[g + U(2)], a[g + U(3)]
            a4, a5, a6, a7 = a[g + U(4)], a[g + U(5)], a[g + U(6)], a[g + U(7)]
            a0, a1, a2, a3 = a0 + a1, a0 - a1, a2 + a3, a2 - a3
            a4, a5, a6, a7 = a4 + a5, a4 - a5, a6 + a7, a6 - a7
            a0, a1, a2, a3 = a0 + a2, a1 + a3, a0 - a2, a1 - a3
            a4, a5, a6, a7 = a4 + a6, a5 + a7, a4 - a6, a5 - a7
            a[g], a[g + U(1)], a[g + U(2)], a[g + U(3)] = (
                a0 + a4,
                a1 + a5,
                a2 + a6,
                a3 + a7,
            )
            a[g + U(4)], a[g + U(5)], a[g + U(6)], a[g + U(7)] = (
                a0 - a4,
                a1 - a5,
                a2 - a6,
                a3 - a7,
            )
    while half < U(a.size):
        for g in range(U(0), U(a.size), half + half):
            low, high = a[g : g + half], a[g + half : g + half + half]
            for i in range(low.size):
                x, y = low[i], high[i]
                low[i] = x + y
                high[i] = x - y
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
def allocate(layout, dim, like):
    """Return the room for one Hamiltonian: its flips in four groups with numbers."""
    flips, _, _, (a, b, c) = layout
    tables = np.empty((a, dim), like.dtype)
    mixed, far = np.empty(b - a, like.dtype), np.empty(c - b, like.dtype)
    near = np.zeros(6, like.dtype)
    return (flips[:a], tables), (flips[a:b], mixed), (flips[b:c], far), near


@jit
def fill(layout, row, h):
    """Write D_m of the coefficients ``row`` of the strings into h."""
    flips, starts, signs, (a, b, c) = layout
    (_, tables), (_, mixed), (_, far), near = h
    for m in range(a):
        table = tables[m]
        table[:] = 0.0
        for s in range(starts[m], starts[m + 1]):
            table[signs[s]] = row[s]
        walsh_hadamard(table)
    for m in range(a, flips.size):
        if m < b:
            mixed[m - a] = row[starts[m]]
        elif m < c:
            far[m - b] = row[starts[m]]
        else:
            for k in range(6):
                if flips[m] == U(1) << U(k):
                    near[k] = row[starts[m]]


@jit
def add_near(out, v, near):
    """Add sum_k near[k] v[i ^ 2^k] over the six lowest bits of a tile."""
    for g in range(0, TILE, 8):
        o, p = out[g : g + 8], v[g : g + 8]
        for i in range(8):
            o[i] += near[0] * p[i ^ 1] + near[1] * p[i ^ 2] + near[2] * p[i ^ 4]
    a, b, c = near[3], near[4], near[5]
    for g in (0, 32):
        o, p, q = out[g : g + 32], v[g : g + 32], v[32 - g : 64 - g]
        for i in range(8):
            o[i] += a * p[i + 8] + b * p[i + 16] + c * q[i]
            o[i + 8] += a * p[i] + b * p[i + 24] + c * q[i + 8]
            o[i + 16] += a * p[i + 24] + b * p[i] + c * q[i + 16]
            o[i + 24] += a * p[i + 16] + b * p[i + 8] + c * q[i + 24]


@jit
def add_far(out, v, g, flips, c):
    """Add sum_m c_m v[i ^ m] over flips that move whole tiles, four at a time."""
    tile, m = U(TILE), 0
    while m + 4 <= flips.size:
        f0, f1, f2, f3 = (
            g ^ flips[m],
            g ^ flips[m + 1],
            g ^ flips[m + 2],
            g ^ flips[m + 3],
        )
        p0, p1 = v[f0 : f0 + tile], v[f1 : f1 + tile]
        p2, p3 = v[f2 : f2 + tile], v[f3 : f3 + tile]
        c0, c1, c2, c3 = c[m], c[m + 1], c[m + 2], c[m + 3]
        for i in range(TILE):
            out[i] += c0 * p0[i] + c1 * p1[i] + c2 * p2[i] + c3 * p3[i]
        m += 4
    while m < flips.size:
        f0 = g ^ flips[m]
        p0, c0 = v[f0 : f0 + tile], c[m]
        for i in range(TILE):
            out[i] += c0 * p0[i]
        m += 1


@jit
def apply(h, v, out):
    """Compute out[i] = sum_m D_m[i] v[i ^ m]."""
    (table_flips, tables), (mixed_flips, mixed), (far_flips, far), near = h
    tile = U(min(TILE, v.size))
    inside = tile - U(1)
    has_near = np.any(near != 0.0)
    for g in range(U(0), U(v.size), tile):
        o = out[g : g + tile]
        for i in range(tile):
            o[i] = 0.0
        for m in range(table_flips.size):
            low, f = table_flips[m] & inside, g ^ (table_flips[m] & ~inside)
            d, p = tables[m][g : g + tile], v[f : f + tile]
            if low == U(0):
                for i in range(tile):
                    o[i] += d[i] * p[i]
            else:
                for i in range(tile):
                    o[i] += d[i] * p[i ^ low]
        for m in range(mixed_flips.size):
            low, f = mixed_flips[m] & inside, g ^ (mixed_flips[m] & ~inside)
            p, c = v[f : f + tile], mixed[m]
            for i in range(tile):
                o[i] += c * p[i ^ low]
        add_far(o, v, g, far_flips, far)
        if has_near:
            add_near(o, v[g : g + tile], near)


@jit
def apply_rows(layout, rows, vectors, out, first, last):
    """Apply the Hamiltonian with coefficients rows[b] to vectors[b], row by row."""
    h = allocate(layout, vectors.shape[1], rows)
    for b in range(first, last):
        fill(layout, rows[b], h)
        apply(h, vectors[b], out[b])


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
