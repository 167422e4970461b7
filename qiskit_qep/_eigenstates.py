"""The compiled search for eigenstates and their linear responses, row by row.

Built on Lanczos and conjugate gradients (see ``_krylov``). Both run in float32 where
float64 can correct what they find, at half the time from N = 10 and less beyond.

A complex state is real numbers in the halves (re, im). Its multiple by i, (-im, re), is
then another vector with the same energy, and is locked together with it.
"""

import numpy as np

from ._kernels import allocate, apply, fill, halve, jit
from ._krylov import (
    MAX_STEPS,
    combine,
    conjugate_gradients,
    dot,
    lanczos,
    project,
    ritz_vector,
    scale,
)

MAX_RUNS = 6  # a run starts again from its best vector until the residual is reached
SAME_SYMMETRY = 0.01  # overlap of states that one level deforms into one another
MAX_LEVELS = 8  # how many levels above the asked one an overlap is looked for
SINGLE = 2e-6  # what float32 leaves of a residual, times the size of H


@jit
def times_i(v, out):
    """Write i v for the halves (re, im) of v."""
    half = v.size // 2
    for i in range(half):
        out[i], out[half + i] = -v[half + i], v[i]


@jit
def lock(state, own):
    """Write a state and, where there is room for two, its multiple by i."""
    own[0] = state
    if len(own) == 2:
        times_i(own[0], own[1])


@jit
def refine(h, rough, out, own, vectors, w, tolerance):
    """Correct an approximate ground state by float32 solutions of float64 residuals.

    The correction t is that of Newton's method, (H - E) t = -(H v - E v). It is given
    up where it does not pay: for the smallest gaps float32 cannot tell H - E from zero.

    Returns:
        Energy and measured residual.
    """
    r, p, q, x = vectors[0], vectors[1], vectors[2], vectors[3]
    before = np.inf
    while True:
        energy = apply(h, out, w)
        residual = np.sqrt(combine(w, 1.0, -energy, out, 0.0, out))
        if residual <= tolerance or not residual < 0.3 * before:
            return energy, residual
        before = residual
        lock(out, own)
        scale(w, -1.0 / residual)
        r[:] = w
        project(r, own)
        share = max(0.3 * tolerance / residual, 3e-6)
        if not np.isfinite(conjugate_gradients(rough, energy, own, r, p, q, x, share)):
            return energy, residual
        combine(out, 1.0, residual, x, 0.0, x)
        scale(out, 1.0 / np.sqrt(dot(out, out)))


@jit
def eigenpair(h, rough, size, start, locked, own, tolerance, room, out):
    """Find the lowest state orthogonal to the locked, as precise as measured.

    Lanczos first runs in float32, at half the time, and float64 corrects; where that
    does not reach the tolerance, and for excited states, it runs in float64.

    Returns:
        Energy, second Ritz value, measured residual.
    """
    basis, single, work = room
    if len(locked) == 0 and len(single):
        enough = max(0.5 * tolerance, SINGLE * size)
        none = single[:0]
        _, second, steps = lanczos(rough, start, none, np.nan, enough, single, work)
        ritz_vector(rough, start, none, steps, single, work, out)
        energy, residual = refine(h, rough, out, own, single, basis[0], tolerance)
        if residual <= tolerance:
            return energy, second, residual
    second, energy, residual = np.inf, 0.0, np.inf
    for run in range(MAX_RUNS):
        begin = start if run == 0 else out.copy()
        _, above, steps = lanczos(
            h, begin, locked, np.nan, 0.5 * tolerance, basis, work
        )
        ritz_vector(h, begin, locked, steps, basis, work, out)
        second = above if run == 0 else second
        w = basis[0]
        energy = apply(h, out, w)
        residual = np.sqrt(combine(w, 1.0, -energy, out, 0.0, out))
        if residual <= tolerance:
            break
    return energy, second, residual


@jit
def level_above(h, rough, size, start, locked, energy, tolerance, room):
    """Return the lowest level orthogonal to the locked, to a per cent of its distance.

    Never too low: what float32 might read too little is added, and it is not asked
    where that would be half a per cent of the distance.
    """
    basis, single, work = room
    if len(single):
        near = np.empty(locked.shape, single.dtype)
        near[:] = locked
        above, _, _ = lanczos(rough, start, near, energy, SINGLE * size, single, work)
        if above - energy > 1e3 * SINGLE * size:
            return above + 5.0 * SINGLE * size
    return lanczos(h, start, locked, energy, tolerance, basis, work)[0]


@jit
def settle(
    layout,
    rows,
    starts,
    generic,
    copies,
    level,
    follow,
    tolerance,
    basis,
    single,
    results,
    first,
    last,
):
    """Find eigenstate ``level`` of every row, or the one that overlaps starts most.

    ``copies`` is 2 of complex states. Without ``follow`` states n = 0, 1, ... are
    locked one after another, each from the fresh vector ``generic[n]``; one more run
    measures the distance to the next one, which a start vector in another symmetry
    sector would not show. With ``follow`` the search runs from ``starts[b]`` and goes
    on until no other eigenstate can hold more of it.
    """
    states, energies, gaps, residuals, overlaps = results
    dim = states.shape[1]
    room = basis, single, np.empty((4, MAX_STEPS + 1))
    h, rough = allocate(layout, dim, basis), allocate(layout, single.shape[1], single)
    own = np.empty((copies, single.shape[1]), single.dtype)
    most = level + 1 + (MAX_LEVELS if follow else 0)
    locked, found = np.empty((copies * most, dim), states.dtype), np.empty(most)
    for b in range(first, last):
        fill(layout, rows[b], h)
        if len(single):
            halve(h, rough)
        size = np.sqrt(np.sum(rows[b] ** 2))
        best, weight, seen, second = 0, -1.0, 0.0, np.inf
        for n in range(most):
            q = copies * n
            state, start = locked[q], starts[b] if follow else generic[n]
            energy, second, residual = eigenpair(
                h, rough, size, start, locked[:q], own, tolerance, room, state
            )
            lock(state, locked[q : q + copies])
            found[n], overlap = energy, 0.0
            if follow:
                for k in range(q, q + copies):
                    overlap += dot(starts[b], locked[k]) ** 2
                seen += overlap
            if not follow or overlap > weight:
                best, weight = n, overlap
                states[b], energies[b], residuals[b] = state, energy, residual
            # No other level can hold more, or none is left to look at. The ground
            # state deforms smoothly into the lowest state of its own symmetry.
            same = level == 0 and overlap > SAME_SYMMETRY
            if follow and (
                same or weight >= 1.0 - seen - 1e-6 or n + 2 > dim // copies
            ):
                break
        gap = second - energies[b] if follow and n == best else np.inf
        for k in range(n + 1):
            if k != best:
                gap = min(gap, abs(found[k] - energies[b]))
        if not follow and level + 1 < dim // copies:
            start, energy = generic[n + 1], energies[b]
            above = level_above(h, rough, size, start, locked, energy, tolerance, room)
            gap = min(gap, abs(above - energies[b]))
        gaps[b] = gap
        overlaps[b] = weight if follow else 1.0


@jit
def respond(
    layout, rows, sources, states, copies, tolerance, out, residuals, first, last
):
    """Solve (H - E) x = -P source by conjugate gradients, P projecting out the state.

    Valid where the state is the lowest; elsewhere the residual may be infinity.
    """
    dim = states.shape[1]
    h = allocate(layout, dim, states)
    r, p, q = np.empty(dim), np.empty(dim), np.empty(dim)
    own = np.empty((copies, dim), states.dtype)
    for b in range(first, last):
        fill(layout, rows[b], h)
        lock(states[b], own)
        energy = apply(h, own[0], q)
        r[:] = sources[b]
        scale(r, -1.0)
        project(r, own)  # twice: r may be far smaller than what is taken away
        size = project(r, own)
        rounding = 1e-15 * np.sqrt(dot(sources[b], sources[b]))
        share = max(tolerance, rounding / max(size, 1e-300))
        residuals[b] = conjugate_gradients(h, energy, own, r, p, q, out[b], share)
