"""The compiled solvers: Lanczos for eigenstates, conjugate gradients for responses.

Both see a Hamiltonian only through ``_kernels.apply``. Lanczos keeps its basis while it
fits into the rows it is given and repeats the recurrence otherwise (twice the time,
three vectors of memory); states already found are projected out at every step, so that
excited and degenerate states need no other method.
"""

import numpy as np

from ._kernels import allocate, apply, fill, jit
from ._tridiagonal import second_lowest, tridiagonal_lowest

MAX_STEPS = 3000  # of one Lanczos run; a gap of 1e-4 of the spectrum needs about 1000
MAX_RUNS = 6  # a run starts again from its best vector until the residual is reached
SAME_SYMMETRY = 0.01  # overlap of states that one level deforms into one another
MAX_LEVELS = 8  # how many levels above the asked one an overlap is looked for


@jit
def dot(a, b):
    """Return <a|b>."""
    total = np.conj(a[0]) * b[0] * 0.0
    for i in range(a.size):
        total += np.conj(a[i]) * b[i]
    return total


@jit
def subtract(v, c, a):
    """Replace v by v - c a."""
    for i in range(v.size):
        v[i] -= c * a[i]


@jit
def normalize(v):
    """Scale v to length one and return the length it had."""
    length = np.sqrt(dot(v, v).real)
    inverse = 1.0 / length
    for i in range(v.size):
        v[i] *= inverse
    return length


@jit
def lanczos_step(h, u, v, w, previous, locked, count):
    """Write the next unnormalised vector of the recurrence into w."""
    apply(h, v, w)
    alpha = dot(v, w).real
    for i in range(w.size):
        w[i] -= alpha * v[i] + previous * u[i]
    for q in range(count):
        subtract(w, dot(locked[q], w), locked[q])
    return alpha, np.sqrt(dot(w, w).real)


@jit
def lanczos(h, start, locked, count, lowest, tolerance, basis, out):
    """Find the lowest eigenvector of H orthogonal to locked[:count], from ``start``.

    With a finite energy ``lowest`` the run only asks how far the answer lies above it,
    and ends when that distance is known to about one per cent.

    Returns:
        Energy, second Ritz value, residual estimate.
    """
    rows = len(basis)
    alpha, beta = np.empty(MAX_STEPS), np.empty(MAX_STEPS)
    ritz, pivots = np.empty(MAX_STEPS), np.empty(MAX_STEPS)
    v = basis[0]
    v[:] = start
    for q in range(count):
        subtract(v, dot(locked[q], v), locked[q])
    normalize(v)
    steps, check, energy, residual, second = 0, 6, 0.0, np.inf, np.inf
    while True:
        u, w = basis[(steps - 1) % rows], basis[(steps + 1) % rows]
        previous = beta[steps - 1] if steps > 0 else 0.0
        if steps == 0:
            u = v
        alpha[steps], length = lanczos_step(h, u, v, w, previous, locked, count)
        beta[steps] = length
        steps += 1
        ended = length < 1e-13 * max(1.0, abs(alpha[0])) or steps == MAX_STEPS
        if steps >= check or ended:
            energy = tridiagonal_lowest(alpha, beta, steps, ritz, pivots)
            residual = length * abs(ritz[steps - 1])
            if residual < 1e-4 and second == np.inf:
                # Later, rounding lets a copy of the lowest level appear above it.
                second = second_lowest(alpha, beta, steps, energy)
            near = np.isfinite(lowest) and residual < 0.003 * (energy - lowest)
            if ended or near or residual < tolerance:
                break
            check = steps + (2 if residual < 1e3 * tolerance else 4) + steps // 20
        inverse = 1.0 / length
        for i in range(w.size):
            w[i] *= inverse
        v = w
    combine(h, start, locked, count, alpha, beta, ritz, steps, basis, out)
    return energy, second, residual


@jit
def combine(h, start, locked, count, alpha, beta, ritz, steps, basis, out):
    """Write sum_j ritz[j] v_j into out, from the kept basis or by a second pass."""
    rows = len(basis)
    out[:] = 0.0
    if steps < rows:
        for j in range(steps):
            subtract(out, -ritz[j], basis[j])
    else:
        v = basis[0]
        v[:] = start
        for q in range(count):
            subtract(v, dot(locked[q], v), locked[q])
        normalize(v)
        for j in range(steps):
            v, u, w = basis[j % rows], basis[(j - 1) % rows], basis[(j + 1) % rows]
            if j == 0:
                u = v
            subtract(out, -ritz[j], v)
            previous = beta[j - 1] if j > 0 else 0.0
            lanczos_step(h, u, v, w, previous, locked, count)
            inverse = 1.0 / beta[j]
            for i in range(w.size):
                w[i] *= inverse
    normalize(out)


@jit
def eigenpair(h, start, locked, count, tolerance, basis, out):
    """Run Lanczos until the measured residual |H v - E v| is below the tolerance.

    Returns:
        Energy, second Ritz value, measured residual.
    """
    second, energy, residual = np.inf, 0.0, np.inf
    for run in range(MAX_RUNS):
        begin = start if run == 0 else out.copy()
        _, above, _ = lanczos(
            h, begin, locked, count, np.nan, 0.5 * tolerance, basis, out
        )
        second = above if run == 0 else second
        w = basis[0]
        apply(h, out, w)
        energy = dot(out, w).real
        subtract(w, energy, out)
        residual = np.sqrt(dot(w, w).real)
        if residual <= tolerance:
            break
    return energy, second, residual


@jit
def settle(
    layout, rows, starts, generic, level, follow, tolerance, keep, results, first, last
):
    """Find eigenstate ``level`` of every row, or the one that overlaps starts most.

    ``results`` is the tuple (states, energies, gaps, residuals, overlaps) to fill. A
    gap is the distance to the nearest other level seen, an upper bound: the second Ritz
    value of a followed state; for a fresh one a second, deflated run, since one Krylov
    space holds only one vector of an exactly degenerate level.
    """
    states, energies, gaps, residuals, overlaps = results
    dim = states.shape[1]
    h = allocate(layout, dim, rows)
    basis = np.empty((keep, dim), states.dtype)
    locked = np.empty((level + 1 + MAX_LEVELS, dim), states.dtype)
    found = np.empty(level + 1 + MAX_LEVELS)
    for b in range(first, last):
        fill(layout, rows[b], h)
        best, weight, seen, second = 0, -1.0, 0.0, np.inf
        for n in range(level + 1 + (MAX_LEVELS if follow else 0)):
            begin = starts[b] if follow else generic[n]
            energy, second, residual = eigenpair(
                h, begin, locked, n, tolerance, basis, locked[n]
            )
            found[n] = energy
            if follow:
                overlap = abs(dot(starts[b], locked[n])) ** 2
                seen += overlap
                if overlap > weight:
                    best, weight = n, overlap
                    states[b], energies[b], residuals[b] = locked[n], energy, residual
                # No other level can hold more, or none is left to look at. The ground
                # state deforms smoothly into the lowest state of its own symmetry.
                own = level == 0 and overlap > SAME_SYMMETRY
                if own or weight >= 1.0 - seen - 1e-6 or n + 2 > dim:
                    break
            else:
                best = n
                states[b], energies[b], residuals[b] = locked[n], energy, residual
        gap = second - energies[b] if follow and n == best else np.inf
        for q in range(n + 1):
            if q != best:
                gap = min(gap, abs(found[q] - energies[b]))
        if not follow and level + 1 < dim:
            above, _, _ = lanczos(
                h,
                generic[n + 1],
                locked,
                n + 1,
                energies[b],
                tolerance,
                basis,
                locked[n + 1],
            )
            gap = min(gap, abs(above - energies[b]))
        gaps[b] = gap
        overlaps[b] = weight if follow else 1.0


@jit
def respond(layout, rows, sources, states, tolerance, out, residuals, first, last):
    """Solve (H - E) x = -P source by conjugate gradients, P projecting out the state.

    Valid where the state is the lowest: H - E is then positive on the complement. A
    direction of negative curvature ends the row with residual infinity.
    """
    dim = states.shape[1]
    h = allocate(layout, dim, rows)
    r, p, q = np.empty((3, dim), states.dtype)
    for b in range(first, last):
        fill(layout, rows[b], h)
        psi, x = states[b], out[b]
        apply(h, psi, q)
        energy = dot(psi, q).real
        x[:] = 0.0
        r[:] = 0.0
        subtract(r, 1.0, sources[b])
        for _ in range(2):  # twice: r may be far smaller than what is taken away
            subtract(r, dot(psi, r), psi)
        p[:] = r
        size = dot(r, r).real
        rounding = 1e-30 * dot(sources[b], sources[b]).real
        target = max(size * tolerance**2, rounding)
        steps = 0
        while size > target and steps < MAX_STEPS:
            apply(h, p, q)
            subtract(q, energy, p)
            subtract(q, dot(psi, q), psi)
            curvature = dot(p, q).real
            if curvature <= 0.0:
                size = np.inf
                break
            step = size / curvature
            subtract(x, -step, p)
            subtract(r, step, q)
            before, size = size, dot(r, r).real
            for i in range(dim):
                p[i] = r[i] + (size / before) * p[i]
            steps += 1
        subtract(x, dot(psi, x), psi)
        residuals[b] = np.sqrt(size)
