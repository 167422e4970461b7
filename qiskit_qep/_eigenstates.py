"""The compiled search for eigenstates and their linear responses, row by row.

Built on Lanczos and conjugate gradients (see ``_krylov``). Both run in float32 where
float64 can correct what they find, at half the time from N = 10 and less beyond.

A complex state is real numbers in the halves (re, im). Its multiple by i, (-im, re), is
then another vector with the same energy, and is locked together with it.
"""

import numpy as np

from ._kernels import apply, fill, halve
from ._krylov import (
    MAX_STEPS,
    begin,
    combine,
    conjugate_gradients,
    copy,
    dot,
    lanczos,
    project,
    ritz_vector,
    scale,
)
from ._native import U, jit
from ._team import share, wait

MAX_RUNS = 6  # a run starts again from its best vector until the residual is reached
SAME_SYMMETRY = 0.01  # overlap of states that one level deforms into one another
MAX_LEVELS = 8  # how many levels above the asked one an overlap is looked for
SINGLE = 2e-6  # what float32 leaves of a residual, times the size of H


@jit
def lock(state, own, team):
    """Write a state and, where there is room for two, its multiple by i."""
    copy(state, own[0], team)
    if len(own) == 2:
        half = U(state.size) // U(2)
        first, end = share(half, team)
        wait(team)  # for the other half of the state
        for i in range(first, end):
            own[1, i], own[1, half + i] = -state[half + i], state[i]
        wait(team)


@jit
def length_of(v, team):
    """Return the length of a vector."""
    return np.sqrt(dot(v, v, team))


@jit
def error_of(h, v, w, team):
    """Return the energy of a state and |H v - E v|, which is left in w."""
    energy = apply(h, v, w, team)
    return energy, np.sqrt(combine(w, 1.0, -energy, v, 0.0, v, team))


@jit
def refine(h, rough, out, own, vectors, w, tolerance, team):
    """Correct an approximate ground state by float32 solutions of float64 residuals.

    The correction t is that of Newton's method, (H - E) t = -(H v - E v). It is given
    up where it does not pay: for the smallest gaps float32 cannot tell H - E from zero.

    Returns:
        Energy and measured residual.
    """
    r, p, q, x = vectors[0], vectors[1], vectors[2], vectors[3]
    before = np.inf
    while True:
        energy, residual = error_of(h, out, w, team)
        if residual <= tolerance or not residual < 0.3 * before:
            return energy, residual
        before = residual
        lock(out, own, team)
        scale(w, -1.0 / residual, team)
        copy(w, r, team)
        project(r, own, team)
        enough = max(0.3 * tolerance / residual, 3e-6)
        left = conjugate_gradients(rough, energy, own, r, p, q, x, enough, team)
        if not np.isfinite(left):
            return energy, residual
        combine(out, 1.0, residual, x, 0.0, x, team)
        scale(out, 1.0 / length_of(out, team), team)


@jit
def eigenpair(room, work, size, start, seed, locked, tolerance, out, team):
    """Find the lowest state orthogonal to the locked, as precise as measured.

    Lanczos first runs in float32, at half the time, and float64 corrects; where that
    does not reach the tolerance, and for excited states, it runs in float64.

    Returns:
        Energy, second Ritz value, measured residual.
    """
    h, rough, basis, single, _, near, copies = room
    if len(locked) == 0 and len(single):
        enough, none = max(0.5 * tolerance, SINGLE * size), single[:0]
        begin(single[0], start, seed, team)
        found = lanczos(rough, none, np.nan, enough, single, work, team)
        ritz_vector(rough, start, seed, none, found[2], single, work, out, team)
        own, w = near[:copies], basis[0]
        energy, residual = refine(h, rough, out, own, single, w, tolerance, team)
        if residual <= tolerance:
            return energy, found[1], residual
    second, energy, residual = np.inf, 0.0, np.inf
    for run in range(MAX_RUNS):
        first = start if run == 0 else out
        begin(basis[0], first, seed, team)
        found = lanczos(h, locked, np.nan, 0.5 * tolerance, basis, work, team)
        ritz_vector(h, first, seed, locked, found[2], basis, work, out, team)
        second = found[1] if run == 0 else second
        energy, residual = error_of(h, out, basis[0], team)
        if residual <= tolerance:
            break
    return energy, second, residual


@jit
def level_above(room, work, size, seed, locked, energy, tolerance, team):
    """Return the lowest level orthogonal to the locked, to a per cent of its distance.

    Never too low: what float32 might read too little is added, and it is not asked
    where that would be half a per cent of the distance.
    """
    h, rough, basis, single, _, near, _ = room
    none = basis[0][:0]
    if len(single):
        near = near[: len(locked)]
        for q in range(len(locked)):
            copy(locked[q], near[q], team)
        begin(single[0], none, seed, team)
        error = SINGLE * size
        above = lanczos(rough, near, energy, error, single, work, team)[0]
        if above - energy > 1e3 * error:
            return above + 5.0 * error
    begin(basis[0], none, seed, team)
    return lanczos(h, locked, energy, tolerance, basis, work, team)[0]


@jit
def settle(
    layout, rows, starts, level, follow, tolerance, results, room, team, first, last
):
    """Find eigenstate ``level`` of every row, or the one that overlaps starts most.

    Without ``follow`` states n = 0, 1, ... are locked one after another, each from
    fresh noise of seed n; one more run measures the distance to the next one, which a
    start vector in another symmetry sector would not show. With ``follow`` the search
    runs from ``starts[b]`` and goes on until no other eigenstate can hold more of it.

    The room is two Hamiltonians, two bases, the locked states in both precisions, and
    how many copies a state has: 2 of complex ones.
    """
    states, energies, gaps, residuals, overlaps = results
    h, rough, basis, single, locked, _, copies = room
    work, dim = np.empty((4, MAX_STEPS + 1)), states.shape[1]
    most = len(locked) // copies
    found = np.empty(most)
    for b in range(first, last):
        fill(layout, rows[b], h, team)
        if len(single):
            halve(h, rough, team)
        squares = 0.0
        for s in range(rows.shape[1]):
            squares += rows[b, s] ** 2
        size = np.sqrt(squares)
        start = starts[b] if follow else basis[0][:0]
        best, weight, seen, second = 0, -1.0, 0.0, np.inf
        for n in range(most):
            q = copies * n
            state = locked[q]
            energy, second, residual = eigenpair(
                room, work, size, start, n, locked[:q], tolerance, state, team
            )
            lock(state, locked[q : q + copies], team)
            found[n], overlap = energy, 0.0
            if follow:
                for k in range(q, q + copies):
                    overlap += dot(start, locked[k], team) ** 2
                seen += overlap
            if not follow or overlap > weight:
                best, weight = n, overlap
                copy(state, states[b], team)
                energies[b], residuals[b] = energy, residual
            # No other level can hold more, or none is left to look at. The ground
            # state deforms smoothly into the lowest state of its own symmetry.
            same = level == 0 and overlap > SAME_SYMMETRY
            if follow and (
                same or weight >= 1.0 - seen - 1e-6 or n + 2 > dim // copies
            ):
                break
        energy = energies[b]
        gap = second - energy if follow and n == best else np.inf
        for k in range(n + 1):
            if k != best:
                gap = min(gap, abs(found[k] - energy))
        if not follow and level + 1 < dim // copies:
            above = level_above(
                room, work, size, n + 1, locked, energy, tolerance, team
            )
            gap = min(gap, abs(above - energy))
        gaps[b] = gap
        overlaps[b] = weight if follow else 1.0


@jit
def respond(
    layout, rows, turns, states, tolerance, out, residuals, room, team, first, last
):
    """Solve (H - E) x = -P dH v by conjugate gradients, P projecting out the state v.

    Valid where the state is the lowest; elsewhere the residual may be infinity. The
    rows are coefficients of H, the turns those of dH. The room is a Hamiltonian,
    vectors, and the state with its copies.
    """
    h, vectors, own = room
    r, p, q = vectors[0], vectors[1], vectors[2]
    for b in range(first, last):
        lock(states[b], own, team)
        fill(layout, turns[b], h, team)
        apply(h, own[0], r, team)
        rounding = 1e-15 * length_of(r, team)
        fill(layout, rows[b], h, team)
        energy = apply(h, own[0], q, team)
        scale(r, -1.0, team)
        project(r, own, team)  # twice: r may be far smaller than what is taken away
        size = project(r, own, team)
        enough = max(tolerance, rounding / max(size, 1e-300))
        residuals[b] = conjugate_gradients(
            h, energy, own, r, p, q, out[b], enough, team
        )
