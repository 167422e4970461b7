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

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from ._native import U, address_of, call, inline, jit
from ._simd import (
    TILE_BYTES,
    add_product,
    add_scaled,
    inner,
    load,
    load_flipped,
    store,
    zero,
)
from ._team import (
    BLOCK_BITS,
    COLUMN,
    block_size,
    mine,
    put,
    share,
    team_of,
    together,
    wait,
)
from ._walsh import transform

WORTH_A_THREAD = 1 << 20  # numbers: starting threads takes a millisecond when busy
KEPT_BYTES = 1 << 23  # of memory that a thread keeps for its next call
_kept = threading.local()


def num_threads() -> int:
    """Return how many threads we may use."""
    allowed: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined] # set late
    return allowed


def over_rows(work: Callable[[int, int], None], batch: int, size: int) -> None:
    """Call ``work(first, last)`` on slices of ``batch`` rows of ``size`` numbers.

    The slices run in threads (the kernels release the GIL) when there is enough to do;
    every row is computed alone, so the result does not depend on their number.
    """
    threads = min(num_threads(), batch, batch * size // WORTH_A_THREAD)
    if threads <= 1:
        work(0, batch)
        return
    bounds = [batch * k // threads for k in range(threads + 1)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, bounds[:-1], bounds[1:]))


def in_teams(
    work: Callable[[Any, Any, int, int], None],
    room: Callable[[], Any],
    batch: int,
    dim: int,
) -> None:
    """Call ``work(room(), team, first, last)`` on slices of rows, or on blocks of each.

    Vectors of more than one block have all threads work on one row after another, which
    takes one room. They release the GIL, and none may end before the others.
    """
    blocks = dim >> BLOCK_BITS
    if blocks <= 1:
        over_rows(lambda a, b: work(room(), alone(dim), a, b), batch, 64 * dim)
        return
    shared, members = room(), team_of(min(num_threads(), blocks), dim)
    if len(members) == 1:
        work(shared, members[0], 0, batch)
        return
    ready = threading.Barrier(len(members))

    def join(member: Any) -> None:
        ready.wait()  # or, if a thread cannot start, raise instead of waiting in there
        work(shared, member, 0, batch)

    with ThreadPoolExecutor(len(members)) as pool:
        try:
            joined = [pool.submit(join, member) for member in members]
        except BaseException:
            ready.abort()
            raise
        for each in joined:
            each.result()


def alone(dim: int) -> Any:
    """Return the team of one thread."""
    return team_of(1, dim)[0]


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
def sparse_rows(matrix, rows, out):
    """Write the products of a sparse matrix with every row, each added in one order.

    A batch may be cut anywhere without changing a bit; BLAS would change some.
    """
    begins, columns, values = matrix
    for b in range(len(rows)):
        for k in range(begins.size - 1):
            total = 0.0
            for j in range(begins[k], begins[k + 1]):
                total += values[j] * rows[b, columns[j]]
            out[b, k] = total


@jit
def doubtful(rows, gaps, residuals, overlaps, near, rough, lost):
    """Say whether a gap, as a share of H, an overlap or a residual is out of limits."""
    for b in range(len(rows)):
        scale = 0.0
        for s in range(rows.shape[1]):
            scale = max(scale, abs(rows[b, s]))
        # Asked so that what is not a number is doubtful, too.
        if not (gaps[b] > near * scale and residuals[b] <= rough):
            return True
        if not overlaps[b] >= lost:
            return True
    return False


def memory(rows: int, dim: int, dtype: type) -> NDArray[Any]:
    """Return rows that a solver may write to until its thread asks for more.

    New memory comes from the system page by page: 15 us of 145 for N = 8.
    """
    if dim == 0:
        return np.empty((0, 0), dtype)
    kept: NDArray[Any] | None = _kept.__dict__.get(dtype.__name__)
    if kept is None or kept.size < rows * dim:
        kept = aligned(rows, dim, dtype).reshape(-1)
        if kept.nbytes <= KEPT_BYTES:
            _kept.__dict__[dtype.__name__] = kept
    return kept[: rows * dim].reshape(rows, dim)


@lru_cache(maxsize=2)
def address(dtype: type) -> int:
    """Return where ``apply`` is, compiled for one precision."""
    h = 0, np.empty(1, np.uint64), *np.empty((2, 1), dtype), np.empty((2, 2, 10), int)
    where: int = address_of(apply_to, h, *np.empty((2, 1), dtype), alone(0))
    return where


def room_for(
    layout: Any, dim: int, dtype: type, rows: int = 0
) -> tuple[Any, NDArray[Any]]:
    """Return the room for one Hamiltonian, and rows of as many amplitudes.

    The former is where to apply it, flips, tables, numbers and bounds. Without
    amplitudes nothing is compiled: nobody is to apply it. A small room is used again by
    the next call of this thread.
    """
    flips, _, _, bounds = layout
    tables = int(bounds[0, 1, 9])
    found = memory(tables + rows, dim, dtype)
    where, numbers = address(dtype) if dim else 0, np.empty(len(flips), dtype)
    h = where, flips, found[:tables].reshape(-1), numbers, bounds
    return h, found[tables:]


@jit
def fill(layout, row, h, team):
    """Write D_m of the coefficients ``row`` of the strings into h."""
    flips, starts, signs, bounds = layout
    _, _, tables, numbers, _ = h
    count = bounds[0, 1, 9]
    dim = tables.size // max(count, 1)
    wait(team)
    for m in range(flips.size):
        if m < count:
            table = tables[m * dim : (m + 1) * dim]
            own = mine(table, team)
            for i in range(own.size):
                own[i] = 0.0
            wait(team)
            if team[0] == 0:
                for s in range(starts[m], starts[m + 1]):
                    table[signs[s]] = row[s]
            wait(team)
            transform(table, U(dim - 1), team)
        elif team[0] == 0:
            numbers[m] = row[starts[m]]
    wait(team)


@jit
def halve(h, rough, team):
    """Write the same Hamiltonian in float32."""
    count = h[4][0, 1, 9]
    dim = h[2].size // max(count, 1)
    for m in range(count):
        table, single = h[2][m * dim : (m + 1) * dim], rough[2][m * dim : (m + 1) * dim]
        given, own = mine(table, team), mine(single, team)
        for i in range(own.size):
            own[i] = given[i]
    if team[0] == 0:
        for m in range(h[3].size):
            rough[3][m] = h[3][m]
    wait(team)


@inline
def gather(out, h, v, g, far, group, lane):
    """Add sum_m D_m[i] v[i ^ m] over the flips of one group to a tile."""
    _, flips, tables, numbers, bounds = h
    for m in range(U(bounds[0, far, group]), U(bounds[0, far, group + 1])):
        table = load(tables, m * U(v.size) + g)
        out = add_product(out, table, load_flipped(v, g, flips[m], lane))
    for m in range(U(bounds[1, far, group]), U(bounds[1, far, group + 1])):
        out = add_scaled(out, numbers[m], load_flipped(v, g, flips[m], lane))
    return out


@inline
def apply_tile(h, v, out, g, far):
    """Write (far: add to) a tile of H v; return <v|H v> so far of it."""
    _, flips, tables, numbers, bounds = h
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
def apply_to(h, v, out, team):
    """Compute this thread's part of H v; return all of <v|H v>.

    Blocks first, which the cache holds, then columns through all of them for the flips
    that lead from one to another: two passes over memory, however many flips.
    """
    bounds, block, total = h[4], block_size(v), 0.0
    tile = U(TILE_BYTES // v.itemsize)
    reaches = bounds[0, 1, 0] < bounds[0, 1, 9] or bounds[1, 1, 0] < bounds[1, 1, 9]
    for far in range(2 if reaches else 1):
        length = min(block, U(COLUMN)) if far else block
        count = block // length if far else U(v.size) // block
        first, end = share(count, team)
        for k in range(first, end):
            total, begin = 0.0, k * length
            for row in range(begin, U(v.size) if far else begin + U(1), block):
                for g in range(row, row + length, tile):
                    total += apply_tile(h, v, out, g, far)
            put(total, k, team)
        total = together(count, team)
    return total


@jit
def apply(h, v, out, team):
    """Compute out[i] = sum_m D_m[i] v[i ^ m] and return <v|out>."""
    return call(h[0], h, v, out, team)


@jit
def apply_rows(layout, rows, vectors, out, h, team, first, last):
    """Apply the Hamiltonian with coefficients rows[b] to vectors[b], row by row."""
    for b in range(first, last):
        fill(layout, rows[b], h, team)
        apply(h, vectors[b], out[b], team)
